"""Equal layers with stacked weights: one scan over whole grids, one by one to sample."""

import operator
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import jax
from flax import nnx
from jax import lax
from jaxtyping import Array

from pixelprior.errors import InputError
from pixelprior.nn.initializers import stack

Layer = TypeVar("Layer", bound=nnx.Module)
Node = TypeVar("Node")


class Stack(nnx.Module, Generic[Layer]):
    """``depth`` layers of one kind; each weight has a leading axis of that length.

    With ``remat``, a gradient keeps only what goes from layer to layer, and computes what is inside
    them once more: less memory for more time.
    """

    def __init__(
        self,
        make: Callable[[nnx.Rngs], Layer],
        depth: int,
        *,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        if depth < 1:
            raise InputError(f"a network needs at least one layer, got num_layers={depth}")
        self.depth = depth
        self.remat = remat
        with nnx.split_rngs(rngs, splits=depth):
            layers = [make(layer_rngs) for layer_rngs in _unstacked(rngs, depth)]
        # One by one and by NumPy, since `nnx.vmap` would compile every weight.
        graph, *weights = *nnx.split(layers[0]), *map(nnx.state, layers[1:])
        self.layers = nnx.merge(graph, jax.tree.map(lambda *xs: stack(xs), *weights))

    def split_key(self, key: Array | None) -> Array | None:
        """A key for each layer; none from none."""
        return None if key is None else jax.random.split(key, self.depth)

    def scan(
        self, apply: Callable[[Layer, Any, Any], tuple[Any, Any]], carry: Any, xs: Any = None
    ) -> tuple[Any, Any]:
        """``lax.scan`` over the layers: ``apply(layer, carry, x) -> (carry, y)``.

        What is compiled is one layer, so that the time to compile does not grow with the depth; on
        CPUs all layers, one after the other. The leading axis of everything in ``xs``, and in what
        is returned for the ``y``, is the layer.
        """
        graph, weights = nnx.split(self.layers)

        def body(carry: Any, inputs: Any) -> tuple[Any, Any]:
            layer_weights, x = inputs
            return apply(nnx.merge(graph, layer_weights), carry, x)

        if self.remat:
            # Inside a scan nothing could be merged with the first computation, so nothing need be
            # kept from it.
            body = jax.checkpoint(body, prevent_cse=False)
        # A gradient of a loop keeps what it needs of each layer in arrays for all of them, which
        # are filled with zeros first and then copied into and out of: on CPUs a fifth of a
        # training step, for a program that compiles a little faster.
        unroll = jax.default_backend() == "cpu" and not self.remat
        return lax.scan(body, carry, (weights, xs), length=self.depth, unroll=unroll)

    def unstack(self) -> list[Layer]:
        """The layers one by one, for sampling.

        There a layer's work is so small that a scan's own, cutting out the layer's weights and
        packing up its states, would be a quarter of the time.
        """
        return _unstacked(self.layers, self.depth)


def _unstacked(node: Node, depth: int) -> list[Node]:
    """What is stacked along the leading axes of a node's arrays."""
    graph, weights = nnx.split(node)
    return [
        nnx.merge(graph, jax.tree.map(operator.itemgetter(index), weights))
        for index in range(depth)
    ]
