"""Where a training state lies: whole on every device, or in parts, one on each.

In parts is what is called fully sharded (Rajbhandari et al. 2020, ZeRO, section 5; FSDP): weights,
their average and the optimizer's state take as much memory on n devices together as on one. What a
layer needs of the others' parts is fetched when it is needed; `jax.jit` sees to that.
"""

import math
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pixelprior.system.devices import replicated

LARGE = 1024
"""Arrays of fewer numbers are on every device: to fetch them takes longer than to keep them."""


def state_layout(state: Any, mesh: Mesh, *, fully_sharded: bool) -> Any:
    """The sharding of each array of a state, or of anything like it.

    Fully sharded, each large array is split along its longest axis that has an equal share for
    every device; where there is none, it is on every device as well.
    """
    return jax.tree.map(
        lambda x: _split(x.shape, mesh) if fully_sharded else replicated(mesh), state
    )


def bytes_on_each_device(state: Any) -> int:
    """The memory that a state takes: arrays, or their shapes with where they lie."""
    return sum(
        math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize
        for x in jax.tree.leaves(state)
    )


def _split(shape: tuple[int, ...], mesh: Mesh) -> NamedSharding:
    axes = [axis for axis, size in enumerate(shape) if size % mesh.size == 0]
    if not axes or math.prod(shape) < LARGE:
        return replicated(mesh)
    longest = max(axes, key=lambda axis: shape[axis])
    return NamedSharding(mesh, PartitionSpec(*[None] * longest, *mesh.axis_names))
