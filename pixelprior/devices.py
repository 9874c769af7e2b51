"""One mesh of all devices: batches are split over it, everything else is on every device."""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from pixelprior.errors import InputError


def data_mesh() -> Mesh:
    """All devices of all processes, along one axis named ``data``."""
    return jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """The same values on every device."""
    return NamedSharding(mesh, PartitionSpec())


def split_by_batch(mesh: Mesh) -> NamedSharding:
    """The leading axis split over the devices."""
    return NamedSharding(mesh, PartitionSpec("data"))


def check_batch_size(batch_size: int, mesh: Mesh) -> None:
    """Raises an InputError unless a batch can be split evenly over the devices."""
    if batch_size < 1 or batch_size % mesh.size:
        raise InputError(
            f"batch_size must be a positive multiple of the {mesh.size} devices, got {batch_size}"
        )


def put_batch(batch: Any, mesh: Mesh) -> Any:
    """Moves a pytree of host arrays ``[b, ...]`` to the devices, split by batch."""
    sharding = split_by_batch(mesh)
    return jax.tree.map(
        lambda x: jax.make_array_from_process_local_data(sharding, np.asarray(x)), batch
    )
