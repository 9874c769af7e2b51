"""One mesh of all devices, over which batches are split.

Legend: b batch, r rows of it.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Int

from pixelprior.errors import InputError


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Devices along one axis named ``data``: all of all processes, if none are given."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)


def replicated(mesh: Mesh) -> NamedSharding:
    """The same values on every device."""
    return NamedSharding(mesh, PartitionSpec())


def split_by_batch(mesh: Mesh) -> NamedSharding:
    """The leading axis split over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def check_batch_size(batch_size: int, mesh: Mesh, *, parts: int = 1) -> None:
    """Raises an InputError unless every device has as many images in each part of a batch."""
    if batch_size < 1 or batch_size % (mesh.size * parts):
        among = f"the {mesh.size} devices" + (f" times the {parts} parts" if parts > 1 else "")
        raise InputError(f"batch_size must be a positive multiple of {among}, got {batch_size}")


def rows_here(batch_size: int, mesh: Mesh) -> Int[np.ndarray, " r"]:
    """Which rows of a batch of b go to the devices of this process: all, if it is alone."""
    places = split_by_batch(mesh).addressable_devices_indices_map((batch_size,))
    rows = [np.arange(batch_size)[index] for index in places.values() if index is not None]
    return np.unique(np.concatenate(rows))


def put_batch(batch: Any, mesh: Mesh) -> Any:
    """Moves a pytree of host arrays ``[r, ...]`` to the devices, split by batch.

    They are the rows of it that `rows_here` names; the arrays that come out are ``[b, ...]``.
    """
    sharding = split_by_batch(mesh)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)), batch
    )


def to_host(tree: Any) -> Any:
    """Whole arrays on this host, of those that lie split over the devices of all processes."""
    return jax.tree.map(np.asarray, _everywhere(tree))


def on_this_process(tree: Any) -> Any:
    """Arrays that this process can use by itself, of those that lie on the devices of all.

    To be called by all processes: one has parts that the others lack.
    """
    return jax.tree.map(
        lambda x: x if x.is_fully_addressable else x.addressable_data(0), _everywhere(tree)
    )


def _everywhere(tree: Any) -> Any:
    """The same arrays, each whole on every device, if parts are out of this process's reach."""
    return jax.tree.map(
        lambda x: (
            x
            if x.is_fully_addressable or x.is_fully_replicated
            else jax.jit(_same, out_shardings=replicated(x.sharding.mesh))(x)
        ),
        tree,
    )


def _same(x: Any) -> Any:
    return x


# For work that is done for each image by itself, like sampling.

FEWEST_ON_A_CORE = 4
"""With fewer images for each core, all cores together are the faster ones."""


def split_cpu(num: int) -> None:
    """Makes as many devices of this machine's CPU as pay for drawing ``num`` images at once.

    The products of one position are too small for several cores to share them: two cores with half
    of a batch each are half as fast again as both of them on all of it
    (``benchmarks.sampling --devices``). To be called before anything is computed; what the user has
    set by ``JAX_NUM_CPU_DEVICES`` or ``XLA_FLAGS`` stays.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "JAX_NUM_CPU_DEVICES" in os.environ or "xla_force_host_platform_device_count" in flags:
        return
    devices = max(1, min(num_cores(), num // FEWEST_ON_A_CORE))
    jax.config.update("jax_num_cpu_devices", devices)


def num_cores() -> int:
    """How many of the machine's cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def mesh_for(num: int, *arguments: Any) -> Mesh | None:
    """All devices, if so many images can be split evenly over several of them.

    None inside other jitted code, where the arguments are traced: that decides what is where. And
    None with several processes, whose arrays may lie where this one cannot reach them.
    """
    devices = jax.devices()
    traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arguments))
    if traced or len(devices) == 1 or num % len(devices) or jax.process_count() > 1:
        return None
    return Mesh(np.array(devices), ("data",))


def put_on(mesh: Mesh | None, everyones: Any, each_ones: Any) -> tuple[Any, Any]:
    """Moves what every image needs to all devices, and what is each one's own to its device."""
    if mesh is None:
        return everyones, each_ones
    return jax.device_put((everyones, each_ones), (replicated(mesh), split_by_batch(mesh)))


def bring_back(mesh: Mesh | None, results: Any, everyones: Any) -> Any:
    """Moves results to the one device that ``everyones`` came from, if it was one.

    There they can be used beside it: JAX refuses to compute with arrays that were put on different
    devices.
    """
    if mesh is None:
        return results
    places = {leaf.sharding for leaf in jax.tree.leaves(everyones) if isinstance(leaf, jax.Array)}
    alone = [place for place in places if len(place.device_set) == 1]
    return jax.device_put(results, alone[0]) if len(alone) == len(places) == 1 else results


def on_each_device(function: Callable[..., Any], mesh: Mesh | None) -> Callable[..., Any]:
    """A function of what all images need and of each one's own, on each device for its images.

    No device waits for another one.
    """
    if mesh is None:
        return function
    whole, split = PartitionSpec(), PartitionSpec("data")
    return jax.shard_map(
        function, mesh=mesh, in_specs=(whole, split), out_specs=split, check_vma=False
    )
