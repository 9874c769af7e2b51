"""Choose the number of parts in which a CPU computes the gradient of a batch.

Between two layers of a network, a CPU writes the features of a whole batch to memory and reads them
again. In parts whose features stay in its caches, a step is faster. Other devices
are faster with the whole batch.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import nnx
from jax.extend import core
from jaxtyping import Array

from pixelprior.training.flops import CONVOLUTION, operation_flops
from pixelprior.training.jaxprs import operations
from pixelprior.training.task import Loss

PART_BYTES = 5 * 2**20
"""Size of the largest array of a part, about that of the second-level caches of a few cores."""

MANY = 7919
"""A prime number of images: only arrays that grow with the batch have an axis of its multiple."""

MOST_UNROLLED = 8
"""Largest number of parts of a network of convolutions."""


def choose_parts(
    model: Any,
    loss: Callable[[Any, Any, Array], Loss],
    batch: Mapping[str, Any],
    mesh: jax.sharding.Mesh,
) -> int:
    """Return the number of parts for a loss, a function of shapes and the kind of device.

    Args:
        model: the model, or only its shapes.
        loss: see `Task.loss`.
        batch: a training batch ``[b, ...]``; only its shapes matter.
        mesh: the devices.

    Returns:
        A divisor of the images that each device has of a batch; 1 if the devices are not CPUs.
    """
    if mesh.devices.flat[0].platform != "cpu":
        return 1
    traced = [operation for operation, _ in operations(_trace(model, loss, batch))]
    flops, convolution_flops = (
        sum(operation_flops(operation) for operation in group)
        for group in (traced, [o for o in traced if o.primitive.name == CONVOLUTION])
    )
    most = None
    if convolution_flops:
        # These parts are unrolled, see `in_parts`, and each one takes time to compile.
        most = MOST_UNROLLED if convolution_flops > flops / 2 else 1
    images = len(jax.tree.leaves(batch)[0]) * jax.process_count() // mesh.size
    fitting = max(1, PART_BYTES // max(map(_bytes_of_an_image, traced)))
    divisors = [n for n in range(1, images + 1) if images % n == 0 and n <= (most or n)]
    return next((n for n in divisors if images // n <= fitting), divisors[-1])


def _trace(
    model: Any, loss: Callable[[Any, Any, Array], Loss], batch: Mapping[str, Any]
) -> core.Jaxpr:
    """Trace the loss of a batch of `MANY` images."""
    graph, weights = nnx.split(model)
    many = jax.tree.map(lambda x: jax.ShapeDtypeStruct((MANY, *x.shape[1:]), x.dtype), batch)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), MANY))

    def value(weights: Any, batch: Any, keys: Any) -> jax.Array:
        return loss(nnx.merge(graph, weights), batch, keys).value

    return jax.make_jaxpr(value)(weights, many, keys).jaxpr


def _bytes_of_an_image(operation: core.JaxprEqn) -> int:
    """Return an image's share of an operation's largest result; 0 if it has none."""
    results: list[Any] = [result.aval for result in operation.outvars]
    sizes = [
        result.size // MANY * result.dtype.itemsize
        for result in results
        if any(axis and axis % MANY == 0 for axis in result.shape)
    ]
    if operation.primitive.name == CONVOLUTION and sizes:
        # It gathers the values under the taps of each output.
        kernel: Any = operation.invars[1].aval
        features = results[0].shape[-1]
        sizes.append(max(sizes) // features * (kernel.size // features))
    return max(sizes, default=0)
