"""Walk through the operations of a traced function."""

from collections.abc import Iterator

import jax
from jax.extend import core


def operations(jaxpr: core.Jaxpr, times: int = 1) -> Iterator[tuple[core.JaxprEqn, int]]:
    """Yield every operation with the number of its calls, also those of inner functions.

    The body of a `lax.scan` is called as often as it runs.
    """
    for equation in jaxpr.eqns:
        yield equation, times
        scanned = equation.primitive.name == "scan"
        calls = times * equation.params["length"] if scanned else times
        for inner in jax.tree.leaves(
            list(equation.params.values()),
            is_leaf=lambda leaf: isinstance(leaf, core.Jaxpr | core.ClosedJaxpr),
        ):
            if isinstance(inner, core.ClosedJaxpr):
                inner = inner.jaxpr
            if isinstance(inner, core.Jaxpr):
                yield from operations(inner, calls)
