"""Blocks of images to compress; for a prior, blocks of their codes.

Legend: n images, h height, w width, c channels, g codebooks.
"""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from pixelprior import jitted
from pixelprior.coding.codec import Codec
from pixelprior.coding.compressed import Images
from pixelprior.context import Context
from pixelprior.data import to_pixels
from pixelprior.errors import InputError
from pixelprior.runs.compression.sources import Source
from pixelprior.runs.run import Run
from pixelprior.tokenizers import VQVAE


class Blocks:
    """Images of a source in blocks; for a prior, their codes.

    The images of a prior are read and encoded in batches, so that only codes are kept.

    Args:
        run: the run.
        codec: the coder of its model.
        source: the images.
    """

    def __init__(self, run: Run, codec: Codec, source: Source):
        self._tokenizer, self._codec, self._source = run.tokenizer, codec, source
        self._squared_error, self._encoded = 0.0, 0

    def __iter__(self) -> Iterator[Images]:
        """Yield the blocks in turn."""
        num, names = len(self._source), self._source.names
        for first in range(0, num, self._codec.images_per_block):
            numbers = range(first, min(first + self._codec.images_per_block, num))
            try:
                maps, context = self._read(numbers)
            # Not to be taken for an error of writing the result.
            except OSError as error:
                reason = error.strerror or error
                raise InputError(
                    f"the images cannot be read ({reason}); mend their files, or give others"
                ) from error
            facts = {} if names is None else {"names": [names[number] for number in numbers]}
            yield Images(maps, context, facts)

    @property
    def mean_squared_error(self) -> float | None:
        """Mean squared error of the images that were encoded so far, for pixels in [0, 1].

        None for a pixel model, which loses nothing.
        """
        return self._squared_error / self._encoded if self._encoded else None

    def _read(self, numbers: range) -> tuple[list[Any], Context | None]:
        if self._tokenizer is None:
            symbols, context = self._source.read(numbers)
            return [symbols], context
        maps: list[Any] = []
        contexts: list[Any] = []
        size = self._codec.batch_size
        for first in range(numbers.start, numbers.stop, size):
            symbols, context = self._source.read(range(first, min(first + size, numbers.stop)))
            maps.append(self._encode(self._tokenizer, symbols))
            contexts.append(context)
        joined = [np.concatenate(level) for level in zip(*maps, strict=True)]
        return joined, jax.tree.map(lambda *parts: np.concatenate(parts), *contexts)

    def _encode(
        self, tokenizer: VQVAE, symbols: Int[np.ndarray, "n h w c"]
    ) -> list[Int[np.ndarray, "n _ _ g"]]:
        """Encode a batch, and add up the error of its reconstructions."""
        pixels = to_pixels(symbols, tokenizer.grid.levels)
        num = len(pixels)
        codes = jitted.encode(tokenizer, padded(pixels, self._codec.batch_size))
        again = np.asarray(jitted.decode(tokenizer, codes))[:num]
        self._squared_error += float(np.square(again - pixels).mean(axis=(1, 2, 3)).sum())
        self._encoded += num
        return [np.asarray(level)[:num] for level in codes]


def decoded(tokenizer: VQVAE, maps: Any, batch_size: int) -> Float[np.ndarray, "n h w c"]:
    """Decode codes in batches. Returns pixels in [0, 1]."""
    parts = []
    for first in range(0, len(maps[0]), batch_size):
        batch = [level[first : first + batch_size] for level in maps]
        pixels = jitted.decode(tokenizer, [padded(level, batch_size) for level in batch])
        parts.append(np.asarray(pixels)[: len(batch[0])])
    return np.concatenate(parts)


def padded(values: Any, num: int) -> Any:
    """Add zeros up to a number of images, so that one shape is compiled."""
    return np.pad(values, [(0, num - len(values)), *[(0, 0)] * (values.ndim - 1)])
