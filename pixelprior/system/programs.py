"""Jitted functions of models, let go before their programs fill the memory mappings of a process.

A program that is compiled for a CPU takes tens to hundreds of memory mappings. Linux gives a
process 65,530 of them, and XLA aborts where there are no more. JAX keeps the programs of a jitted
function as long as the function. A process that trains hundreds of different models would end.

Here each model structure has a jitted function of its own. Once half of the mappings are taken, the
functions that were not used for longest are dropped, with their programs. A dropped function is
compiled again when it is next called.
"""

import collections
import functools
import gc
import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import jax

SHARE = 0.5
"""Share of the mappings of a process above which functions are dropped."""

MAPS, LIMIT = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")

Function = Callable[..., Any]

_functions: collections.OrderedDict[Hashable, Function] = collections.OrderedDict()
"""Jitted functions by function and static arguments, the one that was used last at the end."""

_lock = threading.Lock()


def jit_by_structure(**options: Any) -> Callable[[Function], Function]:
    """Make a decorator like `jax.jit`, for which all keyword arguments are static.

    Args:
        options: options of `jax.jit`, such as ``donate_argnames``.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*arrays: Any, **static: Any) -> Any:
            return _jitted(function, static, options)(*arrays)

        return call

    return decorate


def _jitted(function: Function, static: dict[str, Any], options: dict[str, Any]) -> Function:
    key = function, tuple(static.items())
    with _lock:
        if key in _functions:
            _functions.move_to_end(key)
            return _functions[key]
    make_room()
    with _lock:
        jitted = jax.jit(functools.partial(function, **static), **options)
        return _functions.setdefault(key, jitted)


def make_room() -> None:
    """Drop the older half of the functions if the mappings of this process may run out."""
    if not MAPS.exists() or num_mappings() < SHARE * int(LIMIT.read_text()):
        return
    with _lock:
        for _ in range(-(-len(_functions) // 2)):
            _functions.popitem(last=False)
    gc.collect()


def num_mappings() -> int:
    """Count the memory mappings of this process. Only Linux tells them."""
    with MAPS.open("rb") as lines:
        return sum(1 for _ in lines)
