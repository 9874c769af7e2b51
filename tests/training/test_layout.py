"""States in parts: which, and that runs on many devices, or on others, end as on one."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pixelprior.system.devices import data_mesh
from pixelprior.training.layout import state_layout
from pixelprior.training.metrics import read_metrics
from tests.training.restarts import CLOCK, logged, wait_for
from tests.training.small_configs import FIFTY_STEPS, TOKENIZER, WIDE, write_config
from tests.xla_flags import devices, xla_flags

EIGHT = xla_flags(devices(8))


def test_on_one_device_all_is_whole():
    state = {"kernel": jnp.zeros((64, 64)), "step": jnp.zeros(())}
    for fully_sharded in (False, True):
        layout = state_layout(state, data_mesh(), fully_sharded=fully_sharded)
        shards = jax.tree.map(lambda x, place: place.shard_shape(x.shape), state, layout)
        assert shards == {"kernel": (64, 64), "step": ()}


SPLIT = """
import jax, numpy as np
from jax.sharding import PartitionSpec as P
from pixelprior.system.devices import data_mesh
from pixelprior.training.layout import state_layout

shapes = [(64, 32), (32, 64), (7, 3, 24, 16), (24, 100), (8, 8), (1025,), (1024,), ()]
state = [jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes]
layout = state_layout(state, data_mesh(), fully_sharded=True)
# The longest axis of 8 equal shares; none if there is none, or if the array is small.
assert [place.spec for place in layout] == [
    P("data"), P(None, "data"), P(None, None, "data"), P("data"), P(), P(), P("data"), P()
], layout
whole = state_layout(state, data_mesh(), fully_sharded=False)
assert {place.spec for place in whole} == {P()}
"""


def test_what_is_split_over_eight_devices():
    subprocess.run([sys.executable, "-c", SPLIT], env=os.environ | EIGHT, check=True)


OF_THE_MACHINE = (*CLOCK, "state_memory_bytes", "step_memory_bytes")


def assert_agree(one, many):
    """But for times and memory; sums are in another order, through 12 steps of Adam."""
    assert len(one) == len(many) == 17
    for a, b in zip(one, many, strict=True):
        assert a.keys() == b.keys()
        for key in a.keys() - {*OF_THE_MACHINE}:
            np.testing.assert_allclose(b[key], a[key], rtol=1e-4, err_msg=key)


@pytest.mark.slow
def test_a_state_in_parts_learns_the_same(wide, tmp_path, run):
    assert "8 devices" in run(tmp_path / "run", *WIDE, num_devices=8)
    metrics = read_metrics(tmp_path / "run" / "metrics.jsonl")
    on_one_device = read_metrics(wide / "metrics.jsonl")
    assert_agree(on_one_device, metrics)
    assert metrics[0]["state_memory_bytes"] < 0.3 * on_one_device[0]["state_memory_bytes"]


@pytest.mark.slow
def test_a_run_goes_on_on_another_number_of_devices(wide, tmp_path, start, run):
    workdir = tmp_path / "run"
    process = start(workdir, *WIDE, num_devices=8)
    wait_for(logged(workdir, 5), process)
    process.terminate()
    _, errors = process.communicate()
    assert "saved step" in errors, errors
    assert "1 device" in run(workdir, *WIDE)
    assert_agree(read_metrics(wide / "metrics.jsonl"), read_metrics(workdir / "metrics.jsonl"))


@pytest.mark.release
@pytest.mark.slow
def test_eight_devices_learn_what_one_does_over_fifty_steps(fifty_steps, tmp_path, run):
    run(tmp_path / "eight", *FIFTY_STEPS, num_devices=8)
    told = [read_metrics(folder / "metrics.jsonl") for folder in (fifty_steps, tmp_path / "eight")]
    losses = [[r["train_bits_per_dim"] for r in run if "train_bits_per_dim" in r] for run in told]
    assert len(losses[0]) == 50
    np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.release
@pytest.mark.slow
def test_a_tokenizer_in_parts_learns_the_same(tmp_path, run):
    tokenizer = TOKENIZER["tokenizer"] | {"features": 32}
    config = TOKENIZER | {"mesh": "fsdp", "tokenizer": tokenizer}
    flag = f"--config={write_config(tmp_path, config)}"
    told = []
    for number in (1, 8):
        run(tmp_path / str(number), flag, num_devices=number)
        told.append(read_metrics(tmp_path / str(number) / "metrics.jsonl"))
    losses = [[r["train_loss"] for r in run if "train_loss" in r] for run in told]
    assert len(losses[0]) == 12
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert told[1][0]["state_memory_bytes"] < 0.5 * told[0][0]["state_memory_bytes"]
