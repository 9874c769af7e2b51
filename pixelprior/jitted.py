"""Jitted functions of models, compiled once per structure of a model and shapes of its input.

Methods with the decorator `pixelprior.nn.compiled.compiled` check their arguments and compile
themselves. The functions here do not read the values of arrays, so that a loop over batches does
not wait for the device. They also compile work that is not one method. The weights are arguments of
the program. Models of one structure therefore share it, and it keeps no model alive.

Legend: b batch, h height, w width, c channels, g codebooks.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.models.base import GridModel
from pixelprior.prior import Prior
from pixelprior.system.programs import jit_by_structure
from pixelprior.tokenizers import VQVAE

Pixels = Float[Array | np.ndarray, "b h w c"]
Codes = Sequence[Int[Array, "b _ _ g"]]


def log_prob(
    model: GridModel | Prior, x: Any, context: Context | None = None
) -> Float[Array, " b"]:
    """Compute the log-probability of each grid, or of the codes of each image, in nats.

    Args:
        model: a pixel model, or a prior.
        x: symbols ``[b, h, w, c]``; for a prior the maps of codes, the coarsest first.
        context: a `Context`, or None.
    """
    return call(_log_prob, model, _as_list(x), context)


def level_log_probs(
    prior: Prior,
    codes: Codes,
    context: Context | None = None,
    orders: "ImageOrders | None" = None,
) -> list[Float[Array, " b"]]:
    """Compute the log-probability of the codes of each level, given the coarser ones, in nats."""
    return call(_level_log_probs, prior, _as_list(codes), context, orders)


class ImageOrders(NamedTuple):
    """A random order for each image of a batch, a function of the seed and the image's number.

    Attributes:
        seed: the seed.
        first_image: number of the batch's first image.
    """

    seed: int
    first_image: int


def random_order_log_prob(
    model: GridModel, x: Any, context: Context | None, orders: ImageOrders
) -> Float[Array, " b"]:
    """Compute the log-probability of each grid in a random order of its pixels, in nats."""
    return call(_random_order_log_prob, model, x, context, orders)


def pixel_bits(
    model: GridModel, x: Int[Array | np.ndarray, "b h w c"], context: Context | None = None
) -> Float[Array, "b h w"]:
    """Compute the bits of each pixel, given the earlier pixels in the model's order."""
    return call(_pixel_bits, model, x, context)


def encode(tokenizer: VQVAE, pixels: Pixels) -> list[Int[Array, "b _ _ g"]]:
    """Compute the codes of pixels in [0, 1], the coarsest level first."""
    return call(_encode, tokenizer, pixels)


def decode(tokenizer: VQVAE, codes: Codes) -> Float[Array, "b h w c"]:
    """Compute the pixels in [0, 1] from codes."""
    return call(_decode, tokenizer, _as_list(codes))


def reconstruct(tokenizer: VQVAE, pixels: Pixels) -> Float[Array, "b h w c"]:
    """Encode pixels, and decode their codes."""
    return call(_reconstruct, tokenizer, pixels)


def call(function: Callable[..., Any], model: nnx.Module, *arguments: Any) -> Any:
    """Call ``function(model, *arguments)``, jitted.

    Args:
        function: a pure function at the top of a module; it is the key of the compiled program.
        model: the model.
        arguments: pytrees of arrays.
    """
    graph, weights = nnx.split(model)
    return _call(weights, *arguments, function=function, graph=graph)


@jit_by_structure()
def _call(weights: Any, *arguments: Any, function: Callable[..., Any], graph: nnx.GraphDef) -> Any:
    return function(nnx.merge(graph, weights), *arguments)


def _as_list(x: Any) -> Any:
    """Turn a tuple of maps into a list: another kind of sequence would compile anew."""
    return list(x) if isinstance(x, tuple) else x


def _log_prob(model: Any, x: Any, context: Any) -> Any:
    return model.log_prob(x, context)


def _level_log_probs(
    prior: Prior, codes: Codes, context: Context | None, orders: ImageOrders | None
) -> Any:
    keys = None if orders is None else _order_keys(orders, len(codes[0]))
    return [
        prior.level_log_prob(number, codes, context, order_keys=keys)
        for number in range(len(codes))
    ]


def _random_order_log_prob(
    model: GridModel, x: Any, context: Context | None, orders: ImageOrders
) -> Any:
    keys = _order_keys(orders, len(x))
    return model.log_prob(x, model.in_random_order(context, keys))


def _order_keys(orders: ImageOrders, batch: int) -> Any:
    numbers = orders.first_image + jnp.arange(batch)
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(orders.seed), numbers)


def _pixel_bits(model: GridModel, x: Any, context: Context | None) -> Any:
    log_p = jax.nn.log_softmax(model.logits(x, context))
    of_symbols = jnp.take_along_axis(log_p, x[..., None], axis=-1)[..., 0]
    return -of_symbols.sum(axis=-1) / jnp.log(2.0)


def _encode(tokenizer: VQVAE, pixels: Any) -> Any:
    return tokenizer.encode(pixels)


def _decode(tokenizer: VQVAE, codes: Any) -> Any:
    return tokenizer.decode(codes)


def _reconstruct(tokenizer: VQVAE, pixels: Any) -> Any:
    return tokenizer.reconstruct(pixels)
