"""Methods that compile themselves when they are called from outside of compiled code.

Without this, operations run one by one, and JAX compiles a loop over layers anew in every call. The
body of the loop is a new function each time. JAX does not find it in its cache, and keeps every
compiled program.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
from flax import nnx

from pixelprior.system.programs import jit_by_structure

Method = TypeVar("Method", bound=Callable[..., Any])


def compiled(
    check: Callable[..., None] | None = None, *, static: Sequence[str] = ()
) -> Callable[[Method], Method]:
    """Make a decorator for methods of modules: one compiled program per graph and shapes.

    Inside other traced code, the method runs directly, as a part of that code. The method must not
    change its module.

    Args:
        check: function that is called first, with the method's own arguments. Their values can
            still be read at that time.
        static: names of the arguments that are not arrays.
    """

    def decorate(method: Method) -> Method:
        signature = inspect.signature(method)

        @jit_by_structure()
        def run(weights: Any, arrays: Any, *, graph: Any, fixed: Any) -> Any:
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
            return run(weights, arrays, graph=graph, fixed=fixed)

        return call  # type: ignore[return-value]

    return decorate
