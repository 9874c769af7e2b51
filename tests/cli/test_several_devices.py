"""What one device measures, several measure too; and on two a prior's codes are made."""

import json
import shutil

import numpy as np
import pytest

from tests.cli.calls import assert_one_sentence
from tests.cli.conftest import TINY, make_script, tiny_prior
from tests.xla_flags import devices, xla_flags

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def three_devices(tmp_path_factory, warm_start):
    """Runs one of the scripts on three devices, which do not divide the default batch."""
    return make_script(tmp_path_factory, warm_start, **xla_flags(devices(3)))


@pytest.mark.parametrize("name", ["digits", "vqvae", "prior"])
def test_an_evaluation(name, request, tmp_path, script, two_devices, three_devices):
    results = []
    for run in (script, two_devices, three_devices):
        file = tmp_path / f"{len(results)}.json"
        workdir = request.getfixturevalue(name)
        result = run("evaluate", f"--workdir={workdir}", "--nobaselines", f"--json={file}")
        assert result.status == 0, result.errors
        results.append(json.loads(file.read_text()))
    one, *others = results
    keys = {"num_images", "nats", "squared_error", "psnr", "bits_per_dim", "bits_per_code"}
    assert len(keys & one.keys()) > 1
    for several in others:
        for key in keys & one.keys():
            np.testing.assert_allclose(several[key], one[key], rtol=1e-5)
        # Images of the padding count for no code.
        for level, values in one.get("levels", {}).items():
            assert several["levels"][level].get("counts") == values.get("counts")


def test_a_file_of_images(digits, tmp_path, script, three_devices):
    pictures = []
    for number, run in enumerate((script, three_devices)):
        out = tmp_path / f"{number}.npz"
        said = run("sample", f"--workdir={digits}", f"--out={out}", "--num=65", "--batch_size=10")
        assert said.status == 0, said.errors
        with np.load(out) as kept:
            pictures.append(kept["images"])
    np.testing.assert_array_equal(*pictures)


def test_a_comparison_and_a_cost(digits, tmp_path, three_devices):
    said = three_devices("evaluate", "--compare", digits, f"--out={tmp_path / 'compare'}")
    assert said.status == 0, said.errors
    file = tmp_path / "cost.json"
    said = three_devices("evaluate", f"--workdir={digits}", "--cost", f"--json={file}")
    assert said.status == 0, said.errors
    # The training batch of 16 images, rounded up.
    assert json.loads(file.read_text())["batch_size"] == 18


def test_training_says_which_batches_fit(digits, tmp_path, three_devices):
    said = three_devices("train", "--config=digits", f"--workdir={tmp_path / 'run'}", *TINY)
    assert_one_sentence(said, "multiple of the 3 devices, got 16; give 15 or 18")
    assert not (tmp_path / "run").exists()


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
    assert "encoding digits" in result.errors and "2 devices" in result.errors
