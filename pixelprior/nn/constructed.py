"""Models that remember how they were constructed, so that a run folder can rebuild them."""

import functools
import inspect
import weakref
from collections.abc import Mapping
from typing import Any

# The arguments are stored outside the models. An attribute would become a part of a model's graph,
# and two equal models would compile twice.
_ARGUMENTS: weakref.WeakKeyDictionary[Any, Mapping[str, Any]] = weakref.WeakKeyDictionary()


class Constructed:
    """Base of classes whose constructor arguments are stored."""

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "__init__" not in cls.__dict__:
            return
        construct = cls.__init__

        @functools.wraps(construct)
        def __init__(self: Any, *args: Any, **settings: Any) -> None:
            # The outermost constructor runs first. Constructors of base classes do not count.
            if self not in _ARGUMENTS:
                bound = inspect.signature(construct).bind(self, *args, **settings)
                _ARGUMENTS[self] = bound.arguments
            construct(self, *args, **settings)

        cls.__init__ = __init__  # type: ignore[method-assign]


def constructor_arguments(model: Any) -> dict[str, Any] | None:
    """Return the arguments that a model was constructed with, by name, without ``rngs``.

    Returns:
        The arguments, or None for a model that another function made, for example `nnx.merge`.
    """
    if model not in _ARGUMENTS:
        return None
    arguments = dict(_ARGUMENTS[model])
    variable = [
        name
        for name, parameter in inspect.signature(type(model).__init__).parameters.items()
        if parameter.kind is inspect.Parameter.VAR_KEYWORD
    ]
    for name in variable:
        arguments |= arguments.pop(name, {})
    return {name: value for name, value in arguments.items() if name not in ("self", "rngs")}
