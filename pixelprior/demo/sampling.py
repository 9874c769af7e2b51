"""Pages of samples: of one run, and of two runs side by side."""

from pathlib import Path

import numpy as np
import streamlit as st

import pixelprior as pp
from pixelprior.demo.cached import trained_run
from pixelprior.demo.controls import adapted, in_words, request_controls
from pixelprior.demo.runs import all_runs
from pixelprior.demo.shown import button_and_picture
from pixelprior.runs.samples import Request, class_columns, samples_of


def sample(root: Path, run: str, trained: pp.Run) -> None:
    """Draw images, and show them while they fill up."""
    request = request_controls(trained)
    num = st.slider("Images", 1, 64, 16)
    samples = samples_of(trained, request)
    columns = class_columns(samples, request)
    drawn = button_and_picture(
        f"{run}/sample",
        "Draw",
        {**in_words(run, trained, request), "images": num},
        lambda: samples.rows(np.arange(num)),
        samples.num_rows,
        columns=columns if columns and num >= columns else None,
    )
    if drawn:
        st.rerun()


def compare(root: Path, run: str, trained: pp.Run) -> None:
    """Draw samples of two runs with the same settings, side by side."""
    others = [name for name in all_runs(root) if name != run]
    if not others:
        st.info("There is no other run to compare with. A second trained run will appear here.")
        return
    request = request_controls(trained)
    other = st.selectbox("Compare with", others)
    num = st.slider("Images", 1, 36, 16)
    # The second run begins when the first is done.
    pressed = st.button("Draw both", type="primary")
    drawn = False
    for column, name in zip(st.columns(2), (run, other), strict=True):
        with column:
            st.subheader(name)
            try:
                drawn |= _draw(root, run, name, request, num, pressed)
            except pp.InputError as error:
                st.error(str(error))
    if drawn:
        st.rerun()


def _draw(root: Path, run: str, name: str, request: Request, num: int, pressed: bool) -> bool:
    trained = trained_run(root, name)
    if not trained.can_sample:
        st.info(f"{name} cannot draw images: it is a tokenizer, or some level is not trained.")
        return False
    asked = adapted(request, trained)
    samples = samples_of(trained, asked)
    return button_and_picture(
        f"{run}/compare/{name}",
        "Draw this one",
        {**in_words(name, trained, asked), "images": num},
        lambda: samples.rows(np.arange(num)),
        samples.num_rows,
        pressed=pressed,
    )
