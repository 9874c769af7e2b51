"""Sample row by row, several columns at a time.

Legend: b batch, h height, w width, c channels, d features, k columns of a block, n blocks.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Shaped

from pixelprior.errors import InputError
from pixelprior.models.base import AutoregressiveModel, side_by_side
from pixelprior.nn.embedding import OUTSIDE
from pixelprior.sampling.draw import draw_pixel
from pixelprior.sampling.sampler import Drawn, Inputs
from pixelprior.sampling.strategies import Strategy


@dataclasses.dataclass(frozen=True)
class InColumns:
    """Sampler that draws each row in blocks of columns, by fixed-point iteration.

    `start_row` runs once per row. `step` runs on a block of columns until their symbols stop
    changing.

    With one column at a time nothing is guessed. Every position is evaluated once, so an image
    costs one evaluation of the network in all. Wider blocks take fewer steps, but each step does
    more work. Their first guess is the row above. A finished block is not computed again. A row
    whose pixels are all given takes one step.

    Attributes:
        columns: number of columns in a block; None for a whole row.

    Raises:
        InputError: if ``columns`` is below 1, or does not fit the model's coarser grids.
    """

    columns: int | None = None

    def __call__(self, model: AutoregressiveModel, inputs: Inputs) -> Drawn:
        """See `Sampler`."""
        model = model.for_steps()

        def row(state: RowState, of_row: Any) -> tuple[RowState, Any]:
            state = self.row(model, inputs.strategies, state, *of_row)
            return state, state.pixels

        by_row = jax.tree.map(lambda y: jnp.moveaxis(y, 1, 0), (inputs.noise, inputs.given))
        rows = jnp.arange(inputs.noise.shape[1]), *by_row, inputs.given_rows
        state, pixels = lax.scan(row, self.start(model, inputs), rows)
        return Drawn(jnp.moveaxis(pixels, 0, 1), jnp.full(len(inputs.noise), state.evaluations))

    def start(self, model: AutoregressiveModel, inputs: Inputs) -> "RowState":
        """Create the state for the first row.

        The model must already come from `AutoregressiveModel.for_steps`.
        """
        self._columns(model, inputs.noise.shape[2])
        batch, _, *row = inputs.noise.shape
        return RowState(
            model.init_cache(batch, inputs.context),
            jnp.zeros((batch, *row), jnp.int32),
            jnp.zeros((), jnp.int32),
        )

    def row(
        self,
        model: AutoregressiveModel,
        strategies: Sequence[Strategy],
        state: "RowState",
        number: Int[Array, ""],
        noise: Float[Array, "b w c"],
        given: Int[Array, "b w c"] | None,
        is_given: Bool[Array, ""] | None,
    ) -> "RowState":
        """Draw one row, and return the state for the next one; see `Inputs` for its parts."""
        width = noise.shape[1]
        columns = self._columns(model, width)
        cache, above, left = model.start_row(state.cache, number)
        guess = state.pixels if given is None else jnp.where(given == OUTSIDE, state.pixels, given)
        choices = _Choices(noise, given, guess)

        def draw(columns: int) -> tuple[Int[Array, "b w c"], Any, Int[Array, ""]]:
            return _row(model, strategies, columns, above, left, choices)

        if is_given is None or columns == width:
            pixels, traces, count = draw(columns)
        else:
            pixels, traces, count = lax.cond(is_given, lambda: draw(width), lambda: draw(columns))
        cache = model.end_row(cache, pixels[:, None], traces)
        return RowState(cache, pixels, state.evaluations + count)

    def _columns(self, model: AutoregressiveModel, width: int) -> int:
        columns = width if self.columns is None else min(self.columns, width)
        if columns < 1 or (columns not in (1, width) and columns % model.column_multiple):
            raise InputError(
                f"this model can be evaluated at 1, all {width}, or a multiple of "
                f"{model.column_multiple} columns at a time, got {columns}"
            )
        return columns


class RowState(NamedTuple):
    """State passed from row to row.

    Attributes:
        cache: the model's cache.
        pixels: the last row drawn; the first guess for the next row.
        evaluations: number of evaluations in all rows so far, see `Drawn`.
    """

    cache: Any
    pixels: Int[Array, "b w c"]
    evaluations: Int[Array, ""]


class _Choices(NamedTuple):
    """Noise, given symbols and first guess of some columns."""

    noise: Float[Array, "b k c"]
    given: Int[Array, "b k c"] | None
    guess: Int[Array, "b k c"]


def _row(
    model: AutoregressiveModel,
    strategies: Sequence[Strategy],
    columns: int,
    above: Any,
    left: Any,
    choices: _Choices,
) -> tuple[Int[Array, "b w c"], Any, Int[Array, ""]]:
    """Draw a row block by block; return its pixels, its traces, and the evaluations."""
    batch, width, _ = choices.noise.shape
    full = width - width % columns

    def block(carry: Any, inputs: Any) -> tuple[Any, Any]:
        left, previous, chunk = carry
        next_column, choices = inputs
        pixels, left, trace, count = _settle(model, strategies, chunk, left, previous, choices)
        after = left, pixels[:, -1:], columns_of(above, next_column, columns)
        return after, (pixels, trace, count)

    # Each block is cut out one step ahead and carried. If it were cut out where it is used, XLA
    # would fuse the cut into the activations. On CPUs these would then run eight times slower.
    start = left, model.outside_pixel(batch), columns_of(above, 0, columns)
    by_block = jax.tree.map(lambda y: _blocks(y[:, :full], columns), choices)
    next_columns = jnp.arange(columns, full + 1, columns)
    (left, previous, _), (blocks, traces, counts) = lax.scan(block, start, (next_columns, by_block))
    pixels = jnp.moveaxis(blocks, 0, 1).reshape(batch, full, -1)
    traces = jax.tree.map(side_by_side, traces)
    if full == width:
        return pixels, traces, counts.sum()
    rest, _, trace, count = _settle(
        model,
        strategies,
        columns_of(above, full, width - full),
        left,
        previous,
        jax.tree.map(lambda y: y[:, full:], choices),
    )
    traces = jax.tree.map(lambda x, y: jnp.concatenate([x, y], axis=-2), traces, trace)
    return jnp.concatenate([pixels, rest], axis=1), traces, counts.sum() + count


def _settle(
    model: AutoregressiveModel,
    strategies: Sequence[Strategy],
    above: Any,
    left: Any,
    previous: Int[Array, "b 1 c"],
    choices: _Choices,
) -> tuple[Int[Array, "b k c"], Any, Any, Int[Array, ""]]:
    """Draw a block; return its pixels, the state after it, its trace, and the evaluations."""
    noise, given, guess = choices

    def evaluate(x: Int[Array, "b k c"]) -> tuple[Int[Array, "b k c"], Any, Any]:
        before = jnp.concatenate([previous, x[:, :-1]], axis=1)
        features, after, trace = model.step(above, left, before)
        return draw_pixel(model.head, features, noise, strategies, given), after, trace

    first = evaluate(guess)
    if guess.shape[1] == 1:  # no other column of this block depends on it
        return *first, jnp.asarray(1)

    def unlike(x: Int[Array, "b k c"], y: Int[Array, "b k c"]) -> Array:
        # No column of this block depends on the last one.
        return (x != y)[:, :-1].any()

    def again(state: Any) -> Any:
        (x, *_), _, evaluations = state
        result = evaluate(x)
        return result, unlike(result[0], x), evaluations + 1

    state = first, unlike(first[0], guess), jnp.asarray(1)
    result, _, evaluations = lax.while_loop(lambda state: state[1], again, state)
    return *result, evaluations


def columns_of(row: Any, first: int | Int[Array, ""], columns: int) -> Any:
    """Cut chunks ``[..., k, d]`` of columns out of arrays ``[..., w, d]``.

    Beyond the end, the chunk holds the last columns. Arrays ``[..., 1, d]`` are the same at every
    column and are returned whole.
    """
    return jax.tree.map(
        lambda x: x if x.shape[-2] == 1 else lax.dynamic_slice_in_dim(x, first, columns, axis=-2),
        row,
    )


def _blocks(x: Shaped[Array, "b w c"], columns: int) -> Shaped[Array, "n b k c"]:
    """Split a row into blocks of columns, one after the other."""
    batch, width, channels = x.shape
    return jnp.moveaxis(x.reshape(batch, width // columns, columns, channels), 1, 0)
