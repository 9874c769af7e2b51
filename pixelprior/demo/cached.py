"""Runs and test images in memory, kept between page views and shared by all users."""

from pathlib import Path

import streamlit as st

import pixelprior as pp
from pixelprior.demo.arguments import arguments
from pixelprior.demo.runs import run_path, version
from pixelprior.runs.images import TestImages


def trained_run(root: Path, name: str) -> pp.Run:
    """Load a run, and load it again only when it has a new checkpoint.

    All users share one model object, so they also share its compiled programs.

    Raises:
        InputError: if there is no such run, or the run cannot be read.
    """
    path = run_path(root, name)
    return _trained(path, version(path))


@st.cache_resource(max_entries=4, show_spinner="Reading the run ...")
def _trained(path: Path, version: float) -> pp.Run:
    return pp.load_trained(path)


def test_images(root: Path, name: str) -> TestImages | str:
    """Test images of a run, or the reason why there are none."""
    path = run_path(root, name)
    return _test_images(path, version(path))


@st.cache_resource(max_entries=4, show_spinner="Opening the data set ...")
def _test_images(path: Path, version: float) -> TestImages | str:
    run = _trained(path, version)
    try:
        return TestImages(run.at_place(arguments().place_of(run)), 0)
    except pp.InputError as error:
        return str(error)
