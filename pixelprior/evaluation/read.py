"""Whole splits in memory, for yardsticks that are fitted to them.

Legend: n images, h height, w width, c channels.
"""

import numpy as np
from jaxtyping import Int

from pixelprior.data import Split, Symbols, evaluation_batches


def read_symbols(
    split: Split, symbols: Symbols, *, limit: int | None = None
) -> tuple[Int[np.ndarray, "n h w c"], Int[np.ndarray, " n"]]:
    """The first ``limit`` images of a split as symbols, or all of them, and their labels."""
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
