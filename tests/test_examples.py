"""The examples run from the command line's arguments to their picture."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_training_in_one_file(tmp_path, monkeypatch, capsys):
    out = tmp_path / "samples.png"
    monkeypatch.setattr(sys, "argv", ["train_in_one_file.py", "--num_steps=12", f"--out={out}"])
    runpy.run_path(str(EXAMPLES / "train_in_one_file.py"), run_name="__main__")
    said = capsys.readouterr().out
    losses = [float(loss) for loss in re.findall(r"train (\S+) bits/dim", said)]
    (test,) = (float(loss) for loss in re.findall(r"test (\S+) bits/dim", said))
    assert len(losses) == 12 and np.isfinite([*losses, test]).all()
    # A model that has learned nothing needs log2(17) = 4.09 bits; each pixel's histogram 2.44.
    assert losses[-1] < losses[0] - 0.5 and test < 3.5
    with Image.open(out) as picture:
        assert min(picture.size) >= 64
        assert len(np.unique(np.asarray(picture.convert("L")))) > 8
