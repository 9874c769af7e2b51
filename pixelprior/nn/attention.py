"""Causal attention over a grid: each position looks at its own and at those before it.

Legend: b batch, h height, w width, d features, n heads, f features of a head, r rows of the window,
q queries, k keys.

Over whole grids the layer takes and gives ``[b, h, w, d]``. Position by position, the keys and
values of finished rows lie in an `AttentionCache`, those of the current row in a `RowOfKeys`.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from pixelprior.errors import InputError

CHUNKS = 4
"""Whole grids are attended to in so many parts, each looking only as far as its own end: with four,
62% of the scores are computed instead of all."""


class AttentionCache(NamedTuple):
    """Keys and values of the ``r`` rows before the one that is next, the nearest last."""

    keys: Float[Array, "b n r w f"]
    values: Float[Array, "b n r w f"]


class RowOfKeys(NamedTuple):
    """What one position leaves to the next: all earlier keys and values, and how many there are."""

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
        self.project = nnx.Linear(d, 3 * e, use_bias=False, rngs=rngs)
        self.output = nnx.Linear(e, e, rngs=rngs)

    def __call__(self, x: Float[Array, "b h w d"]) -> Float[Array, "b h w e"]:
        """Attention over whole grids."""
        query, key, value = self._heads(x)
        attend = _attend_to_window if self.window_rows < x.shape[1] - 1 else _attend_to_all
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
        self, x: Float[Array, "b 1 1 d"], state: RowOfKeys
    ) -> tuple[
        Float[Array, "b 1 1 e"], RowOfKeys, tuple[Float[Array, "b n f"], Float[Array, "b n f"]]
    ]:
        """One position; returns its result, the state for the next, and its key and value."""
        query, key, value = (part[:, 0, 0] for part in self._heads(x))  # [b, n, f]
        state = state._replace(
            keys=lax.dynamic_update_index_in_dim(state.keys, key, state.columns, axis=2),
            values=lax.dynamic_update_index_in_dim(state.values, value, state.columns, axis=2),
            columns=state.columns + 1,
        )
        batch, heads, rows, width, features = state.above.keys.shape
        flat = (batch, heads, rows * width, features)
        query = query / math.sqrt(features)
        scores = jnp.concatenate(
            [
                jnp.einsum("bnf,bnkf->bnk", query, state.above.keys.reshape(flat)),
                jnp.einsum("bnf,bnkf->bnk", query, state.keys),
            ],
            axis=-1,
        ).astype(jnp.float32)
        # The nearest rows are last, so those that are not rows of the grid come first.
        known = jnp.concatenate(
            [
                jnp.arange(rows * width) >= (rows - state.rows) * width,
                jnp.arange(width) < state.columns,
            ]
        )
        weights = jax.nn.softmax(jnp.where(known, scores, -jnp.inf)).astype(key.dtype)
        of_above, of_row = jnp.split(weights, [rows * width], axis=-1)
        attended = jnp.einsum("bnk,bnkf->bnf", of_above, state.above.values.reshape(flat))
        attended = attended + jnp.einsum("bnk,bnkf->bnf", of_row, state.values)
        return self.output(attended.reshape(batch, 1, 1, -1)), state, (key, value)

    def end_row(
        self,
        cache: AttentionCache,
        trace: tuple[Float[Array, "w b n f"], Float[Array, "w b n f"]],
    ) -> AttentionCache:
        """Takes a finished row in, and forgets the one that falls out of the window."""
        keys, values = (jnp.moveaxis(part, 0, 2)[:, :, None] for part in trace)
        return AttentionCache(
            jnp.concatenate([cache.keys, keys], axis=2)[:, :, 1:],
            jnp.concatenate([cache.values, values], axis=2)[:, :, 1:],
        )

    def _heads(self, x: Float[Array, "b h w d"]) -> list[Float[Array, "b h w n f"]]:
        """Queries, keys and values."""
        parts = jnp.split(self.project(x), 3, axis=-1)
        return [part.reshape(*x.shape[:-1], self.num_heads, -1) for part in parts]


def _attend_to_all(
    query: Float[Array, "b h w n f"],
    key: Float[Array, "b h w n f"],
    value: Float[Array, "b h w n f"],
    window_rows: int,
) -> Float[Array, "b h w n f"]:
    """In chunks of rows, each of which attends to all rows up to its last."""
    batch, height, width, heads, features = query.shape
    order = np.arange(height * width)
    attended = []
    for rows in np.array_split(np.arange(height), min(CHUNKS, height)):
        start, stop = rows[0] * width, (rows[-1] + 1) * width
        mask = order[None, :stop] <= order[start:stop, None]
        flat = [
            part.reshape(batch, height * width, heads, features) for part in (query, key, value)
        ]
        attended.append(
            _dot_product_attention(
                flat[0][:, start:stop], flat[1][:, :stop], flat[2][:, :stop], mask
            )
        )
    return jnp.concatenate(attended, axis=1).reshape(query.shape)


def _attend_to_window(
    query: Float[Array, "b h w n f"],
    key: Float[Array, "b h w n f"],
    value: Float[Array, "b h w n f"],
    window_rows: int,
) -> Float[Array, "b h w n f"]:
    """Row by row, as a batch of rows: each attends to itself and ``window_rows`` above."""
    batch, height, width, heads, features = query.shape

    def windows(x: Float[Array, "b h w n f"]) -> Float[Array, "b*h k n f"]:
        padded = jnp.pad(x, ((0, 0), (window_rows, 0), (0, 0), (0, 0), (0, 0)))
        shifted = [padded[:, offset : offset + height] for offset in range(window_rows + 1)]
        return jnp.stack(shifted, axis=2).reshape(batch * height, -1, heads, features)

    row = np.arange(height)[:, None, None, None]
    column = np.arange(width)[:, None, None]
    offset, other = np.arange(window_rows + 1)[:, None], np.arange(width)
    inside = row - window_rows + offset >= 0
    mask = inside & ((offset < window_rows) | (other <= column))  # [h, w, r + 1, w]
    mask = np.broadcast_to(mask.reshape(height, width, -1), (batch, height, width, mask[0, 0].size))
    attended = _dot_product_attention(
        query.reshape(batch * height, width, heads, features),
        windows(key),
        windows(value),
        mask.reshape(batch * height, width, -1),
    )
    return attended.reshape(query.shape)


def _dot_product_attention(
    query: Float[Array, "b q n f"],
    key: Float[Array, "b k n f"],
    value: Float[Array, "b k n f"],
    mask: Bool[np.ndarray, "*b q k"],
) -> Float[Array, "b q n f"]:
    mask = mask[None, None] if mask.ndim == 2 else mask[:, None]
    return jax.nn.dot_product_attention(query, key, value, mask=mask)
