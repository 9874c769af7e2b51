"""Pages of samples: of one run, and two of them side by side."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import streamlit as st

import pixelprior as pp
from pixelprior.demo.cached import kept_picture, trained_run
from pixelprior.demo.controls import (
    adapted,
    at_temperature,
    in_words,
    next_seed,
    num_images,
    request_controls,
    temperature_slider,
    temperatures,
)
from pixelprior.demo.link import LINKED
from pixelprior.demo.plain import plain
from pixelprior.demo.runs import all_runs
from pixelprior.demo.shown import picture_and_button
from pixelprior.runs.samples import Request, class_columns, samples_of

TEMPERATURES, RUNS = "two temperatures", "two runs"


FULL_ROWS = 3
"""Least number of full rows for which each class has its own column. The picture would be flat."""


class _Side(NamedTuple):
    """One of two pictures: its title, its run, and its settings."""

    title: str
    run: str
    request: Request


def sample(root: Path, run: str, trained: pp.Run) -> None:
    """Draw images, and show them while they fill up."""
    request = request_controls(trained)
    num = num_images()
    samples = samples_of(trained, request)
    columns = class_columns(samples, request)
    drawn = picture_and_button(
        f"{run}/sample",
        "Draw",
        {**in_words(run, trained, request), "images": num},
        lambda: samples.rows(np.arange(num)),
        samples.num_rows,
        columns=columns if columns and num >= FULL_ROWS * columns else None,
        at_once=True,
        earlier=kept_picture(root, run),
        on_other=next_seed,
    )
    if drawn:
        st.rerun()


def compare(root: Path, run: str, trained: pp.Run) -> None:
    """Draw samples with the same seed side by side: at two temperatures, or of two runs."""
    request = request_controls(trained)
    with st.sidebar:
        kind = st.radio("Compare", [TEMPERATURES, RUNS], key="compare", bind=LINKED)
        sides = _sides(root, run, request, kind)
    num = num_images()
    content = st.container()
    # The second picture begins when the first is done.
    pressed = st.button("Draw both", type="primary")
    drawn = False
    for number, (column, side) in enumerate(zip(content.columns(2), sides, strict=True)):
        with column:
            st.subheader(plain(side.title), anchor=False)
            try:
                drawn |= _draw(root, number, side, num, pressed)
            except pp.InputError as error:
                st.error(str(error))
    if drawn:
        st.rerun()


def _sides(root: Path, run: str, request: Request, kind: str) -> list[_Side]:
    if kind == TEMPERATURES:
        second = at_temperature(
            request, temperature_slider("Second temperature", 0.7, "second_temperature")
        )
        return [_Side(f"Temperature {temperatures(one)}", run, one) for one in (request, second)]
    others = [name for name in all_runs(root) if name != run]
    other = st.selectbox("Compare with", others, key="other", bind=LINKED)
    return [_Side(name, name, request) for name in (run, other)]


def _draw(root: Path, number: int, side: _Side, num: int, pressed: bool) -> bool:
    trained = trained_run(root, side.run)
    if not trained.can_sample:
        st.info(f"{side.run} cannot draw images: it is a tokenizer, or some level is not trained.")
        return False
    asked = adapted(side.request, trained)
    samples = samples_of(trained, asked)
    return picture_and_button(
        f"compare/{number}/{side.title}/{side.run}",
        "Draw this one",
        {**in_words(side.run, trained, asked), "images": num},
        lambda: samples.rows(np.arange(num)),
        samples.num_rows,
        pressed=pressed,
        at_once=True,
    )
