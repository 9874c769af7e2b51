"""Causal attention over a grid: each position looks at its own and at those before it.

Legend: b batch, h height, w width, d features, n heads, f features of a head, r rows of the window,
q queries, k keys.

Over whole grids the layer takes and gives ``[b, h, w, d]``. Some columns at a time, the keys and
values of finished rows lie in an `AttentionCache`, those of the current row in a `RowOfKeys`.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from pixelprior.errors import InputError
from pixelprior.nn.initializers import linear

CHUNKS = 7
"""Whole grids are attended to in at least so many parts, each looking only as far as its own end:
so 57% of the scores are computed, where 50% are needed."""


class AttentionCache(NamedTuple):
    """Keys and values of the ``r`` rows before the one that is next, the nearest last."""

    keys: Float[Array, "b n r w f"]
    values: Float[Array, "b n r w f"]


class RowOfKeys(NamedTuple):
    """What positions leave to the next: all earlier keys and values, and how many there are."""

    above: AttentionCache
    rows: Int[Array, ""]  # of `above`, how many are rows of the grid
    keys: Float[Array, "b n w f"]
    values: Float[Array, "b n w f"]
    columns: Int[Array, ""]  # of `keys`, how many are known


class CausalAttention(nnx.Module):
    """Multi-head attention (Vaswani et al. 2017, section 3.2.2) in raster order.

    Args:
        d: features in.
        e: features out.
        num_heads: must divide ``e``.
        window_rows: how many rows above the own one are looked at; in a grid of fewer, all.
        rngs: where the initial weights come from.

    Raises:
        InputError: if the heads do not divide the features.
    """

    def __init__(self, d: int, e: int, *, num_heads: int, window_rows: int, rngs: nnx.Rngs):
        if e % num_heads:
            raise InputError(f"num_heads must divide the {e} features, got {num_heads}")
        self.num_heads = num_heads
        self.window_rows = window_rows
        self.project = linear(d, 3 * e, use_bias=False, rngs=rngs)
        self.output = linear(e, e, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w d"]) -> Float[Array, "b h w e"]:
        """Attention over whole grids."""
        query, key, value = self._heads(x)
        attended = attend(query, key, value, self.window_rows)
        return self.output(attended.reshape(*x.shape[:-1], -1))

    def init_cache(self, batch: int, height: int, width: int) -> AttentionCache:
        """Before the first row: places for as many rows as are ever looked at."""
        rows = min(self.window_rows, height - 1)
        features = self.output.kernel.shape[0] // self.num_heads
        empty = jnp.zeros((batch, self.num_heads, rows, width, features), self.project.kernel.dtype)
        return AttentionCache(empty, empty)

    def start_row(self, cache: AttentionCache, row: Int[Array, ""]) -> RowOfKeys:
        """The state before the first column of a row."""
        batch, heads, rows, width, features = cache.keys.shape
        empty = jnp.zeros((batch, heads, width, features), cache.keys.dtype)
        return RowOfKeys(cache, jnp.minimum(row, rows), empty, empty, jnp.zeros((), jnp.int32))

    def step(
        self, x: Float[Array, "b 1 q d"], state: RowOfKeys
    ) -> tuple[
        Float[Array, "b 1 q e"],
        RowOfKeys,
        tuple[Float[Array, "b n q f"], Float[Array, "b n q f"]],
    ]:
        """The next columns; returns their result, the state after them, their keys and values."""
        query, key, value = (jnp.moveaxis(part[:, 0], 1, 2) for part in self._heads(x))
        # How many keys of the row each column looks at: its own is the last.
        known_columns = state.columns + 1 + jnp.arange(x.shape[2])
        state = state._replace(
            keys=lax.dynamic_update_slice_in_dim(state.keys, key, state.columns, axis=2),
            values=lax.dynamic_update_slice_in_dim(state.values, value, state.columns, axis=2),
            columns=state.columns + x.shape[2],
        )
        batch, heads, rows, width, features = state.above.keys.shape
        flat = (batch, heads, rows * width, features)
        query = query / math.sqrt(features)
        scores = jnp.concatenate(
            [
                jnp.einsum("bnqf,bnkf->bnqk", query, state.above.keys.reshape(flat)),
                jnp.einsum("bnqf,bnkf->bnqk", query, state.keys),
            ],
            axis=-1,
        ).astype(jnp.float32)
        # The nearest rows are last, so those that are not rows of the grid come first.
        above = jnp.arange(rows * width) >= (rows - state.rows) * width
        known = jnp.concatenate(
            [
                jnp.broadcast_to(above, (x.shape[2], rows * width)),
                jnp.arange(width) < known_columns[:, None],
            ],
            axis=-1,
        )
        weights = jax.nn.softmax(jnp.where(known, scores, -jnp.inf)).astype(key.dtype)
        of_above, of_row = jnp.split(weights, [rows * width], axis=-1)
        attended = jnp.einsum("bnqk,bnkf->bqnf", of_above, state.above.values.reshape(flat))
        attended = attended + jnp.einsum("bnqk,bnkf->bqnf", of_row, state.values)
        return self.output(attended.reshape(*x.shape[:-1], -1)), state, (key, value)

    def end_row(
        self,
        cache: AttentionCache,
        trace: tuple[Float[Array, "b n w f"], Float[Array, "b n w f"]],
    ) -> AttentionCache:
        """Takes a finished row in, and forgets the one that falls out of the window."""
        keys, values = (part[:, :, None] for part in trace)
        return AttentionCache(
            jnp.concatenate([cache.keys, keys], axis=2)[:, :, 1:],
            jnp.concatenate([cache.values, values], axis=2)[:, :, 1:],
        )

    def _heads(self, x: Float[Array, "b h w d"]) -> list[Float[Array, "b h w n f"]]:
        """Queries, keys and values."""
        parts = jnp.split(self.project(x), 3, axis=-1)
        return [part.reshape(*x.shape[:-1], self.num_heads, -1) for part in parts]


@functools.partial(jax.checkpoint, static_argnums=3)
def attend(
    query: Float[Array, "b h w n f"],
    key: Float[Array, "b h w n f"],
    value: Float[Array, "b h w n f"],
    window_rows: int,
) -> Float[Array, "b h w n f"]:
    """Each position attends to itself, and to those before it in its row and the window above.

    Chunk of rows by chunk of rows, each of which looks no further than it may. The gradient
    computes the scores anew: kept, they would be most of what training a network needs of memory.
    With heads before positions all products run along contiguous features; on CPUs this is three
    times as fast as `jax.nn.dot_product_attention`, which has them the other way round.
    """
    _, height, width, _, features = query.shape
    query, key, value = (
        jnp.moveaxis(part, 3, 1) for part in (query / math.sqrt(features), key, value)
    )  # [b, n, h, w, f]
    chunk = min(math.ceil(height / CHUNKS), max(window_rows, 1))
    attended = []
    for start in range(0, height, chunk):
        stop, first = min(start + chunk, height), max(start - window_rows, 0)
        scores = jnp.einsum(
            "bnijf,bnklf->bnijkl", query[:, :, start:stop], key[:, :, first:stop]
        ).astype(jnp.float32)
        shape = scores.shape[2:]
        row, column, other_row, other_column = (
            lax.broadcasted_iota(jnp.int32, shape, axis) for axis in range(4)
        )
        row, other_row = row + start, other_row + first
        seen = (other_row < row) & (other_row >= row - window_rows)
        seen |= (other_row == row) & (other_column <= column)
        weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=(-2, -1))
        attended.append(
            jnp.einsum("bnijkl,bnklf->bnijf", weights.astype(value.dtype), value[:, :, first:stop])
        )
    return jnp.moveaxis(jnp.concatenate(attended, axis=2), 1, 3)
