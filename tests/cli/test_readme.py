"""The README's main job, run as it stands there."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.xla_flags import as_users_compile

ROOT = Path(__file__).parents[2]


def command_after(marker):
    """The steps of the one command line in the fenced block after a marker."""
    lines = iter((ROOT / "README.md").read_text().splitlines())
    for line in lines:
        if line == f"<!-- {marker} -->":
            break
    assert next(lines).startswith("```")
    command = next(lines)
    assert next(lines) == "```"
    return command.split(" && ")


@pytest.mark.parametrize(
    ("marker", "what"), [("main-job-command", "-e ."), ("test-command", '-e ".[test]"')]
)
def test_a_command_sets_up_an_environment_of_its_own(marker, what):
    make, install, *_ = command_after(marker)
    assert make == "python3 -m venv .venv"
    assert install == f".venv/bin/pip install -q -c constraints.txt {what}"


def run_steps(steps, folder):
    """Runs the steps of a README command that call the environment's Python, in a folder."""
    for name in ("train.py", "sample.py", "evaluate.py"):
        shutil.copy(ROOT / name, folder)
    for name in ("configs", "pixelprior"):
        shutil.copytree(ROOT / name, folder / name)
    for step in steps:
        program, *arguments = shlex.split(step)
        assert program == ".venv/bin/python"
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=as_users_compile(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_main_job_draws_digits_and_beats_every_baseline(tmp_path):
    _, _, *steps = command_after("main-job-command")
    # The last step evaluates; what it prints for people it also writes for programs.
    steps[-1] += " --json=results.json"
    run_steps(steps, tmp_path)

    with Image.open(tmp_path / "samples.png") as picture:
        assert min(picture.size) > 300
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["dataset"] == "digits" and results["num_images"] == 359
    baselines = {name: row["nats"] for name, row in results["baselines"].items()}
    assert set(baselines) == {"uniform", "histogram", "mixture"}
    # A model that learned only the histogram of every pixel, or copied digits, would be far above.
    assert results["nats"] < results["marginal_nats"] < 0.85 * min(baselines.values())
    # A model that ignored the classes would guess one in ten.
    assert results["class_accuracy"] > 0.8


# Before a merge, the same commands are run for few steps: in test_document_commands.py.
@pytest.mark.slow
@pytest.mark.release
def test_the_codes_of_digits_are_learned_and_drawn(tmp_path):
    steps = command_after("codes-command")
    steps[-1] += " --json=results.json"
    run_steps(steps, tmp_path)

    with Image.open(tmp_path / "digits.png") as picture:
        # Ten columns, one for each class.
        assert picture.size == (10 * 50 + 2, 7 * 50 + 2)
    results = json.loads((tmp_path / "results.json").read_text())
    (level,) = results["levels"].values()
    assert results["num_images"] == 359
    assert level["unigram_entropy_bits"] > 5
    assert level["bits_per_code"] < 0.75 * level["unigram_entropy_bits"]
