"""A test file run as a program, on several devices."""

import os
import subprocess
import sys
from pathlib import Path

from tests.xla_flags import devices, xla_flags

ROOT = Path(__file__).parents[1]


def run_on_devices(num_devices, file, *arguments):
    """What the file prints as ``__main__``, in a process that has so many CPU devices."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {
        "PYTHONPATH": path,
        "JAX_PLATFORMS": "cpu",
        **xla_flags(devices(num_devices)),
    }
    child = subprocess.run(
        [sys.executable, file, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    return child.stdout
