"""Silence of Orbax: what it hides, and what it must not hide."""

import asyncio
import gc
import logging

import pytest

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


def test_a_report_without_an_error_is_kept(caplog):
    with quiet_writers():
        pass
    logging.getLogger("asyncio").error("loop is slow")
    assert "loop is slow" in caplog.text
