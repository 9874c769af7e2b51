"""Equal layers with stacked weights: one scan for whole grids, single layers for sampling."""

import operator
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import jax
from flax import nnx
from jax import lax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Key

from pixelprior.nn.image_keys import split_keys
from pixelprior.nn.initializers import stack
from pixelprior.sizes import check_sizes

Layer = TypeVar("Layer", bound=nnx.Module)
Node = TypeVar("Node")


class Stack(nnx.Module, Generic[Layer]):
    """``depth`` layers of one kind; each weight has a leading axis of length ``depth``.

    With ``remat``, a gradient stores only the values between layers, and recomputes the values
    inside layers. This takes less memory and more time.
    """

    def __init__(
        self,
        make: Callable[[nnx.Rngs], Layer],
        depth: int,
        *,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        check_sizes(num_layers=depth)
        self.depth = depth
        self.remat = remat
        with nnx.split_rngs(rngs, splits=depth):
            layers = [make(layer_rngs) for layer_rngs in _unstacked(rngs, depth)]
        # Layers are made one by one, with NumPy, because `nnx.vmap` would compile every weight.
        graph, *weights = *nnx.split(layers[0]), *map(nnx.state, layers[1:])
        # `Any`: one layer with stacked weights, or a list of layers after `unstack_all`.
        self.layers: Any = nnx.merge(graph, jax.tree.map(lambda *xs: stack(xs), *weights))

    def split_key(self, keys: Key[Array, " b"] | None) -> Any:
        """Return the keys of every layer, ``[depth, b]``; None for None."""
        return None if keys is None else split_keys(keys, self.depth)

    def scan(
        self, apply: Callable[[Layer, Any, Any], tuple[Any, Any]], carry: Any, xs: Any = None
    ) -> tuple[Any, Any]:
        """Run ``lax.scan`` over the layers: ``apply(layer, carry, x) -> (carry, y)``.

        JAX compiles a single layer, and the compile time does not grow with the depth. On CPUs
        without ``remat``, the scan is unrolled, and JAX compiles all layers. The leading axis of
        ``xs``, and of the stacked ``y``, is the layer.
        """
        graph, weights = nnx.split(self.layers)

        def body(carry: Any, inputs: Any) -> tuple[Any, Any]:
            layer_weights, x = inputs
            return apply(nnx.merge(graph, fetched(layer_weights)), carry, x)

        if self.remat:
            # Inside a scan, XLA cannot merge the second computation with the first one, and no
            # protection against this is needed.
            body = jax.checkpoint(body, prevent_cse=False)
        # The gradient of a loop stores the values of each layer in arrays for all layers. These
        # arrays are first filled with zeros, then copied into and out of. On CPUs this takes a
        # fifth of a training step, and the program compiles only a little faster.
        unroll = jax.default_backend() == "cpu" and not self.remat
        return lax.scan(body, carry, (weights, xs), length=self.depth, unroll=unroll)

    def unstack(self) -> list[Layer]:
        """Return the layers as a list, for sampling.

        In sampling, the work of a layer is small. A scan would also slice the layer's weights and
        stack its states, which would take a quarter of the time.
        """
        if isinstance(self.layers, nnx.List):
            return list(self.layers)
        return _unstacked(self.layers, self.depth)


def unstack_all(node: Any) -> None:
    """Give the layers of every `Stack` in a node weights of their own, in place.

    Before a loop of steps, this cuts the stacked weights once. Inside the loop, XLA would cut and
    copy all weights in every step. A `Stack` can no longer `scan` afterwards.
    """
    if isinstance(node, Stack):
        node.layers = nnx.List(node.unstack())
    for _, child in nnx.iter_children(node):
        if isinstance(child, nnx.Module):
            unstack_all(child)


def fetched(weights: Any) -> Any:
    """Return the weights of a layer, whole on every device.

    Weights may be split over the devices, as batches are. In a loop, XLA would rather exchange the
    activations, which takes tens of times the data. The devices are those of
    `jax.sharding.use_abstract_mesh`. Without them, the weights are returned as they are.
    """
    if jax.sharding.get_abstract_mesh().empty:
        return weights
    return lax.with_sharding_constraint(weights, PartitionSpec())


def _unstacked(node: Node, depth: int) -> list[Node]:
    """Return the nodes that are stacked along the leading axes of a node's arrays."""
    graph, weights = nnx.split(node)
    return [
        nnx.merge(graph, jax.tree.map(operator.itemgetter(index), weights))
        for index in range(depth)
    ]
