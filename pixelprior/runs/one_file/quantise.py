"""Kernels in fewer bits: int8 with one scale for each output channel, or bfloat16.

The codes of a tokenizer depend on its codebook, and biases and embeddings are small. All weights
but kernels therefore stay float32. A model computes in float32 again once it is loaded.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Float, Float32, Int8

from pixelprior.nn.stack import Stack
from pixelprior.runs.one_file.layout import SCALE

LARGEST = 127
"""Largest integer of a quantised kernel. The smallest is its negative."""


def quantise(
    kernel: Float[np.ndarray, "*k out"], layer_axes: int = 0
) -> tuple[Int8[np.ndarray, "*k out"], Float32[np.ndarray, "..."]]:
    """Round a kernel to integers, with one scale for each layer and output channel.

    The error of a weight is at most half of its scale.

    Args:
        kernel: the kernel; its last axis is the output channels.
        layer_axes: the number of leading axes that stack the kernels of several layers.

    Returns:
        The integers, and the scales by which they are multiplied. Other axes of the scales have
        length one.
    """
    inputs = tuple(range(layer_axes, kernel.ndim - 1))
    scale = np.abs(kernel).max(axis=inputs, keepdims=True).astype(np.float32) / np.float32(LARGEST)
    # A channel of zeros has no scale of its own.
    scale = np.where(scale > 0, scale, np.float32(1.0))
    rounded = np.clip(np.rint(kernel / scale), -LARGEST, LARGEST)
    return rounded.astype(np.int8), scale


def dequantise(
    kernel: Int8[np.ndarray, "*k out"], scale: Float32[np.ndarray, "..."]
) -> Float32[np.ndarray, "*k out"]:
    """Multiply the integers of a kernel by their scales."""
    return kernel.astype(np.float32) * scale


def compress(
    model: nnx.Module, weights: Mapping[str, np.ndarray], dtype: str
) -> dict[str, np.ndarray]:
    """Store the kernels of a model in another type. The other weights stay as they are.

    Args:
        model: the model; only its structure is used.
        weights: its weights by name.
        dtype: one of `DTYPES`.
    """
    stacks = [
        ".".join(map(str, path)) + "."
        for path, node in nnx.iter_graph(model, graph=True)
        if isinstance(node, Stack)
    ]
    stored: dict[str, np.ndarray] = {}
    for name, values in weights.items():
        if not is_kernel(name) or dtype == "float32":
            stored[name] = values
        elif dtype == "bfloat16":
            stored[name] = values.astype(jnp.bfloat16)
        else:
            layer_axes = sum(map(name.startswith, stacks))
            stored[name], stored[name + SCALE] = quantise(values, layer_axes)
    return stored


def is_kernel(name: str) -> bool:
    """True for the weights of matrix products and convolutions, which are most of a model."""
    return name.rpartition(".")[2] == "kernel"


def expand(stored: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return all weights in float32, by name."""
    return {
        name: dequantise(values, stored[name + SCALE])
        if values.dtype == np.int8
        else values.astype(np.float32)
        for name, values in stored.items()
        if not name.endswith("kernel" + SCALE)
    }
