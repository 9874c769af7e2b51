"""Runs and test images kept in memory between page views, and shared by all viewers."""

from pathlib import Path

import streamlit as st

import pixelprior as pp
from pixelprior.demo.runs import run_path, version
from pixelprior.runs.images import RunImages


def trained_run(root: Path, name: str) -> pp.Run:
    """A run, read again only when it has a new checkpoint.

    Its model is the same object for everybody, so what JAX has compiled for it serves everybody.

    Raises:
        InputError: if there is no such run, or it cannot be read.
    """
    path = run_path(root, name)
    return _trained(path, version(path))


@st.cache_resource(max_entries=4, show_spinner="Reading the run ...")
def _trained(path: Path, version: float) -> pp.Run:
    return pp.load_trained(path)


def test_images(root: Path, name: str) -> RunImages | None:
    """The test images of a run; None where its data set is not on this machine."""
    path = run_path(root, name)
    return _test_images(path, version(path))


@st.cache_resource(max_entries=4, show_spinner="Opening the data set ...")
def _test_images(path: Path, version: float) -> RunImages | None:
    try:
        return RunImages(_trained(path, version), 0, None)
    except pp.InputError:
        return None
