"""Several processes that share one job, for example on several hosts: start, agreement and end.

For a single process, these functions do nothing.
"""

import contextlib
import importlib.util
import itertools
import os
import socket
import sys
import time
import traceback
import zlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import Array, Int

from pixelprior.errors import InputError
from pixelprior.system.devices import data_mesh, put_batch
from pixelprior.system.printable import printable
from pixelprior.system.watch import BEAT_SECONDS, SILENCE_SECONDS, SUSPECT_SECONDS, Watch

WAIT_SECONDS = 300
"""Longest wait for the first process."""

ANSWER_SECONDS = 10
"""Longest time that something else may answer in the place of the first process."""

HEARTBEAT_SECONDS = 120
"""Time after which JAX aborts the others of a silent process. Our own watch ends them before."""

PATIENCE_SECONDS = 24 * 3600
"""Longest wait for a live process that does work which only one process may do."""

GRACE_SECONDS = 2
"""Time for the others to print their errors before the first process ends. Then they end too."""

NOTICE_SECONDS = 2 * BEAT_SECONDS
"""Time in which all processes notice that one hangs, after the first one has noticed it."""


@contextlib.contextmanager
def joined(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> Iterator[None]:
    """Join the other processes of a job for the duration of the body, if there are any.

    Enter this before any computation. If there are other processes, an exception in the body ends
    this process at once, because the others would wait for it. The others then end too. If one
    hangs, the others end within about `SILENCE_SECONDS`, with one sentence each.

    Args:
        coordinator: HOST:PORT, the address of the first process. If all three arguments are None,
            the environment of TPU pods, Slurm or Open MPI determines them.
        num_processes: the number of processes.
        process_id: the number of this process, from 0.

    Raises:
        InputError: if the arguments are invalid, or the other processes are not found.
    """
    _meet(coordinator, num_processes, process_id)
    watch = _watch_the_others() if several() else None
    try:
        yield
        # The watch goes on until the last one is done.
        wait_for_all()
    # Any exception counts, including Ctrl-C.
    except BaseException as error:
        if watch is None:
            raise
        _leave(error, watch.silent(SUSPECT_SECONDS))
    if watch is not None:
        watch.stop()
    if jax.distributed.is_initialized():
        jax.distributed.shutdown()


def several() -> bool:
    """True if this process is one of several."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def is_first() -> bool:
    """True for the process that does the work of only one: the first one, or a single process."""
    return not several() or jax.process_index() == 0


def largest(value: int) -> Int[Array, ""]:
    """Largest of the values of all processes, as an array on their devices. No process waits."""
    values = np.full(jax.local_device_count(), value, np.int32)
    return _largest(put_batch(values, data_mesh()))


_largest = jax.jit(jnp.max)


def wait_for_all() -> None:
    """Wait until all processes have called this, even if one takes long.

    The processes use the service that connected them. A computation on all devices would fail on
    CPUs if one process is more than 30 seconds late.
    """
    if not several():
        return
    # Imported here because it takes a second, and a single process does not need it.
    from orbax.checkpoint.multihost import get_barrier_sync_fn

    wait = get_barrier_sync_fn()
    wait(key=f"pixelprior-{next(_meetings)}", timeout_ms=1000 * PATIENCE_SECONDS)


_meetings = itertools.count()


def all_agree(holds: bool) -> bool:
    """True if ``holds`` is true in every process. Waits for all processes."""
    wait_for_all()
    return holds if not several() else not int(largest(not holds))


@contextlib.contextmanager
def first_then_others() -> Iterator[None]:
    """Run the body in the first process, and then in all others.

    The others can therefore use the files that the first process has written.

    Raises:
        InputError: in all processes, if the body raises it in one of them.
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


def is_the_same_everywhere(text: str) -> bool:
    """True if all processes have the same text. Waits for all processes."""
    mine = np.uint32(zlib.crc32(text.encode()))
    return all_agree(int(from_first(mine)) == int(mine))


def from_first(tree: Any) -> Any:
    """Send the arrays of the first process to all processes, as arrays on their hosts."""
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
        # Use all devices of the host, and ignore the environment.
        cluster_detection_method="deactivate",
    )


def _check_free(port: int) -> None:
    """Raise an InputError if the port cannot be used. Otherwise JAX would never return."""
    try:
        with socket.create_server(("", port)):
            pass
    except (OSError, OverflowError) as error:
        raise InputError(
            f"port {port} of --coordinator cannot be used here: {error}; give another to all"
        ) from error


