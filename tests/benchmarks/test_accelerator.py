"""The benchmark of accelerators runs whole on a CPU."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PARTS = ("products", "steps", "samplers", "laws", "agreement", "training")


@pytest.mark.slow
def test_all_parts_run_on_a_cpu(tmp_path):
    out = tmp_path / "samples.png"
    command = [sys.executable, "-m", "benchmarks.accelerator", "--small", f"--out={out}"]
    ran = subprocess.run(
        [*command, "--deterministic"], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    sections = [f"[{part}]" for part in PARTS]
    assert [line for line in ran.stdout.splitlines() if line in sections] == sections
    table = {line.split()[0]: line.split()[1:] for line in ran.stdout.splitlines() if line.split()}
    # The rows of `agreement` come last: no symbol differs on a CPU.
    assert table["pixel_cnn"] == ["1024", "0", "0", "0.0e+00"]
    # Samples of 64 digits, not all alike.
    assert np.asarray(Image.open(out).convert("L")).std() > 10


def test_an_unknown_part_is_refused():
    command = [sys.executable, "-m", "benchmarks.accelerator", "--only", "speed"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 2
    assert "--only takes some of products, steps, samplers" in ran.stderr
