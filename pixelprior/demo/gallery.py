"""Gallery of all runs, with a picture of each."""

import math
from pathlib import Path

import streamlit as st

import pixelprior as pp
from pixelprior.demo.cached import thumbnail, trained_run
from pixelprior.demo.card import in_one_line
from pixelprior.demo.link import LINKED
from pixelprior.demo.plain import plain
from pixelprior.demo.runs import all_runs

GALLERY = "Gallery"
COLUMNS = 3
PAGE = 12
"""Largest number of runs on a page of the gallery."""


def show_gallery(root: Path) -> None:
    """Show a card for every run. A button shows the run."""
    runs = all_runs(root)
    if len(runs) > PAGE:
        pages = math.ceil(len(runs) / PAGE)
        # A page may be out of range for another number of pages, which has its own key.
        key = f"page_of_{pages}"
        page = st.number_input(f"Page, of {pages}", 1, pages, 1, key=key, bind=LINKED)
        runs = runs[PAGE * (page - 1) : PAGE * page]
    for first in range(0, len(runs), COLUMNS):
        row = runs[first : first + COLUMNS]
        for column, run in zip(st.columns(COLUMNS)[: len(row)], row, strict=True):
            with column.container(border=True):
                _show_one(root, run)


def _show_one(root: Path, run: str) -> None:
    st.markdown(f"**{plain(run)}**")
    try:
        picture = thumbnail(root, run)
        if picture is not None:
            st.image(picture, alt=f"images of {run}", width="stretch")
        st.caption(plain(in_one_line(trained_run(root, run))))
    except pp.InputError as error:
        st.error(str(error))
        return
    st.button(f"Show {plain(run)}", key=f"show/{run}", on_click=_show_run, args=[run])


def _show_run(run: str) -> None:
    st.session_state["run"] = run
    st.session_state["view"] = None  # the first view of the run
