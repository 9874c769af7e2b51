"""Classifier-free guidance: a model with a null class becomes another model.

Legend: b batch, h height, w width, c channels, d features, k columns, v values per symbol.

A conditional model, trained with the condition hidden from some images, contains two distributions
of the next symbol. One is given the condition: the class, the vector, or both. The other is given
none. Guidance moves the logits from the second distribution towards the first, and beyond it for
scales above 1. With scale s, the logits are ``null + s * (given - null)``, renormalised symbol by
symbol [1]. Scale 1 is the model itself. Scale 0 is the model without a condition.

The scale may grow over the image, from no guidance at the first pixel to s at the last. Pixel t
of n then has the scale ``1 + (s - 1) * share(t / (n - 1))``:

- "linear": ``share(u) = u``. Early symbols vary freely, and the condition decides later ones [2].
- "cosine": ``share(u) = (1 - cos(pi * u)) / 2``, with slow changes at both ends [3, 4].

Pixels are counted in the order of drawing. `MultiScale` counts those of each grid separately.

The result is again an exact distribution over grids, and therefore a model like any other. Scoring
and every sampler and strategy work on it. The given network runs once for each condition. The
features of both runs are concatenated. With a schedule, the share of the position follows them.

[1] Ho and Salimans 2021, Classifier-Free Diffusion Guidance, equation 6, with scale = 1 + w. The
equation is applied to the logits of each symbol, as for autoregressive models of tokens.
[2] Chang et al. 2023, Muse: Text-To-Image Generation via Masked Generative Transformers, section
2.7. There the scale grows over the steps of decoding.
[3] Gao et al. 2023, Masked Diffusion Transformer is a Strong Image Synthesizer.
[4] Yu et al. 2024, Randomized Autoregressive Visual Generation, with the power 1.
"""

import dataclasses
import numbers
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.models.base import AutoregressiveModel, GridModel
from pixelprior.nn.context_encoder import ContextEncoder
from pixelprior.nn.head import Head

SCHEDULES = ("constant", "linear", "cosine")

LARGEST = 1e6
"""Largest scale of guidance. Far larger ones would be infinite in float32."""


def check_guidance(scale: Any, schedule: Any) -> None:
    """Raise an InputError unless the scale is a finite number or None, with its schedule.

    Without guidance the scale is None, and no schedule but "constant" fits. The value of an array
    is not checked, since it may be traced.
    """
    value = scale.item() if isinstance(scale, np.ndarray) and scale.size == 1 else scale
    array = isinstance(value, jax.Array) and value.shape == ()
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (value is None or array or (number and abs(float(value)) <= LARGEST)):
        raise InputError(
            f"guidance must be a number from -{LARGEST:,.0f} to {LARGEST:,.0f}, got {scale!r:.80}"
        )
    if schedule not in SCHEDULES:
        raise InputError(
            f"guidance_schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r:.80}"
        )
    if scale is None and schedule != "constant":
        raise InputError(
            f"guidance_schedule={schedule} needs guidance; give guidance=..., the scale at the "
            "last pixel, too"
        )


def guided(
    model: GridModel, scale: float | Float[Array, ""] | None, schedule: str = "constant"
) -> GridModel:
    """Return a model with guidance; it has the weights of the given model.

    Args:
        model: model conditioned on classes, vectors or both, with a null class.
        scale: guidance scale; may be a traced value. None returns the model itself.
        schedule: "constant" for one scale, "linear" or "cosine" for a scale that grows from 1 at
            the first pixel to ``scale`` at the last.

    Example:
        >>> towards = pp.guided(model, 1.5)
        >>> nats = -pp.log_prob(towards, images, label=3)

    Raises:
        InputError: if the model has neither classes nor vectors, or no null class. Also if there is
            no such schedule, or the scale is no finite number.
    """
    if not isinstance(model, GridModel):
        raise InputError(
            f"guidance needs a pixel model or the model of one level, got {type(model).__name__}; "
            "give run.model, or guidance=... to pp.sample"
        )
    check_guidance(scale, schedule)
    if scale is None:
        return model
    return model.with_networks(lambda network: Guided(network, scale, schedule))


