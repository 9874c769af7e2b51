"""How many devices a CPU is split into, each time in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COUNT = """
import sys
import jax
from pixelprior.system import devices
devices.num_cores = lambda: 3
devices.split_cpu(int(sys.argv[1]))
print(jax.device_count())
"""


def devices_for(num, **environment):
    result = subprocess.run(
        [sys.executable, "-c", COUNT, str(num)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stdout)


@pytest.mark.parametrize(("num", "devices"), [(1, 1), (7, 1), (8, 2), (64, 3)])
def test_every_core_is_a_device_if_it_has_four_images_to_draw(num, devices):
    assert devices_for(num) == devices


def test_what_the_user_has_set_stays():
    assert devices_for(64, JAX_NUM_CPU_DEVICES="5") == 5
    assert devices_for(64, XLA_FLAGS="--xla_force_host_platform_device_count=2") == 2
