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


def run_program(program, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"} | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def devices_for(num, **environment):
    return int(run_program(COUNT, str(num), **environment))


@pytest.mark.parametrize(("num", "devices"), [(1, 1), (7, 1), (8, 2), (64, 3)])
def test_every_core_is_a_device_if_it_has_four_images_to_draw(num, devices):
    assert devices_for(num) == devices


def test_what_the_user_has_set_stays():
    assert devices_for(64, JAX_NUM_CPU_DEVICES="5") == 5
    assert devices_for(64, XLA_FLAGS="--xla_force_host_platform_device_count=2") == 2


TWICE = """
import jax
from pixelprior.system import devices
devices.num_cores = lambda: 3
if {computed_before}:
    jax.numpy.zeros(3) + 1
devices.split_cpu(64)
devices.split_cpu(8)
jax.numpy.zeros(3) + 1
devices.split_cpu(64)
print(jax.device_count(), devices.data_mesh().size)
"""


@pytest.mark.parametrize(
    ("computed_before", "printed"),
    [
        # Drawing uses all parts of the CPU; training and evaluation use it as one device.
        (False, "2 1"),
        (True, "1 1"),
    ],
)
def test_a_process_that_draws_may_do_other_work_too(computed_before, printed):
    program = TWICE.format(computed_before=computed_before)
    assert run_program(program).strip() == printed
