"""Choice of an image: a test image, one that the run draws, or an upload of the user.

Legend: h height, w width, c channels, k attributes.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import streamlit as st
from jaxtyping import Float, Int

import pixelprior as pp
from pixelprior.data import Symbols, to_pixels
from pixelprior.data.pictures.upload import FORMATS, decode_upload
from pixelprior.demo.cached import test_images
from pixelprior.demo.link import LINKED
from pixelprior.runs.images import OWN, TestImages
from pixelprior.runs.samples import Request, samples_of

TEST, UPLOAD = "a test image", "an upload"
DRAWN = "a drawn image"
"""Image that the run itself draws. It takes the place of test images that are not there."""


class Subject(NamedTuple):
    """An image in the symbols of a run.

    Attributes:
        symbols: the symbols of the image.
        levels: the number of values per symbol.
        label: the class of the image; None if it is not known.
        name: a name to show.
        vector: the attributes of the image; None if they are not known, or the run takes none.
    """

    symbols: Int[np.ndarray, "1 h w c"]
    levels: int
    label: int | None
    name: str
    vector: Float[np.ndarray, "1 k"] | None = None

    @property
    def pixels(self) -> Float[np.ndarray, "1 h w c"]:
        """Pixels of the image, in [0, 1]."""
        return to_pixels(self.symbols, self.levels)


def choose_subject(
    root: Path, run: str, trained: pp.Run, title: str, *, number: int = 0
) -> Subject | None:
    """Ask for an image, in the sidebar; None until there is one.

    An error of an upload appears where this is called. The first test image shown is ``number``.
    """
    # The place of the error exists in every case. An old error is therefore replaced at once.
    problem = st.empty()
    images = test_images(root, run)
    missing = images if isinstance(images, str) else None
    ready = TEST if missing is None else DRAWN
    choices = [ready, UPLOAD] if missing is None or trained.can_sample else [UPLOAD]
    key = title.lower()
    with st.sidebar:
        why = None if missing is None else f"There are no test images: {missing}"
        source = st.radio(
            title, choices, horizontal=True, key=f"{key}_source", bind=LINKED, help=why
        )
        if source == ready:
            number = int(
                st.number_input(
                    "Image number", 0, 2**31 - 1, number, key=f"{key}_number", bind=LINKED
                )
            )
            if isinstance(images, str):
                return _drawn_image(trained, number)
            return _test_image(trained, images, number)
        file = st.file_uploader(f"Image ({', '.join(FORMATS)})", key=f"{key}/file")
        invert = st.checkbox("Invert brightness", key=f"{key}/invert", help="For dark ink.")
    if file is None:
        problem.info("Choose a picture in the sidebar.")
        return None
    try:
        symbols = as_symbols(file.getvalue(), trained, invert=invert)
    except pp.InputError as error:
        problem.error(f"{file.name}: {error}")
        return None
    return Subject(symbols, trained.data["levels"], None, f"upload {file.name}")


def _test_image(trained: pp.Run, images: TestImages, number: int) -> Subject:
    one = np.array([number])
    label = int(images.labels(one)[0])
    takes_vector = trained.config.get("attribute_conditional", False)
    return Subject(
        images.symbols(one),
        trained.data["levels"],
        None if label < 0 else label,
        f"test image {number}",
        images.attributes(one) if takes_vector else None,
    )


def _drawn_image(trained: pp.Run, number: int) -> Subject:
    samples = samples_of(trained, Request(0, [()], None, None, "auto"))
    pixels = samples.pixels(samples.draw(np.array([number])))
    levels = trained.data["levels"]
    symbols = np.rint(pixels * (levels - 1)).astype(np.int32)
    label = number % samples.num_classes if samples.num_classes else None
    return Subject(symbols, levels, label, f"drawn image {number}")


def as_symbols(data: bytes, trained: pp.Run, *, invert: bool) -> Int[np.ndarray, "1 h w c"]:
    """Convert an image file to the symbols of a run.

    Raises:
        InputError: see `decode_upload`.
    """
    config = trained.tokenizer_config or trained.config
    height, width, channels = trained.data["shape"]
    image = decode_upload(data, (height, width, channels), invert=invert)
    symbols = Symbols(config["levels"], config["binarisation"])
    return symbols.to_symbols(image[None], 256, split=OWN, indices=[0])
