"""Equal layers with stacked weights, walked through by one scan."""

import os
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from flax import nnx
from jax import lax

from pixelprior.errors import InputError

UNROLL = int(os.environ.get("UNROLL", "1"))
Layer = TypeVar("Layer", bound=nnx.Module)


class Stack(nnx.Module, Generic[Layer]):
    """``depth`` layers of one kind; each weight has a leading axis of that length.

    What is compiled is one layer, so the time to compile does not grow with the depth.
    """

    def __init__(self, make: Callable[[nnx.Rngs], Layer], depth: int, *, rngs: nnx.Rngs):
        if depth < 1:
            raise InputError(f"a network needs at least one layer, got num_layers={depth}")
        self.depth = depth
        make_all = nnx.split_rngs(splits=depth)(nnx.vmap(make, in_axes=0, out_axes=0))
        self.layers = make_all(rngs)

    def scan(
        self, apply: Callable[[Layer, Any, Any], tuple[Any, Any]], carry: Any, xs: Any = None
    ) -> tuple[Any, Any]:
        """``lax.scan`` over the layers: ``apply(layer, carry, x) -> (carry, y)``.

        The leading axis of everything in ``xs``, and in what is returned for the ``y``, is the
        layer.
        """
        graph, weights = nnx.split(self.layers)

        def body(carry: Any, inputs: Any) -> tuple[Any, Any]:
            layer_weights, x = inputs
            return apply(nnx.merge(graph, layer_weights), carry, x)

        return lax.scan(body, carry, (weights, xs), length=self.depth)

    def init(self, make: Callable[[Layer], Any]) -> Any:
        """Stacks what ``make(layer)`` gives for each layer along a leading axis."""
        return self.scan(lambda layer, _, __: (None, make(layer)), None)[1]
