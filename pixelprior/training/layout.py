"""Layout of a training state: whole on every device, or split over the devices.

The split layout is called fully sharded (Rajbhandari et al. 2020, ZeRO, section 5, and FSDP).
Weights, their average and the optimizer's state then take as much memory on n devices together as
on one. A layer's parts on other devices are fetched when they are needed; `jax.jit` arranges this.
"""

import math
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pixelprior.system.devices import replicated

LARGE = 1024
"""Arrays with fewer numbers are on every device: fetching them costs more than keeping them."""


def state_layout(state: Any, mesh: Mesh, *, fully_sharded: bool) -> Any:
    """Choose the sharding of each array of a state, or of a similar tree.

    If fully sharded, each large array is split along its longest axis that divides evenly over the
    devices. An array without such an axis is on every device.
    """
    return jax.tree.map(
        lambda x: _split(x.shape, mesh) if fully_sharded else replicated(mesh), state
    )


def bytes_on_each_device(state: Any) -> int:
    """Compute the memory of a state on each device, in bytes.

    The state has arrays, or their shapes with shardings.
    """
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
