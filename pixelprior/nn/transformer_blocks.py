"""Blocks of a transformer, for whole grids and for some columns at a time.

Legend: b batch, h height, w width, d features, k columns of a step.

Each block is pre-norm: causal attention, then a two-layer perceptron [1; 2, section 2.3]. The
functions below run a stack of blocks in both ways of `pixelprior.models.base`.

[1] Vaswani et al. 2017, Attention Is All You Need.
[2] Radford et al. 2019, Language Models are Unsupervised Multitask Learners.
"""

from collections.abc import Sequence
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.nn.attention import AttentionCache, CausalAttention, RowOfKeys
from pixelprior.nn.conditioning import EncodedContext, context_layer
from pixelprior.nn.dropout import Dropout
from pixelprior.nn.image_keys import split_keys
from pixelprior.nn.initializers import layer_norm, linear
from pixelprior.nn.rotary import Rotations
from pixelprior.nn.stack import Stack

EXPANSION = 4
"""Hidden features of a block's perceptron, per input feature; the value of [1], section 3.3."""


class TransformerBlock(nnx.Module):
    """Attention, then a perceptron; both are residual, with a layer norm before them."""

    def __init__(
        self,
        d: int,
        *,
        num_heads: int,
        window_rows: int,
        context_features: int,
        dropout_rate: float,
        rngs: nnx.Rngs,
    ):
        self.attention_norm = layer_norm(d, rngs=rngs)
        self.attention = CausalAttention(
            d, d, num_heads=num_heads, window_rows=window_rows, rngs=rngs
        )
        self.context = context_layer(context_features, 2 * d, rngs=rngs)
        self.norm = layer_norm(d, rngs=rngs)
        self.expand = linear(d, EXPANSION * d, rngs=rngs)
        self.reduce = linear(EXPANSION * d, d, rngs=rngs)
        self.dropout = Dropout(dropout_rate)

    def condition(self, context: EncodedContext) -> Float[Array, "b #h #w 2*d"] | None:
        """Return the context's terms for the inputs of the attention and of the perceptron."""
        return None if self.context is None or context is None else self.context(context)

    def attention_input(
        self, x: Float[Array, "b h w d"], condition: Float[Array, "b #h #w 2*d"] | None
    ) -> Float[Array, "b h w d"]:
        """Return the input of the attention."""
        y = self.attention_norm(x)
        return y if condition is None else y + condition[..., : y.shape[-1]]

    def output(
        self,
        x: Float[Array, "b h w d"],
        attended: Float[Array, "b h w d"],
        condition: Float[Array, "b #h #w 2*d"] | None,
        dropout_key: Array | None = None,
    ) -> Float[Array, "b h w d"]:
        """Return the block's result, given the result of its attention."""
        attention_key, key = split_keys(dropout_key, 2)
        x = x + self.dropout(attended, attention_key)
        y = self.norm(x)
        if condition is not None:
            y = y + condition[..., y.shape[-1] :]
        y = self.reduce(jax.nn.gelu(self.expand(y)))
        return x + self.dropout(y, key)


Blocks = Stack[TransformerBlock]
Condition = Float[Array, "b #h #w 2*d"] | None


def run_blocks(
    blocks: Blocks,
    x: Float[Array, "b h w d"],
    context: EncodedContext,
    dropout_key: Array | None,
    rotations: Rotations | None = None,
) -> Float[Array, "b h w d"]:
    """Run all blocks over whole grids."""

    def layer(block: TransformerBlock, x: Any, key: Any) -> tuple[Any, None]:
        condition = block.condition(context)
        attended = block.attention(block.attention_input(x, condition), rotations)
        return block.output(x, attended, condition, key), None

    return blocks.scan(layer, x, blocks.split_key(dropout_key))[0]


def init_caches(blocks: Blocks, batch: int, height: int, width: int) -> list[AttentionCache]:
    """Return the empty cache of each block before the first row."""
    return [block.attention.init_cache(batch, height, width) for block in blocks.unstack()]


def start_rows(
    blocks: Blocks, caches: Sequence[AttentionCache], context: EncodedContext, row: Int[Array, ""]
) -> tuple[list[Condition], list[RowOfKeys]]:
    """Return the terms of a row's context, and the state before its first column, of each block."""
    layers = blocks.unstack()
    states = [
        block.attention.start_row(cache, row) for block, cache in zip(layers, caches, strict=True)
    ]
    return [block.condition(context) for block in layers], states


def step_blocks(
    blocks: Blocks,
    x: Float[Array, "b 1 k d"],
    conditions: Sequence[Condition],
    states: Sequence[RowOfKeys],
    rotations: Rotations | None = None,
) -> tuple[Float[Array, "b 1 k d"], list[RowOfKeys], list[Any]]:
    """Run all blocks at the next columns; also return their states after these, and traces."""
    after, traces = [], []
    for block, condition, state in zip(blocks.unstack(), conditions, states, strict=True):
        attended, state, trace = block.attention.step(
            block.attention_input(x, condition), state, rotations
        )
        x = block.output(x, attended, condition)
        after.append(state)
        traces.append(trace)
    return x, after, traces


def end_rows(
    blocks: Blocks, caches: Sequence[AttentionCache], traces: Sequence[Any]
) -> list[AttentionCache]:
    """Add the keys and values of a finished row to the cache of each block."""
    return [
        block.attention.end_row(cache, trace)
        for block, cache, trace in zip(blocks.unstack(), caches, traces, strict=True)
    ]
