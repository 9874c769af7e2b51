"""Pictures on the page: they fill up, can be stopped and downloaded, and stay on the page."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pixelprior.figures.sheets import png_bytes
from pixelprior.runs.samples import Pixels

SIDE = 640
"""Approximate longer side in pixels to which a picture of small images is enlarged."""


class Shown(NamedTuple):
    """A picture that stays while its page is open.

    Attributes:
        png: the PNG file, which includes the settings of the picture.
        caption: the text below the picture.
        settings: the settings of the picture.
    """

    png: bytes
    caption: str
    settings: Mapping[str, Any]


def picture_and_button(
    name: str,
    label: str,
    settings: Mapping[str, Any],
    frames: Callable[[], Iterator[Pixels]],
    total: int,
    *,
    columns: int | None = None,
    pressed: bool | None = None,
    at_once: bool = False,
    earlier: bytes | None = None,
    on_other: Callable[[], None] | None = None,
) -> bool:
    """Show a picture, and below it the button that draws it anew, frame by frame.

    A picture stays until another one replaces it, even if it was stopped halfway.

    Args:
        name: the name of the picture on this page. A new name starts empty.
        label: the text on the button.
        settings: the settings of the picture.
        frames: makes the picture.
        total: the number of frames.
        columns: see `png_bytes`.
        pressed: True if another button asks for the picture; None if there is no other button.
        at_once: make the first picture without a click.
        earlier: a picture to show until the first frame is there.
        on_other: called before other images are drawn at the user's request.

    Returns:
        True if the picture was made now. Then call `st.rerun`, because Streamlit leaves old
        elements on the page.
    """
    place, row = st.container(), st.container(horizontal=True)
    kind: Literal["primary", "secondary"] = "primary" if pressed is None else "secondary"
    wanted = row.button(label, type=kind, key=f"{name}/draw") or bool(pressed)
    if on_other is not None:
        wanted = row.button("Other images", key=f"{name}/other", on_click=on_other) or wanted
    first = at_once and f"{name}/begun" not in st.session_state
    if wanted or first:
        # Set first: a picture that is stopped before its first row does not begin again.
        st.session_state[f"{name}/begun"] = True
        row.button("Stop", key=f"{name}/stop")
        with place:
            _watch(name, settings, frames(), total, columns, earlier)
        return True
    _keep_showing(name, settings, place, row)
    return False


def _watch(
    name: str,
    settings: Mapping[str, Any],
    frames: Iterator[Pixels],
    total: int,
    columns: int | None,
    earlier: bytes | None,
) -> None:
    st.session_state.pop(name, None)
    picture, bar = st.empty(), st.empty()
    if earlier is not None:
        picture.image(earlier, alt="earlier images of this run")
    old = "" if earlier is None else "These are earlier images. "
    bar.progress(0.0, f"{old}Compiling (first time only) ...")
    for number, pixels in enumerate(frames, start=1):
        done = f"{number} of {total} rows"
        shown = Shown(
            _png(pixels, columns, {**settings, "drawn": done}),
            "" if number == total else f"stopped after {done}",
            settings,
        )
        st.session_state[name] = shown
        picture.image(shown.png, alt=_alt(settings))
        bar.progress(number / total, done)


def _png(pixels: Pixels, columns: int | None, settings: Mapping[str, Any]) -> bytes:
    return png_bytes(pixels, columns=columns, side=SIDE, settings=settings)


def _alt(settings: Mapping[str, Any]) -> str:
    return "images: " + ", ".join(
        f"{name} {value}" for name, value in settings.items() if name in ("run", "image", "seed")
    )


def show(
    name: str,
    pixels: Pixels,
    settings: Mapping[str, Any],
    caption: str,
    *,
    columns: int | None = None,
) -> None:
    """Show a finished picture."""
    st.session_state[name] = Shown(_png(pixels, columns, settings), caption, settings)
    _keep_showing(name, settings, st.container(), st.container())


def _keep_showing(
    name: str, settings: Mapping[str, Any], place: DeltaGenerator, row: DeltaGenerator
) -> None:
    """Show the picture of a name, if there is one, with a button to download it."""
    shown: Shown | None = st.session_state.get(name)
    if shown is None:
        return
    place.image(shown.png, alt=_alt(shown.settings))
    if shown.settings != settings:
        place.caption("The settings have changed since this picture was drawn.")
    if shown.caption:
        place.caption(shown.caption)
    row.download_button(
        "Download PNG", shown.png, "pixelprior.png", "image/png", key=f"{name}/download"
    )
