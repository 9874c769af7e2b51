"""Pictures on the page: they fill up, can be stopped and downloaded, and stay on the page."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import streamlit as st

from pixelprior.figures.sheets import png_bytes
from pixelprior.runs.samples import Pixels

SIDE = 480
"""Approximate longer side in pixels to which a picture of small images is enlarged."""


class Shown(NamedTuple):
    """A picture that stays while its page is open.

    Attributes:
        png: the PNG file, which includes the settings of the picture.
        caption: the text below the picture.
    """

    png: bytes
    caption: str


def button_and_picture(
    name: str,
    label: str,
    settings: Mapping[str, Any],
    frames: Callable[[], Iterator[Pixels]],
    total: int,
    *,
    columns: int | None = None,
    pressed: bool | None = None,
) -> bool:
    """Show a button, and below it the picture that it makes, frame by frame.

    A picture stays until another one replaces it, even if it was stopped halfway.

    Args:
        name: the name of the picture on this page. A new name starts empty.
        label: the text on the button.
        settings: the settings of the picture.
        frames: makes the picture.
        total: the number of frames.
        columns: see `png_bytes`.
        pressed: True if another button asks for the picture; None if there is no other button.

    Returns:
        True if the picture was made now. Then call `st.rerun`, because Streamlit leaves old
        elements on the page.
    """
    kind: Literal["primary", "secondary"] = "primary" if pressed is None else "secondary"
    wanted = st.button(label, type=kind, key=f"{name}/draw") or bool(pressed)
    if wanted:
        _watch(name, settings, frames(), total, columns)
    else:
        keep_showing(name)
    return wanted


def _watch(
    name: str,
    settings: Mapping[str, Any],
    frames: Iterator[Pixels],
    total: int,
    columns: int | None,
) -> None:
    st.session_state.pop(name, None)
    bar, picture = st.progress(0.0, "compiling (first time only) ..."), st.empty()
    st.button("Stop", key=f"{name}/stop")
    for number, pixels in enumerate(frames, start=1):
        done = f"{number} of {total} rows"
        shown = Shown(
            _png(pixels, columns, {**settings, "drawn": done}),
            "" if number == total else f"stopped after {done}",
        )
        st.session_state[name] = shown
        picture.image(shown.png)
        bar.progress(number / total, done)


def _png(pixels: Pixels, columns: int | None, settings: Mapping[str, Any]) -> bytes:
    return png_bytes(pixels, columns=columns, side=SIDE, settings=settings)


def show(
    name: str,
    pixels: Pixels,
    settings: Mapping[str, Any],
    caption: str,
    *,
    columns: int | None = None,
) -> None:
    """Show a finished picture."""
    st.session_state[name] = Shown(_png(pixels, columns, settings), caption)
    keep_showing(name)


def keep_showing(name: str) -> None:
    """Show the picture of a name, if there is one, with a button to download it."""
    shown: Shown | None = st.session_state.get(name)
    if shown is None:
        return
    st.image(shown.png)
    if shown.caption:
        st.caption(shown.caption)
    st.download_button(
        "Download PNG", shown.png, "pixelprior.png", "image/png", key=f"{name}/download"
    )
