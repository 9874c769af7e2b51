"""Completion: the user gives or draws part of an image, and the model draws the rest.

Legend: h height, w width, c channels, k attributes.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import streamlit as st
from jaxtyping import Bool, Float, Int
from PIL import Image
from streamlit_drawable_canvas import st_canvas

import pixelprior as pp
from pixelprior.data import to_pixels
from pixelprior.demo.controls import in_words, num_images, request_controls
from pixelprior.demo.link import LINKED
from pixelprior.demo.shown import picture_and_button
from pixelprior.demo.subject import Subject, choose_subject
from pixelprior.figures.sheets import as_shades, picture
from pixelprior.runs.parts import grey_where_unknown, known_codes, known_mask, known_symbols
from pixelprior.runs.samples import Known, Numbers, samples_of, sees_all_known

CANVAS = 320
"""Approximate longer side of an image to paint on, in screen pixels."""

TOUCHED = 0.25
"""Smallest painted share of a pixel that counts as painted."""

BRUSHED = "all but the part that I brush away"
PARTS = ("top half", "left half", BRUSHED)
BY_HAND = "my drawing"


class _Part(NamedTuple):
    """The known part of one image."""

    symbols: Int[np.ndarray, "1 h w c"]
    mask: Bool[np.ndarray, "h w"]
    label: int | None
    name: str
    vector: Float[np.ndarray, "1 k"] | None = None

    @property
    def digest(self) -> str:
        """Digest of the known pixels, which tells an upload or a stroke from another one."""
        known = np.where(self.mask[..., None], self.symbols, -1)
        return hashlib.sha256(np.ascontiguousarray(known, np.int32).tobytes()).hexdigest()[:16]


def complete(root: Path, run: str, trained: pp.Run) -> None:
    """Let the user choose the known part of an image, and draw the rest several times."""
    request = request_controls(trained)
    # Strokes by hand are pixels. For a prior they would be parts of codes.
    parts = [*PARTS, BY_HAND] if trained.task == "pixels" else list(PARTS)
    with st.sidebar:
        kind = st.radio("Known part", parts, key="known", bind=LINKED)
    num = num_images()
    picture, inputs = st.container(), st.container()
    with inputs:
        if kind == BY_HAND:
            part = _by_hand(run, trained)
        else:
            part = _of_an_image(root, run, trained, kind)
    if part is None:
        return
    pixels = to_pixels(part.symbols, trained.data["levels"])
    with inputs:
        # The text keeps the toolbar of the second picture away from the buttons of the first one.
        one = "pixel" if trained.tokenizer is None else "code"
        st.caption("The known part; the evenly grey part is drawn. " + _dependence(trained, one))
        st.image(
            _enlarged(grey_where_unknown(pixels, part.mask)[0]), alt=f"known part of {part.name}"
        )

    def given(numbers: Numbers) -> Any:
        if trained.tokenizer is None:
            return np.repeat(known_symbols(part.symbols, part.mask), len(numbers), axis=0)
        codes = known_codes(trained.tokenizer, pixels, part.mask)
        return [np.repeat(np.asarray(level), len(numbers), axis=0) for level in codes]

    samples = samples_of(trained, request, _known(trained, part, given))
    with picture:
        drawn = picture_and_button(
            f"{run}/complete",
            "Complete",
            {
                **in_words(run, trained, request),
                **{"image": part.name, "known": kind, "digest": part.digest, "images": num},
            },
            lambda: samples.rows(np.arange(num)),
            samples.num_rows,
            # A part that is painted by hand may not be finished yet.
            at_once=kind in PARTS[:2],
        )
    if drawn:
        st.rerun()


def _known(trained: pp.Run, part: _Part, given: Callable[[Numbers], Any]) -> Known:
    """Known part of the completions, with the class and the attributes of its image.

    If the class is unknown, the completions use all classes in turn.
    """
    label, vector = part.label, part.vector
    num_classes = max(1, len(trained.data["class_names"]))
    return Known(
        given,
        lambda n: n % num_classes if label is None else np.full(len(n), label),
        None if vector is None else lambda n: np.repeat(vector, len(n), axis=0),
    )


def _dependence(trained: pp.Run, one: str) -> str:
    if sees_all_known(trained):
        return f"This model draws in any order. Each drawn {one} depends on all known {one}s."
    return (
        f"This model draws {one}s row by row from the top. Each drawn {one} depends on the {one}s "
        f"above it and to its left. Known {one}s below it or to its right stay as they are, but "
        "are not taken into account."
    )


def _of_an_image(root: Path, run: str, trained: pp.Run, kind: str) -> _Part | None:
    subject: Subject | None = choose_subject(root, run, trained, "Complete")
    if subject is None:
        return None
    height, width, _ = trained.data["shape"]
    if kind == BRUSHED:
        st.write("Brush away the part to draw again:")
        painted = _canvas(f"{run}/mask", height, width, subject.pixels[0], "#ff9500")
        mask = painted < TOUCHED
        if mask.all():
            return None
    else:
        mask = known_mask(kind.split()[0], height, width)
    return _Part(subject.symbols, mask, subject.label, subject.name, subject.vector)


def _by_hand(run: str, trained: pp.Run) -> _Part | None:
    height, width, channels = trained.data["shape"]
    with st.sidebar:
        down_to = st.checkbox(
            "Dark pixels are known too",
            value=True,
            key=f"{run}/down_to",
            help="Those down to the lowest stroke.",
        )
    strokes = _canvas(f"{run}/strokes", height, width, None, "#ffffff")
    touched = strokes >= TOUCHED
    if not touched.any():
        st.caption("Draw the beginning of something: light on dark, from the top.")
        return None
    levels = trained.data["levels"]
    symbols = np.rint(strokes * (levels - 1)).astype(np.int32)
    mask = touched
    if down_to:
        mask = np.broadcast_to(np.arange(height)[:, None] <= touched.nonzero()[0].max(), mask.shape)
    if mask.all():
        st.caption("Nothing is left to draw: leave the last rows free.")
        return None
    image = np.broadcast_to(symbols[None, :, :, None], (1, height, width, channels))
    return _Part(image, mask, None, "drawn by hand")


def _canvas(
    key: str, height: int, width: int, image: Float[np.ndarray, "h w c"] | None, colour: str
) -> Float[np.ndarray, "h w"]:
    """Show a canvas on an image or on black; return the painted share of each pixel, 0 to 1."""
    scale = max(1, CANVAS // max(height, width))
    result = st_canvas(
        key=key,
        height=height * scale,
        width=width * scale,
        background_image=None if image is None else _enlarged(image, scale),
        background_color="#000000" if image is None else "",
        stroke_color=colour,
        stroke_width=max(2, round(1.5 * scale)),
        drawing_mode="freedraw",
        return_image_data=True,
    )
    if result.image_data is None:
        return np.zeros((height, width))
    drawn = result.image_data
    painted = drawn[..., 3] if image is not None else drawn[..., 0]
    small = Image.fromarray(painted).resize((width, height), Image.Resampling.BOX)
    return np.asarray(small) / 255


def _enlarged(image: Float[np.ndarray, "h w c"], scale: int | None = None) -> Image.Image:
    height, width, _ = image.shape
    scale = scale or max(1, CANVAS // 2 // max(height, width))
    shades = as_shades(image).astype(np.uint8)
    return picture(shades).resize((width * scale, height * scale), Image.Resampling.NEAREST)
