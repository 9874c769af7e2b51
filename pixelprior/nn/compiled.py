"""Methods that are compiled where they are called from outside of compiled code.

Run operation by operation, a loop over layers is compiled anew in every call, since what it loops
over is a new function each time: JAX finds nothing in its cache, and keeps every program.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
from flax import nnx

Method = TypeVar("Method", bound=Callable[..., Any])


def compiled(
    check: Callable[..., None] | None = None, *, static: Sequence[str] = ()
) -> Callable[[Method], Method]:
    """A decorator for methods of modules: one program per graph and shapes.

    Inside of other traced code the method runs as it is, as a part of that code. It must not change
    its module.

    Args:
        check: called first, with the method's own arguments, while their values can be looked at.
        static: arguments that are no arrays, by name.
    """

    def decorate(method: Method) -> Method:
        signature = inspect.signature(method)

        @functools.partial(jax.jit, static_argnames=("graph", "fixed"))
        def run(graph: Any, weights: Any, arrays: Any, *, fixed: Any) -> Any:
            return method(nnx.merge(graph, weights), **arrays, **dict(fixed))

        @functools.wraps(method)
        def call(self: nnx.Module, *args: Any, **kwargs: Any) -> Any:
            if check is not None:
                check(self, *args, **kwargs)
            if any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves((args, kwargs))):
                return method(self, *args, **kwargs)
            _, *arguments = signature.bind(self, *args, **kwargs).arguments.items()
            fixed = tuple((name, value) for name, value in arguments if name in static)
            arrays = {name: value for name, value in arguments if name not in static}
            graph, weights = nnx.split(self)
            return run(graph, weights, arrays, fixed=fixed)

        return call  # type: ignore[return-value]

    return decorate
