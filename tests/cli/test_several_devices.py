"""What one device measures, two measure too; and on two a prior's codes are made."""

import json
import shutil

import numpy as np
import pytest

from tests.cli.conftest import tiny_prior

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["digits", "vqvae", "prior"])
def test_an_evaluation(name, request, tmp_path, script, two_devices):
    results = []
    for run in (script, two_devices):
        file = tmp_path / f"{len(results)}.json"
        workdir = request.getfixturevalue(name)
        result = run("evaluate", f"--workdir={workdir}", "--nobaselines", f"--json={file}")
        assert result.status == 0, result.errors
        results.append(json.loads(file.read_text()))
    one, two = results
    for key in {"nats", "squared_error", "bits_per_dim"} & one.keys():
        np.testing.assert_allclose(two[key], one[key], rtol=1e-5)


def test_a_prior(vqvae, tmp_path, two_devices):
    tokenizer = tmp_path / "tokenizer"
    shutil.copytree(vqvae, tokenizer, ignore=shutil.ignore_patterns("codes"))
    result = two_devices(
        "train",
        "--config=digits:prior",
        f"--workdir={tmp_path / 'run'}",
        f"--tokenizer={tokenizer}",
        *tiny_prior("top"),
    )
    assert result.status == 0, result.errors
    assert "encoding digits" in result.errors and "2 device(s)" in result.errors
