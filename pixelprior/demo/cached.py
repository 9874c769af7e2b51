"""Runs, test images and thumbnails in memory, kept between page views, shared by all users."""

from pathlib import Path

import numpy as np
import streamlit as st

import pixelprior as pp
from pixelprior.demo.arguments import arguments
from pixelprior.demo.runs import run_path, version
from pixelprior.figures.kept_png import kept_png
from pixelprior.figures.sheets import png_bytes
from pixelprior.runs.bundled import picture_of
from pixelprior.runs.images import TestImages
from pixelprior.runs.pictures import reconstructed
from pixelprior.runs.samples import Request, samples_of
from pixelprior.training.run_folder import RunFolder

THUMBNAIL = 9
"""Number of images in a thumbnail."""


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


def thumbnail(root: Path, name: str) -> bytes | None:
    """Small picture of a run as a PNG file; None if there is nothing to show.

    For a run without a kept picture, a few images are drawn or reconstructed.
    """
    path = run_path(root, name)
    return kept_picture(root, name) or _thumbnail(path, version(path))


def kept_picture(root: Path, name: str) -> bytes | None:
    """Last picture that the training kept, or the picture of a bundled model; None without one."""
    path = run_path(root, name)
    bundled = picture_of(path)
    if bundled is not None:
        return kept_png(bundled.parent, bundled)
    kept = sorted(RunFolder(path).samples.glob("*.png"), reverse=True) if path.is_dir() else []
    return next(filter(None, (kept_png(path, one) for one in kept)), None)


@st.cache_data(max_entries=100, show_spinner="Drawing a few images ...")
def _thumbnail(path: Path, version: float) -> bytes | None:
    trained = _trained(path, version)
    numbers = np.arange(THUMBNAIL)
    if trained.can_sample:
        samples = samples_of(trained, Request(0, [()], None, None, "auto"))
        return png_bytes(samples.pixels(samples.draw(numbers)))
    images = _test_images(path, version)
    if trained.vqvae is None or isinstance(images, str):
        return None
    return png_bytes(reconstructed(trained.vqvae, images.pixels(numbers)))
