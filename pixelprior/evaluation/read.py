"""Read whole splits into memory, for measures that need all images at once.

Legend: n images, h height, w width, c channels.
"""

import numpy as np
from jaxtyping import Int, UInt8

from pixelprior.data import Split, Symbols, evaluation_batches, to_pixels
from pixelprior.figures.sheets import as_shades


def read_symbols(
    split: Split, symbols: Symbols, *, limit: int | None = None
) -> tuple[Int[np.ndarray, "n h w c"], Int[np.ndarray, " n"]]:
    """Read the first ``limit`` images of a split as symbols, or all of them, and their labels."""
    wanted = len(split) if limit is None else min(limit, len(split))
    images, labels, read = [], [], 0
    for batch in evaluation_batches(split, symbols, batch_size=min(512, wanted)):
        mask = batch["mask"]
        images.append(batch["image"][mask][: wanted - read])
        labels.append(batch["label"][mask][: wanted - read])
        read += len(images[-1])
        if read == wanted:
            break
    return np.concatenate(images), np.concatenate(labels)


def read_shades(
    split: Split, symbols: Symbols, limit: int | None = None
) -> tuple[UInt8[np.ndarray, "n h w c"], Int[np.ndarray, " n"]]:
    """Read the same images in 256 shades, as `sample.py` writes them."""
    images, labels = read_symbols(split, symbols, limit=limit)
    return as_shades(to_pixels(images, symbols.levels)).astype(np.uint8), labels
