"""Lossless coder of a model: blocks of grids to bytes, and back.

Legend: b batch, n images of a block, h height, w width, g channels, l lanes, t symbols per lane.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Int, Int32, Shaped, UInt32

from pixelprior.coding.intervals import MOST_LEVELS, Interval
from pixelprior.coding.rans import (
    SMALLEST,
    WORDS_PER_SYMBOL,
    Reader,
    start_of,
    states_of,
    write,
)
from pixelprior.coding.scan import Batch, code_grids, joined, num_lanes
from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.models.base import AutoregressiveModel, GridModel
from pixelprior.nn.embedding import OUTSIDE
from pixelprior.nn.weights_hash import hash_weights
from pixelprior.prior import Prior
from pixelprior.sizes import check_sizes
from pixelprior.system.programs import jit_by_structure

BLOCK_SYMBOLS = 1 << 21
"""Largest number of symbols of a block, unless one batch has more. It bounds the memory."""

BATCH_SIZE = 64
"""Number of images that are coded at once, unless the caller chooses another one."""

BLOCK_NUMBERS = 1 << 22
"""Largest number of numbers in the vectors of a block."""

LARGEST_BATCH = 1 << 16
"""Largest number of images that are coded at once."""

MOST_SYMBOLS = 1 << 25
"""Largest number of symbols of a batch."""

_STATE_BYTES = 6

Maps = Sequence[Any]
"""Symbols of some images, one array ``[n, h, w, g]`` for each grid of the model."""


class DamagedStreamError(InputError):
    """A stream that does not end where its last image does."""


class Codec:
    """Coder of the grids of a pixel model, or of the codes of a prior.

    Writing and reading run the same compiled program. It computes on one device, and compiles once
    per structure of the model and batch size. Reading gives the written grids only with the same
    weights, the same batch size, and a program that rounds in the same way.

    Examples:
        >>> codec = Codec(model, batch_size=64)
        >>> payload = codec.write([symbols], None)
        >>> (symbols,) = codec.read(payload, 64, None)

    Args:
        model: a pixel model, or a prior.
        batch_size: the number of images coded at once. The last batch is padded.

    Attributes:
        grids: the grids of an image: one, or one for each level of a prior, the coarsest first.
        context_shape: the kinds of context that the model takes.
        name: the name of the model's class.
        lanes: the number of lanes of a stream.

    Raises:
        InputError: if ``batch_size`` is below 1 or above `LARGEST_BATCH`.
    """

    def __init__(self, model: GridModel | Prior, *, batch_size: int = BATCH_SIZE):
        check_sizes(batch_size=batch_size)
        if batch_size > LARGEST_BATCH:
            raise InputError(f"batch_size must be at most {LARGEST_BATCH:,}, got {batch_size:,}")
        self._model = model
        self._graph, weights = nnx.split(model)
        # Weights on several devices would make another program.
        self._weights = jax.device_put(weights, jax.devices()[0])
        self.name = type(model).__name__
        self.batch_size = batch_size
        self.lanes = num_lanes(batch_size)
        self.context_shape = model.context_shape
        self.grids: tuple[Grid, ...] = model.grids if isinstance(model, Prior) else (model.grid,)
        if (levels := max(grid.levels for grid in self.grids)) > MOST_LEVELS:
            raise InputError(
                f"symbols of at most {MOST_LEVELS:,} values can be compressed, got {levels:,}"
            )
        if batch_size * self.num_symbols > MOST_SYMBOLS:
            raise InputError(
                f"a batch must have at most {MOST_SYMBOLS:,} symbols, got {batch_size:,} images "
                f"of {self.num_symbols:,}; give a smaller batch_size"
            )

        if batch_size * self.context_shape.vector_features > BLOCK_NUMBERS:
            raise InputError(
                f"the vectors of a batch must have at most {BLOCK_NUMBERS:,} numbers, got "
                f"{batch_size:,} vectors of {self.context_shape.vector_features:,}; give a smaller "
                "batch_size"
            )

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of the weights, and of the type that each network computes in."""
        types = [
            x.dtype for _, x in nnx.iter_graph(self._model) if isinstance(x, AutoregressiveModel)
        ]
        return hash_weights(self._model, {"model": self.name, "types": sorted(types)})

    @property
    def num_symbols(self) -> int:
        """Number of symbols of an image."""
        return sum(grid.size for grid in self.grids)

    @property
    def images_per_block(self) -> int:
        """Largest number of images of a block."""
        most = BLOCK_SYMBOLS // self.num_symbols
        if numbers := self.context_shape.vector_features:
            most = min(most, BLOCK_NUMBERS // numbers)
        return max(1, most // self.batch_size) * self.batch_size

    def write(self, maps: Maps, context: Context | None) -> bytes:
        """Write the grids of a block.

        Args:
            maps: symbols of all images, one array for each of ``grids``.
            context: the classes and vectors of the images; None for no condition.

        Raises:
            InputError: if the symbols or the context do not fit the model.
        """
        Grid.check_maps(list(maps), self.grids)
        if not len(maps[0]):
            raise InputError("expected at least one image to compress, got none")
        self.context_shape.check(context, len(maps[0]))
        nowhere = start_of(np.zeros(self.lanes, np.uint64))
        no_words = np.zeros(self._window, np.uint32)
        parts = []
        for batch in self._batches(len(maps[0])):
            given = [self._padded(np.asarray(level[batch], np.int32)) for level in maps]
            _, intervals, _ = self._code(given, context, batch, no_words, nowhere)
            parts.append(jax.tree.map(np.asarray, intervals))
        whole = Interval(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
        stream = write(*(x.astype(np.uint32) for x in whole))
        states = stream.states.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :_STATE_BYTES]
        return states.tobytes() + stream.words.astype("<u2").tobytes()

    def read(self, payload: bytes, num: int, context: Context | None) -> list[Any]:
        """Read the grids of a block that `write` has written.

        Args:
            payload: the result of `write`.
            num: the number of images.
            context: the classes and vectors of the images; None for no condition.

        Returns:
            The symbols of all images, one int32 array for each of ``grids``.

        Raises:
            DamagedStreamError: if the payload is damaged, or this program rounds in another way.
                Some damage stays unseen, so checksums must be compared too.
        """
        self.context_shape.check(context, num)
        states, words = self._parsed(payload)
        place, position = start_of(states), 0
        levels: list[list[Any]] = [[] for _ in self.grids]
        for batch in self._batches(num):
            count = len(range(*batch.indices(num)))
            # Images that pad the last batch are given, as they were for writing.
            given = [
                self._padded(np.full((count, *grid.shape), OUTSIDE, np.int32))
                for grid in self.grids
            ]
            window = np.zeros(self._window, np.uint32)
            here = words[position : position + self._window]
            window[: len(here)] = here
            maps, _, place = self._code(given, context, batch, window, place)
            position += int(place.position)
            if position > len(words):
                raise DamagedStreamError("the stream ends before its last image")
            # From the host again: an array of a device could make another program.
            place = Reader(np.asarray(place.states), np.int32(0))
            for level, part in zip(levels, maps, strict=True):
                level.append(np.asarray(part)[:count])
        if position != len(words) or (states_of(place) != SMALLEST).any():
            raise DamagedStreamError("the stream does not end where its last image does")
        return [np.concatenate(level) for level in levels]

    @property
    def _window(self) -> int:
        """Largest number of words that a batch takes."""
        return WORDS_PER_SYMBOL * self.batch_size * self.num_symbols

    def _batches(self, num: int) -> Iterator[slice]:
        for first in range(0, num, self.batch_size):
            yield slice(first, min(first + self.batch_size, num))

    def _padded(self, values: Shaped[np.ndarray, "_ ..."]) -> Shaped[np.ndarray, "b ..."]:
        missing = self.batch_size - len(values)
        return np.pad(values, [(0, missing), *[(0, 0)] * (values.ndim - 1)])

    def _code(
        self,
        given: Sequence[Int32[np.ndarray, "b _ _ g"]],
        context: Context | None,
        batch: slice,
        words: UInt32[np.ndarray, " w"],
        place: Reader,
    ) -> tuple[list[Int[Array, "b _ _ g"]], Interval, Reader]:
        counts = np.arange(self.batch_size) < batch.stop - batch.start
        here = jax.tree.map(lambda values: self._padded(_in_32_bits(values[batch])), context)
        return _code(self._weights, given, here, counts, words, place, graph=self._graph)

    def _parsed(self, payload: bytes) -> tuple[Any, Any]:
        size = _STATE_BYTES * self.lanes
        if len(payload) < size or (len(payload) - size) % 2:
            raise DamagedStreamError(f"a stream of {len(payload)} bytes is cut")
        states = np.zeros((self.lanes, 8), np.uint8)
        states[:, :_STATE_BYTES] = np.frombuffer(payload[:size], np.uint8).reshape(-1, _STATE_BYTES)
        return states.view("<u8")[:, 0].astype(np.uint64), np.frombuffer(payload[size:], "<u2")


def _in_32_bits(values: Any) -> Shaped[np.ndarray, "..."]:
    """Convert numbers to the types of JAX, so that equal ones run the same program."""
    array = np.asarray(values)
    return array.astype(np.float32 if jnp.issubdtype(array.dtype, jnp.floating) else np.int32)


@jit_by_structure()
def _code(weights, given, condition, counts, words, place, *, graph):
    model = nnx.merge(graph, weights)
    maps: list[Any] = []
    parts: list[Interval] = []
    for number, symbols in enumerate(given):
        level, context = model, condition
        if isinstance(model, Prior):
            level, context = model.levels[number], model.context(number, maps, condition)
        coded = code_grids(level, context, Batch(symbols, counts, words), place)
        maps.append(coded.grids)
        parts.append(coded.intervals)
        place = coded.reader
    return maps, joined(parts), place
