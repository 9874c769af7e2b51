"""One program that both writes and reads grids: the cached step of sampling, with a coder in it.

Writing and reading must round the same probabilities. They therefore run the same compiled program
on the same shapes. For writing, the symbols are given, and the intervals are the result. For
reading, the stream is given, and the symbols are the result.

Legend: b batch, h height, w width, c channels, H and W: height and width of a stage's grid, l
lanes, g groups of lanes, t symbols per lane, d features, v values per symbol.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Int, UInt32

from pixelprior.coding.intervals import (
    TOTAL,
    Interval,
    integer_probabilities,
    interval_of,
    symbol_at,
)
from pixelprior.coding.rans import Reader, next_number, take
from pixelprior.context import Context
from pixelprior.models.base import AutoregressiveModel, GridModel, side_by_side
from pixelprior.nn.embedding import OUTSIDE
from pixelprior.sampling.draw_grids import part_of, with_part
from pixelprior.sampling.in_columns import columns_of

LANES = 8
"""Largest number of lanes. A lane costs about 5 bytes per stream."""


class Coded(NamedTuple):
    """Result of coding a batch.

    Attributes:
        grids: the symbols.
        intervals: the interval of each symbol, in the order of the stream: arrays ``[t, l]``.
        reader: the position in the stream after the last symbol.
    """

    grids: Int[Array, "b h w c"]
    intervals: Interval
    reader: Reader


class Batch(NamedTuple):
    """Images that are written or read together.

    Attributes:
        given: symbols that are written, and `OUTSIDE` for symbols that are read.
        counts: True for images that take part. The others cost no bits; their symbols are given.
        words: the words of the stream; any words if all symbols are given.
    """

    given: Int[Array, "b h w c"]
    counts: Bool[Array, " b"]
    words: UInt32[Array, " n"]


def num_lanes(batch: int) -> int:
    """Largest divisor of the batch size that is at most `LANES`."""
    return max(lanes for lanes in range(1, LANES + 1) if batch % lanes == 0)


def code_grids(model: GridModel, context: Context | None, batch: Batch, reader: Reader) -> Coded:
    """Write or read a batch of grids, one stage of the model after another."""
    grids = jnp.full(batch.given.shape, OUTSIDE, jnp.int32)
    parts: list[Interval] = []
    for number, stage in enumerate(model.stages()):
        positions = stage.positions(context, len(grids))
        here, known = (part_of(x, positions) for x in (batch.given, grids))
        # The pixels of earlier stages are known to the reader, and take no bits.
        here = jnp.where(known == OUTSIDE, here, known)
        conditions = stage.context(context, len(grids), known if number else None)
        coded = _code_stage(
            stage.model,
            conditions,
            batch._replace(given=here),
            known[0, ..., 0] == OUTSIDE,
            reader,
        )
        grids = with_part(grids, positions, coded.grids, batch.given.shape)
        parts.append(coded.intervals)
        reader = coded.reader
    return Coded(grids, joined(parts), reader)


def joined(parts: Sequence[Interval]) -> Interval:
    """Join intervals ``[t, l]`` along the stream."""
    return jax.tree.map(lambda *x: jnp.concatenate(x), *parts)


class _State(NamedTuple):
    """State passed from column to column."""

    left: Any
    previous: Int[Array, "b 1 c"]
    chunk: Any
    reader: Reader


def _code_stage(
    model: AutoregressiveModel,
    context: Context | None,
    batch: Batch,
    fresh: Bool[Array, "H W"],
    reader: Reader,
) -> Coded:
    model = model.for_steps()
    num, _, width, _ = batch.given.shape

    def row(carry: Any, inputs: Any) -> tuple[Any, Any]:
        cache, reader = carry
        number, given, fresh = inputs
        cache, above, left = model.start_row(cache, number)

        def column(state: _State, inputs: Any) -> tuple[_State, Any]:
            following, given, fresh = inputs
            features, left, trace = model.step(state.chunk, state.left, state.previous)
            pixel, intervals, reader = _code_pixel(
                model, features[:, 0], batch._replace(given=given), fresh, state.reader
            )
            # The next column is cut out one step ahead, as in `InColumns`.
            after = _State(left, pixel[:, None], columns_of(above, following, 1), reader)
            return after, (pixel, trace, intervals)

        start = _State(left, model.outside_pixel(num), columns_of(above, 0, 1), reader)
        each = jnp.arange(1, width + 1), jnp.moveaxis(given, 1, 0), fresh
        end, (pixels, traces, intervals) = lax.scan(column, start, each)
        pixels = jnp.moveaxis(pixels, 0, 1)
        cache = model.end_row(cache, pixels[:, None], jax.tree.map(side_by_side, traces))
        return (cache, end.reader), (pixels, intervals)

    start = model.init_cache(num, context), reader
    rows = jnp.arange(model.grid.height), jnp.moveaxis(batch.given, 1, 0), fresh
    (_, reader), (grids, intervals) = lax.scan(row, start, rows)
    flat = jax.tree.map(lambda x: x.reshape(-1, x.shape[-1]), intervals)
    return Coded(jnp.moveaxis(grids, 0, 1), flat, reader)


def _code_pixel(
    model: AutoregressiveModel,
    features: Any,
    batch: Batch,
    fresh: Bool[Array, ""],
    reader: Reader,
) -> tuple[Int[Array, "b c"], Interval, Reader]:
    """Code one pixel of each image, channel by channel."""
    num, channels = batch.given.shape
    pixel = jnp.zeros((num, 0), jnp.int32)
    parts = []
    for channel in range(channels):
        lengths = integer_probabilities(model.head.logits(features, pixel))
        reader, (symbols, interval) = _code_symbols(
            lengths, batch, batch.given[:, channel], batch.counts & fresh, reader
        )
        pixel = jnp.concatenate([pixel, symbols[:, None]], axis=1)
        parts.append(interval)
    return pixel, jax.tree.map(lambda *x: jnp.stack(x), *parts), reader


def _code_symbols(
    lengths: Int[Array, "b v"],
    batch: Batch,
    given: Int[Array, " b"],
    counts: Bool[Array, " b"],
    reader: Reader,
) -> tuple[Reader, tuple[Int[Array, " b"], Interval]]:
    """Code one symbol of each image, group after group; the images of a group have a lane each."""
    lanes = reader.states.shape[1]

    def group(reader: Reader, inputs: Any) -> tuple[Reader, Any]:
        lengths, given, counts = inputs
        number = next_number(reader)
        symbols = jnp.where(given == OUTSIDE, symbol_at(lengths, number), given)
        found = interval_of(lengths, symbols)
        interval = Interval(
            jnp.where(counts, found.start, 0), jnp.where(counts, found.length, TOTAL)
        )
        return take(reader, batch.words, number, interval), (symbols, interval)

    by_group = jax.tree.map(lambda x: x.reshape(-1, lanes, *x.shape[1:]), (lengths, given, counts))
    reader, (symbols, interval) = lax.scan(group, reader, by_group)
    return reader, (symbols.reshape(-1), interval)
