"""Meshes of devices, and batches that are split over them.

Legend: b batch, r rows of a batch.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Int

from pixelprior.errors import InputError


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Mesh of devices along one axis named ``data``; by default all devices of all processes.

    After `split_cpu`, the default is the first device. It uses the whole CPU, as without the split.

    Raises:
        InputError: if ``devices`` is not a list of devices, or empty.
    """
    if devices is None:
        devices = jax.devices()[:1] if _splits else jax.devices()
    kinds = isinstance(devices, list | tuple) and all(isinstance(d, jax.Device) for d in devices)
    if not devices or not kinds:
        raise InputError(f"devices must be a list such as jax.devices(), got {devices!r:.80}")
    return jax.make_mesh((len(devices),), ("data",), axis_types=(AxisType.Auto,), devices=devices)


def replicated(mesh: Mesh) -> NamedSharding:
    """Sharding with the same values on every device."""
    return NamedSharding(mesh, PartitionSpec())


def split_by_batch(mesh: Mesh) -> NamedSharding:
    """Sharding with the leading axis split over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def check_batch_size(batch_size: int, mesh: Mesh, *, parts: int = 1) -> None:
    """Raise an InputError unless every device gets equally many images in each part of a batch."""
    _check_number(batch_size)
    unit = mesh.size * parts
    if batch_size % unit:
        among = f"the {mesh.size} devices" + (f" times the {parts} parts" if parts > 1 else "")
        below = batch_size - batch_size % unit
        nearest = f"{below} or {below + unit}" if below else f"{unit}"
        raise InputError(
            f"batch_size must be a multiple of {among}, got {batch_size}; give {nearest}"
        )


def even_batch_size(batch_size: int, mesh: Mesh, *, parts: int = 1) -> int:
    """Round a number of images up, so that every device gets equally many in each part of a batch.

    Raises:
        InputError: if it is not a number of images.
    """
    _check_number(batch_size)
    unit = mesh.size * parts
    return -(-batch_size // unit) * unit


def _check_number(batch_size: int) -> None:
    # JAX counts the rows of an array with 32 bits.
    if type(batch_size) is not int or not 1 <= batch_size < 2**31:
        raise InputError(f"batch_size must be an integer in [1, 2**31), got {batch_size!r:.80}")


def rows_here(batch_size: int, mesh: Mesh) -> Int[np.ndarray, " r"]:
    """Rows of a batch that go to the devices of this process; all rows if it is the only one."""
    places = split_by_batch(mesh).addressable_devices_indices_map((batch_size,))
    rows = [np.arange(batch_size)[index] for index in places.values() if index is not None]
    return np.unique(np.concatenate(rows))


def put_batch(batch: Any, mesh: Mesh) -> Any:
    """Move a pytree of host arrays ``[r, ...]`` to the devices, split by batch.

    The host arrays are the rows of `rows_here`. The results have shape ``[b, ...]``.
    """
    sharding = split_by_batch(mesh)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)), batch
    )


def to_host(tree: Any) -> Any:
    """Collect arrays that are split over the devices of all processes, as arrays on this host."""
    return jax.tree.map(np.asarray, _everywhere(tree))


def on_this_process(tree: Any) -> Any:
    """Convert arrays on the devices of all processes to arrays that this process can use alone.

    All processes must call this, because each has parts that the others need.
    """
    return jax.tree.map(
        lambda x: x if x.is_fully_addressable else x.addressable_data(0), _everywhere(tree)
    )


def _everywhere(tree: Any) -> Any:
    """Copy arrays completely to every device, if this process cannot access all their parts."""
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


# The rest is for work on independent images, like sampling.

FEWEST_ON_A_CORE = 4
"""Smallest number of images per core. With fewer images, all cores together are faster."""


def split_cpu(num: int) -> None:
    """Divide the CPU into the number of devices that is fastest for drawing ``num`` images.

    The matrix products of one position are too small to share between cores. Two cores with half a
    batch each are 1.5 times as fast as both cores on the whole batch (``benchmarks.sampling
    --devices``). Call this before any computation. If this process has computed already, as a
    notebook may have, nothing changes. The same holds if the user has set ``JAX_NUM_CPU_DEVICES``,
    or the number of devices in ``XLA_FLAGS``.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if "JAX_NUM_CPU_DEVICES" in os.environ or "xla_force_host_platform_device_count" in flags:
        return
    devices = max(1, min(num_cores(), num // FEWEST_ON_A_CORE))
    # JAX raises this once its devices are in use.
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", devices)
        _splits.append(devices)


_splits: list[int] = []
"""Numbers of devices into which `split_cpu` has divided the CPU of this process."""


def num_cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def mesh_for(num: int, *arguments: Any) -> Mesh | None:
    """Mesh of all devices, if there are several and ``num`` images can be split evenly over them.

    The result is None inside other jitted code, whose arguments are traced, because that code
    decides about placement. It is also None with several processes, because their arrays may be
    on devices that this process cannot access.
    """
    devices = jax.devices()
    traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(arguments))
    if traced or len(devices) == 1 or num % len(devices) or jax.process_count() > 1:
        return None
    return Mesh(np.array(devices), ("data",))


def put_on(mesh: Mesh | None, everyones: Any, each_ones: Any) -> tuple[Any, Any]:
    """Copy shared arrays to all devices, and split the arrays of the images over the devices."""
    if mesh is None:
        return everyones, each_ones
    return jax.device_put((everyones, each_ones), (replicated(mesh), split_by_batch(mesh)))


def bring_back(mesh: Mesh | None, results: Any, everyones: Any) -> Any:
    """Move results to the device of ``everyones``, if all its arrays are on one device.

    Results and ``everyones`` can then be used together. JAX does not compute with arrays on
    different devices.
    """
    if mesh is None:
        return results
    places = {leaf.sharding for leaf in jax.tree.leaves(everyones) if isinstance(leaf, jax.Array)}
    alone = [place for place in places if len(place.device_set) == 1]
    return jax.device_put(results, alone[0]) if len(alone) == len(places) == 1 else results


def on_each_device(function: Callable[..., Any], mesh: Mesh | None) -> Callable[..., Any]:
    """Make a function run on each device, with the shared arrays and the arrays of its images.

    No device waits for another one.
    """
    if mesh is None:
        return function
    whole, split = PartitionSpec(), PartitionSpec("data")
    return jax.shard_map(
        function, mesh=mesh, in_specs=(whole, split), out_specs=split, check_vma=False
    )