class Guided(AutoregressiveModel):
    """A network with guidance; see `guided`."""

    context_encoder: "_BothConditions"

    def __init__(
        self,
        model: AutoregressiveModel,
        scale: float | Float[Array, ""],
        schedule: str = "constant",
    ):
        if not model.context_shape.has_condition:
            raise InputError(
                "guidance needs a model conditioned on classes or vectors; this one is "
                "unconditional"
            )
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
        self.schedule = schedule
        self.head = _GuidedHead(model.head, scale, varies=schedule != "constant")

    def network(
        self,
        x: Float[Array, "b h w e"],
        context: Any,
        dropout_key: Array | None,
    ) -> Float[Array, "b h w _"]:
        """See `AutoregressiveModel.network`; features with the condition, then without it."""
        features = [self.model.network(x, encoded, dropout_key) for encoded in context]
        return self._joined(features, self._shares())

    def _shares(self) -> Float[Array, "1 h w 1"] | None:
        """Share of the guidance at each pixel, from 0 to 1; None for a constant scale."""
        if self.schedule == "constant":
            return None
        height, width, _ = self.grid.shape
        passed = np.linspace(0.0, 1.0, height * width)
        shares = passed if self.schedule == "linear" else (1.0 - np.cos(np.pi * passed)) / 2.0
        return jnp.asarray(shares.reshape(1, height, width, 1), jnp.float32)

    def _joined(
        self, features: Sequence[Float[Array, "*n d"]], shares: Float[Array, "*#n 1"] | None
    ) -> Float[Array, "*n _"]:
        """Concatenate the features of both conditions, and the shares if there are any."""
        if shares is not None:
            # In float32, so that the dtype of the network does not round the scale.
            features = [*features, jnp.broadcast_to(shares, (*features[0].shape[:-1], 1))]
        return jnp.concatenate(features, axis=-1)

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
        shares = self._shares()
        of_row = None if shares is None else shares[:, row]
        return list(caches), (above, of_row), left

    def step(
        self, above: Any, left: Any, previous: Int[Array, "b k c"]
    ) -> tuple[Float[Array, "b k _"], Any, Any]:
        """See `AutoregressiveModel.step`."""
        above, shares = above
        features, left, traces = zip(
            *(self.model.step(a, here, previous) for a, here in zip(above, left, strict=True)),
            strict=True,
        )
        return self._joined(features, shares), left, traces

    def end_row(self, cache: Any, pixels: Int[Array, "b 1 w c"], traces: Any) -> Any:
        """See `AutoregressiveModel.end_row`."""
        return [
            self.model.end_row(here, pixels, trace)
            for here, trace in zip(cache, traces, strict=True)
        ]


class _BothConditions(ContextEncoder):
    """Encoder that returns the encoded context, and the same one without its condition."""

    def __init__(self, encoder: ContextEncoder):
        self.encoder = encoder
        self.shape = encoder.shape

    def __call__(self, context: Context | None, batch: int) -> Any:
        given, null = self.conditions(context, batch)
        return self.encoder(given, batch), self.encoder(null, batch)

    def conditions(self, context: Context | None, batch: int) -> tuple[Context, Context]:
        """Return the context, and the same context without label and vector."""
        self.shape.check(context, batch)
        context = context or Context()
        return context, dataclasses.replace(context, label=None, vector=None, hidden=None)


class _GuidedHead(Head):
    """Head that combines and renormalises the two distributions of a channel."""

    def __init__(self, head: Head, scale: float | Float[Array, ""], *, varies: bool):
        self.grid = head.grid
        self.head = head
        self.scale = nnx.Variable(jnp.asarray(scale, jnp.float32))
        self.varies = varies

    def logits(
        self, features: Float[Array, "*n _"], earlier: Int[Array, "*n k"]
    ) -> Float[Array, "*n v"]:
        scale = self.scale[...]
        if self.varies:
            scale = 1.0 + (scale - 1.0) * features[..., -1:]
            features = features[..., :-1]
        given, null = (
            # Normalised, so that the logits of both conditions are comparable.
            jax.nn.log_softmax(self.head.logits(half, earlier))
            for half in jnp.split(features, 2, axis=-1)
        )
        return null + scale * (given - null)

    def log_prob(
        self, features: Float[Array, "*n _"], pixel: Int[Array, "*n c"]
    ) -> Float[Array, "*n"]:
        total = jnp.zeros(pixel.shape[:-1])
        for channel in range(self.grid.channels):
            logits = jax.nn.log_softmax(self.logits(features, pixel[..., :channel]))
            total += jnp.take_along_axis(logits, pixel[..., channel, None], axis=-1)[..., 0]
        return total