def _wait_for(host: str, port: int) -> None:
    """Wait until the first process can be reached. Without this, JAX would abort if it cannot."""
    give_up = time.monotonic() + WAIT_SECONDS
    stranger_since = None
    while True:
        try:
            if _speaks_grpc(host, port):
                return
            # A first process that is about to start may hold the port for a moment.
            stranger_since = stranger_since or time.monotonic()
            if time.monotonic() > stranger_since + ANSWER_SECONDS:
                raise InputError(
                    f"another service answers at {host}:{port}, not the first process; give "
                    "another port in --coordinator to all processes"
                )
            time.sleep(0.2)
        except (OSError, OverflowError) as error:
            stranger_since = None
            if time.monotonic() > give_up:
                raise InputError(
                    f"the first process does not answer at {host}:{port} ({error}); start it with "
                    "--process_id=0, on the host that --coordinator names"
                ) from error
            time.sleep(0.2)


def _speaks_grpc(host: str, port: int) -> bool:
    """True if the service at an address begins like the one of JAX: with settings of HTTP/2.

    Raises:
        OSError: if there is no service.
    """
    with socket.create_connection((host, port), timeout=5) as connection:
        try:
            connection.sendall(_HTTP2_GREETING)
            answer = b""
            while len(answer) < len(_HTTP2_SETTINGS) and (more := connection.recv(64)):
                answer += more
        # Something that stays silent, or hangs up.
        except OSError:
            return False
    # The length of the settings is in front of their frame.
    return answer[3:4] + answer[5:9] == _HTTP2_SETTINGS[3:4] + _HTTP2_SETTINGS[5:9]


_HTTP2_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""An empty frame of settings (RFC 9113, section 6.5)."""

_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _HTTP2_SETTINGS
"""The first bytes of a client (RFC 9113, section 3.4)."""


def _initialize(**arguments: Any) -> None:
    # This service would handle SIGTERM, but the training loop handles it.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(heartbeat_timeout_seconds=HEARTBEAT_SECONDS, **arguments)
    # A TPU on one host may have no coordinator, and needs none.
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
    """True if the environment names several processes, or if only a TPU runtime can decide."""
    tasks = {"SLURM_STEP_NODELIST": "SLURM_NTASKS", "OMPI_MCA_orte_hnp_uri": "OMPI_COMM_WORLD_SIZE"}
    counts = [os.environ.get(count, "1") for there, count in tasks.items() if there in os.environ]
    # JAX sets this variable if it finds no TPU.
    has_tpu = importlib.util.find_spec("libtpu") and "TPU_SKIP_MDS_QUERY" not in os.environ
    return any(count != "1" for count in counts) or bool(has_tpu)


class _KeyValueBoard:
    """Board in the service that connects the processes: it needs no port of its own."""

    _FOLDER = "pixelprior/alive/"

    def __init__(self) -> None:
        # JAX has no public name for its key-value store.
        from jax._src import distributed

        self._client: Any = distributed.global_state.client

    def write(self, number: int, beat: int) -> None:
        """See `Board.write`."""
        self._client.key_value_set(f"{self._FOLDER}{number}", str(beat), allow_overwrite=True)

    def read(self) -> dict[int, int]:
        """See `Board.read`."""
        found = self._client.key_value_dir_get(self._FOLDER)
        return {int(key.rpartition("/")[2]): int(beat) for key, beat in found}


def _watch_the_others() -> Watch:
    number, count = jax.process_index(), jax.process_count()

    def end(hung: int) -> None:
        _say_silent(hung, SILENCE_SECONDS, number, count)
        _end(1, NOTICE_SECONDS if number == 0 else 0)

    watch = Watch(_KeyValueBoard(), number, count, end)
    watch.start()
    return watch


def _say_silent(hung: int, seconds: int, number: int, count: int) -> None:
    print(
        f"\nerror: process {number} of {count} ends, because process {hung} has not answered for "
        f"{seconds} s; end it too, and run the same command in all of them to go on from the last "
        "checkpoint",
        file=sys.stderr,
    )


def _leave(error: BaseException, hung: int | None) -> None:
    """End this process without waiting for the others.

    Args:
        error: the reason.
        hung: a process that has been silent, which explains a lost connection; None if all answer.
    """
    number, count = jax.process_index(), jax.process_count()
    who = f"process {number} of {count}"
    if hung is not None and not isinstance(error, InputError | KeyboardInterrupt):
        status = 1
        _say_silent(hung, SUSPECT_SECONDS, number, count)
    elif isinstance(error, InputError):
        status = 2
        print(f"error: {who}: {printable(str(error))}", file=sys.stderr)
    else:
        status = 1
        # A lost connection can raise several kinds of errors.
        traceback.print_exception(error)
        print(
            f"error: {who} cannot go on. If another one has ended, what that one printed says why. "
            "Run the same command in all of them to go on from the last checkpoint",
            file=sys.stderr,
        )
    grace = GRACE_SECONDS if hung is None else NOTICE_SECONDS
    _end(status, grace if number == 0 else 0)


def _end(status: int, grace: float) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    time.sleep(grace)
    # Skip the exit handlers, because the handler of JAX would wait for the others.
    os._exit(status)
