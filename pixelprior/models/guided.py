"""Classifier-free guidance, as a separate model.

Legend: b batch, h height, w width, c channels, d features, v values per symbol.

A class-conditional model, trained with a null class in place of some labels, contains two
distributions of the next symbol. One is given the class, the other is given no class. Guidance
moves the logits from the second distribution towards the first, and beyond it for scales above 1.
With scale s, the logits are ``null + s * (class - null)``, renormalised symbol by symbol. Scale 1
is the model itself. Scale 0 is the model without a class.

The result is again an exact distribution over grids, and therefore a model like any other. Scoring
and every sampler and strategy work on it. The given network runs once for each condition. The
features of both runs are concatenated.

Reference: Ho and Salimans 2021, Classifier-Free Diffusion Guidance, equation 6, with scale = 1 + w.
The equation is applied to the logits of each symbol, as for autoregressive models of tokens.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.models.base import AutoregressiveModel, GridModel
from pixelprior.nn.context_encoder import ContextEncoder
from pixelprior.nn.head import Head


class Guided(AutoregressiveModel):
    """A class-conditional model with guidance; it shares the weights of the given model.

    Args:
        model: model conditioned on classes, with a null class.
        scale: guidance scale; may be a traced value.

    Raises:
        InputError: if the model has no classes or no null class, or is not in raster order
            (`MultiScale`).
    """

    context_encoder: "_BothConditions"

    def __init__(self, model: GridModel, scale: float | Float[Array, ""]):
        if not isinstance(model, AutoregressiveModel):
            raise InputError(f"guidance needs a model in raster order, got {type(model).__name__}")
        if not model.context_shape.num_classes:
            raise InputError("guidance needs a class-conditional model; this one is unconditional")
        if not model.context_shape.null_class:
            raise InputError(
                "guidance needs a model with a null class; train one with label_dropout above 0"
            )
        self.grid = model.grid
        self.dtype = model.dtype
        self.model = model
        self.embedding = model.embedding
        self.context_shape = model.context_shape
        self.context_encoder = _BothConditions(model.context_encoder)
        self.head = _GuidedHead(model.head, scale)

    def network(
        self,
        x: Float[Array, "b h w e"],
        context: Float[Array, "b #h #w 2*f"] | None,
        dropout_key: Array | None,
    ) -> Float[Array, "b h w 2*d"]:
        """See `AutoregressiveModel.network`; features with the class, then without it."""
        assert context is not None  # there is a class
        halves = jnp.split(context, 2, axis=-1)
        return jnp.concatenate(
            [self.model.network(x, half, dropout_key) for half in halves], axis=-1
        )

    @property
    def column_multiple(self) -> int:
        """See `AutoregressiveModel.column_multiple`."""
        return self.model.column_multiple

    def init_cache(self, batch: int, context: Context | None = None) -> Any:
        """See `AutoregressiveModel.init_cache`."""
        conditions = self.context_encoder.conditions(context, batch)
        return [self.model.init_cache(batch, here) for here in conditions]

    def start_row(self, cache: Any, row: Int[Array, ""]) -> tuple[Any, Any, Any]:
        """See `AutoregressiveModel.start_row`."""
        caches, above, left = zip(*(self.model.start_row(here, row) for here in cache), strict=True)
        return list(caches), above, left

    def step(
        self, above: Any, left: Any, previous: Int[Array, "b k c"]
    ) -> tuple[Float[Array, "b k 2*d"], Any, Any]:
        """See `AutoregressiveModel.step`."""
        features, left, traces = zip(
            *(self.model.step(a, here, previous) for a, here in zip(above, left, strict=True)),
            strict=True,
        )
        return jnp.concatenate(features, axis=-1), left, traces

    def end_row(self, cache: Any, pixels: Int[Array, "b 1 w c"], traces: Any) -> Any:
        """See `AutoregressiveModel.end_row`."""
        return [
            self.model.end_row(here, pixels, trace)
            for here, trace in zip(cache, traces, strict=True)
        ]


class _BothConditions(ContextEncoder):
    """Encoder that concatenates the encoded context and the same context without the class."""

    def __init__(self, encoder: ContextEncoder):
        self.encoder = encoder
        self.shape = encoder.shape

    def __call__(self, context: Context | None, batch: int) -> Float[Array, "b #h #w 2*d"]:
        given, null = (self.encoder(here, batch) for here in self.conditions(context, batch))
        assert given is not None and null is not None  # there is a class
        return jnp.concatenate([given, null], axis=-1)

    def conditions(self, context: Context | None, batch: int) -> tuple[Context, Context]:
        """Return the context, and the same context with the null class."""
        self.shape.check(context, batch)
        context = context or Context()
        return context, Context(map=context.map)


class _GuidedHead(Head):
    """Head that combines and renormalises the two distributions of a channel."""

    def __init__(self, head: Head, scale: float | Float[Array, ""]):
        self.grid = head.grid
        self.head = head
        self.scale = nnx.Variable(jnp.asarray(scale, jnp.float32))

    def logits(
        self, features: Float[Array, "*n 2*d"], earlier: Int[Array, "*n k"]
    ) -> Float[Array, "*n v"]:
        given, null = (
            # Normalised, so that the logits of both conditions are comparable.
            jax.nn.log_softmax(self.head.logits(half, earlier))
            for half in jnp.split(features, 2, axis=-1)
        )
        return null + self.scale[...] * (given - null)

    def log_prob(
        self, features: Float[Array, "*n 2*d"], pixel: Int[Array, "*n c"]
    ) -> Float[Array, "*n"]:
        total = jnp.zeros(pixel.shape[:-1])
        for channel in range(self.grid.channels):
            logits = jax.nn.log_softmax(self.logits(features, pixel[..., :channel]))
            total += jnp.take_along_axis(logits, pixel[..., channel, None], axis=-1)[..., 0]
        return total
