"""Several processes that do one job together, as on several hosts: how they meet, agree and end.

A process alone need not know of any of this: all of it is nothing then.
"""

import contextlib
import importlib.util
import itertools
import os
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array, Int

from pixelprior.errors import InputError
from pixelprior.system.devices import data_mesh, put_batch

WAIT_SECONDS = 300
"""So long the first process is waited for."""

HEARTBEAT_SECONDS = 60
"""A process that has been silent for so long is taken for dead, and ends the others."""

PATIENCE_SECONDS = 24 * 3600
"""So long processes wait for one that is alive, and busy with what only one of them does."""

GRACE_SECONDS = 2
"""What the first process leaves the others to tell of their own errors: when it ends, they end."""


@contextlib.contextmanager
def joined(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> Iterator[None]:
    """Within it, this process is one of several, if it was started as one.

    To be entered before anything is computed. Whatever is raised inside ends this process at once
    where there are others, which it would keep waiting; and so they end too.

    Args:
        coordinator: HOST:PORT, where the first process can be reached by the others. Without these
            three arguments the environment is looked at: that of TPU pods, Slurm and Open MPI.
        num_processes: how many there are.
        process_id: which of them this one is, from 0.

    Raises:
        InputError: if the arguments make no sense, or the others are not found.
    """
    _meet(coordinator, num_processes, process_id)
    try:
        yield
    # Whatever it is, Ctrl-C too.
    except BaseException as error:
        if not several():
            raise
        _leave(error)
    if jax.distributed.is_initialized():
        jax.distributed.shutdown()


def several() -> bool:
    """Whether this process is one of several."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def is_first() -> bool:
    """Whether this process does what only one of several may do; if it is alone, it does."""
    return not several() or jax.process_index() == 0


def largest(value: int) -> Int[Array, ""]:
    """The largest of the values that the processes give, on their devices: nobody waits for it."""
    values = np.full(jax.local_device_count(), value, np.int32)
    return _largest(put_batch(values, data_mesh()))


_largest = jax.jit(jnp.max)


def wait_for_all() -> None:
    """Returns when all processes have come here, however long one of them takes.

    They meet through the service by which they have found each other: a computation on the devices
    of all fails on CPUs if one is more than 30 seconds late.
    """
    if not several():
        return
    # A second of imports, which a process alone need not wait for.
    from orbax.checkpoint.multihost import get_barrier_sync_fn

    wait = get_barrier_sync_fn()
    wait(key=f"pixelprior-{next(_meetings)}", timeout_ms=1000 * PATIENCE_SECONDS)


_meetings = itertools.count()


def all_agree(holds: bool) -> bool:
    """Whether something holds in every process. Waits for all of them."""
    wait_for_all()
    return holds if not several() else not int(largest(not holds))


@contextlib.contextmanager
def first_then_others() -> Iterator[None]:
    """What is done within is done by the first process, and then by all others.

    So they find what it has written.

    Raises:
        InputError: in all processes, if one of them raised it.
    """
    refused = None
    if not is_first():
        all_agree(True)
    try:
        yield
    except InputError as error:
        refused = error
    if several() and is_first():
        all_agree(True)
    if all_agree(refused is None):
        return
    raise refused or InputError("another process cannot continue; its own error message says why")


def from_first(tree: Any) -> Any:
    """Arrays as the first process has them, for all processes, on their hosts."""
    wait_for_all()
    return multihost_utils.broadcast_one_to_all(tree) if several() else tree


def _meet(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    given = {
        "--coordinator": coordinator,
        "--num_processes": num_processes,
        "--process_id": process_id,
    }
    missing = [flag for flag, value in given.items() if value is None]
    if len(missing) == len(given):
        if _may_be_one_of_several():
            _initialize()
        return
    if missing:
        raise InputError(f"one of several processes needs {', '.join(given)}; give {missing[0]}")
    assert coordinator is not None and num_processes is not None and process_id is not None
    if not 0 <= process_id < num_processes:
        raise InputError(
            f"--process_id counts from 0 to --num_processes - 1, got {process_id} of "
            f"{num_processes}"
        )
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"--coordinator must be HOST:PORT of the first process, got {coordinator}")
    if process_id == 0:
        _check_free(int(port))
    else:
        print(f"process {process_id}: looking for the first one at {coordinator}", file=sys.stderr)
        _wait_for(host.strip("[]"), int(port))
    _initialize(
        coordinator_address=coordinator,
        num_processes=num_processes,
        process_id=process_id,
        # All devices of the host, whatever the environment says of it.
        cluster_detection_method="deactivate",
    )


def _check_free(port: int) -> None:
    """Raises an InputError if the others cannot be listened to; JAX would never return."""
    try:
        with socket.create_server(("", port)):
            pass
    except (OSError, OverflowError) as error:
        raise InputError(
            f"port {port} of --coordinator cannot be used here: {error}; give another to all"
        ) from error


def _wait_for(host: str, port: int) -> None:
    """Returns when the first process can be reached; JAX itself would abort if it cannot."""
    give_up = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            socket.create_connection((host, port), timeout=5).close()
            return
        except (OSError, OverflowError) as error:
            if time.monotonic() > give_up:
                raise InputError(
                    f"the first process does not answer at {host}:{port} ({error}); start it with "
                    "--process_id=0, on the host that --coordinator names"
                ) from error
            time.sleep(0.2)


def _initialize(**arguments: Any) -> None:
    # It would handle SIGTERM, as the training loop does itself.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(heartbeat_timeout_seconds=HEARTBEAT_SECONDS, **arguments)
    # A TPU of one host may know of no coordinator, and needs none.
    except ValueError:
        if arguments:
            raise
    except RuntimeError as error:
        raise InputError(
            f"the processes did not find each other: {str(error).splitlines()[0]}"
        ) from error
    else:
        if is_first() and several():
            print(f"{jax.process_count()} processes have found each other", file=sys.stderr)


def _may_be_one_of_several() -> bool:
    """Whether the environment says that this process is one of several, or only a TPU can tell."""
    tasks = {"SLURM_STEP_NODELIST": "SLURM_NTASKS", "OMPI_MCA_orte_hnp_uri": "OMPI_COMM_WORLD_SIZE"}
    counts = [os.environ.get(count, "1") for there, count in tasks.items() if there in os.environ]
    # JAX has set the variable where it found no TPU.
    has_tpu = importlib.util.find_spec("libtpu") and "TPU_SKIP_MDS_QUERY" not in os.environ
    return any(count != "1" for count in counts) or bool(has_tpu)


def _leave(error: BaseException) -> None:
    """Ends this process without waiting for the others."""
    who = f"process {jax.process_index()} of {jax.process_count()}"
    if isinstance(error, InputError):
        status = 2
        print(f"error: {who}: {error}", file=sys.stderr)
    else:
        status = 1
        # A connection that is lost comes as an error of one kind or another.
        traceback.print_exception(error)
        print(
            f"error: {who} cannot go on. If another one has ended, what that one printed says why. "
            "Run the same command in all of them to go on from the last checkpoint",
            file=sys.stderr,
        )
    sys.stdout.flush()
    sys.stderr.flush()
    if is_first():
        time.sleep(GRACE_SECONDS)
    # Not by way of what is registered for the end: JAX would wait there for the others.
    os._exit(status)
