"""Data that a step exchanges between devices: as counted on paper."""

import json
import os
import subprocess
import sys

import pytest

from pixelprior.training.collectives import collective_bytes
from tests.xla_flags import devices, xla_flags

PROGRAM = """
%add (a: f32[], b: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%a, %b)
}

%body (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %g = f32[8,2]{1,0} all-gather(%x), dimensions={1}
  %r = (bf16[4]{0}, /*index=1*/f32[3]{0}) all-reduce(%y, %z), to_apply=%add
}

%condition (p: (s32[], f32[8])) -> pred[] {
  ROOT %less = pred[] compare(%i, %n), direction=LT
}

ENTRY %main (state: f32[8]) -> f32[8] {
  %w = (s32[], f32[8]) while(%t), condition=%condition, body=%body, \
backend_config={"known_trip_count":{"n":"3"}}
  ROOT %last = f32[5]{0} all-reduce(%v), to_apply=%add
}
"""


def test_a_program_by_hand():
    # The loop runs three times: 8 * 2 floats are gathered, 4 halves and 3 floats are reduced.
    assert collective_bytes(PROGRAM) == {
        "all-gather": 3 * 8 * 2 * 4,
        "all-reduce": 3 * (4 * 2 + 3 * 4) + 5 * 4,
    }
    assert collective_bytes("ENTRY %main (x: f32[]) -> f32[] {\n}") == {}


PLANS = """
import json, sys
from pixelprior.runs.train import plan_run
from tests.training.small_configs import CONFIG

model = CONFIG["model"] | {"features": 32, "num_layers": 3, "remat": True}
for mesh in ("data", "fsdp"):
    plan = plan_run(CONFIG | {"model": model, "mesh": mesh, "accumulate_steps": 1})
    print(json.dumps([plan.num_parameters, plan.exchanged_bytes, plan.words()]))
"""


@pytest.fixture(scope="module")
def plans():
    environment = os.environ | xla_flags(devices(8))
    ran = subprocess.run(
        [sys.executable, "-c", PLANS], env=environment, check=True, capture_output=True, text=True
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.slow
def test_whole_states_exchange_the_gradient_once(plans):
    parameters, exchanged, words = plans[0]
    assert exchanged.keys() == {"all-reduce"}
    # And a few means.
    assert 0 <= exchanged["all-reduce"] - 4 * parameters <= 64
    assert f"exchanged in a step     {exchanged['all-reduce'] / 1e6:,.1f} MB all-reduce" in words


def test_split_states_exchange_weights_twice_and_the_gradient_once(plans):
    parameters, exchanged, _ = plans[1]
    assert exchanged.keys() == {"all-gather", "all-reduce"}
    # In the loop over layers, too, weights are fetched: forward and backward. Exchanged
    # activations would be tens of times as large.
    assert 4 * parameters < exchanged["all-gather"] <= 2 * 4 * parameters
    assert exchanged["all-reduce"] == pytest.approx(4 * parameters, rel=0.02)
