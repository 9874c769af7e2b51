"""Silence of Orbax: what it hides, and what it must not hide."""

import asyncio
import gc
import logging

import pytest
import tensorstore

from pixelprior.training.quiet import quiet_writers

SOURCE = """
async def write():
    raise ValueError("disk full")
"""


def leave_a_failed_task(module):
    """Leave a task of a module behind whose error nobody takes."""
    names = {"__name__": module}
    exec(SOURCE, names)

    async def main():
        asyncio.get_running_loop().create_task(names["write"]())
        await asyncio.sleep(0)

    asyncio.run(main())


@pytest.mark.parametrize("module, told", [("orbax.checkpoint.writers", 0), ("orbaxes", 1)])
def test_a_failed_part_stays_silent_after_the_body(caplog, module, told):
    with quiet_writers():
        pass
    leave_a_failed_task(module)
    gc.collect()
    assert caplog.text.count("Task exception was never retrieved") == told


def test_a_failed_part_of_tensorstore_stays_silent_after_the_body(caplog, tmp_path):
    with quiet_writers():
        pass
    missing = {"driver": "zarr", "kvstore": {"driver": "file", "path": f"{tmp_path}/none/"}}

    async def main():
        # The future of asyncio gets the error from a thread of TensorStore, and nobody takes it.
        future = next(tensorstore.open(missing).__await__())
        while not future.done():
            await asyncio.sleep(0.01)

    asyncio.run(main())
    gc.collect()
    assert not caplog.text


@pytest.mark.parametrize("error", [ValueError("HTTP: 500"), RuntimeError("INTERNAL: lost")])
def test_an_error_of_another_without_a_traceback_is_kept(caplog, error):
    with quiet_writers():
        pass
    logging.getLogger("asyncio").error("lost", exc_info=(type(error), error, None))
    assert "lost" in caplog.text


def test_a_report_without_an_error_is_kept(caplog):
    with quiet_writers():
        pass
    logging.getLogger("asyncio").error("loop is slow")
    assert "loop is slow" in caplog.text
