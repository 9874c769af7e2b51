"""Several commands in one process, as in a notebook: none inherits a flag of another."""

import json

import numpy as np
import pytest

from tests.cli.conftest import ROOT, TINY

TWO_STEPS = [*TINY, "--config.num_steps=2", "--config.checkpoint_every=2"]

# Prints the exit status of each command.
SCRIPTS = """
import json, runpy, sys
for name, *arguments in json.loads(sys.argv[1]):
    sys.argv = [name, *arguments]
    try:
        runpy.run_path(name, run_name="__main__")
    except SystemExit as ended:
        print(ended.code or 0)
"""

# Runs each line as a cell of a notebook does.
CELLS = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for line in json.loads(sys.argv[1]):
    shell.run_cell(line).raise_error()
print("all cells ran")
"""


def in_one_process(warm_start, folder, program, calls):
    (folder / "program.py").write_text(program)
    return warm_start.run(folder / "program.py", json.dumps(calls), cwd=folder)


def config_of(run):
    return json.loads((run / "config.json").read_text())


def test_refusals_do_not_depend_on_earlier_commands(tmp_path, warm_start):
    train, sample = str(ROOT / "train.py"), str(ROOT / "sample.py")
    calls = [
        [train, "--config=digits:vqvae", "--config.batch_size=0", "--workdir=a"],
        [train, "--config=digits", "--config.batch_size=0", "--tokenizer=b", "--workdir=a"],
        [train, "--config=digits", "--only=x", "--workdir=a"],
        [train, "--workdir=a"],
        [sample, "--workdir=a", "--out=b.png", "--mode=complete"],
        [sample, "--workdir=a"],
        [sample, "--help"],
    ]
    said = in_one_process(warm_start, tmp_path, SCRIPTS, calls)
    assert said.status == 0, said.errors
    assert [line for line in said.output.splitlines() if line.isdigit()] == [*"2222220"]
    lines = said.errors.splitlines()
    assert len(lines) == 6, said.errors
    assert "config.batch_size must be above 0" in lines[0] + lines[1]
    assert "--only has no effect" in lines[2]
    assert "--config must be given" in lines[3]
    assert "a is not a run folder" in lines[4]
    assert "--out must be given" in lines[5]
    # Help tells the defaults, and not the values of the last run.
    assert "Default: sample." in said.output


@pytest.mark.slow
def test_scripts(tmp_path, warm_start):
    train, sample, evaluate = (str(ROOT / f"{name}.py") for name in ("train", "sample", "evaluate"))
    changed = ["seed=3", "class_conditional=True", "model.dropout_rate=0.5"]
    changed = [f"--config.{flag}" for flag in changed]
    calls = [
        [sample, "--workdir=none", "--out=x.png"],
        [train, "--config=digits", "--workdir=a", *TWO_STEPS, *changed],
        [sample, "--workdir=a", "--out=a.npz", "--num=8", "--seed=1", "--label=2", "--greedy"],
        [evaluate, "--workdir=a", "--nobaselines", "--json=a.json"],
        [train, "--config=digits", "--workdir=b", *TWO_STEPS],
        [sample, "--workdir=b", "--out=b.npz", "--num=3"],
    ]
    said = in_one_process(warm_start, tmp_path, SCRIPTS, calls)
    assert said.status == 0, said.errors
    assert [line for line in said.output.splitlines() if line.isdigit()] == [*"200000"], said.errors
    assert "none is not a run folder" in said.errors and "Traceback" not in said.errors
    a, b = config_of(tmp_path / "a"), config_of(tmp_path / "b")
    assert (a["seed"], a["class_conditional"], a["model"]["dropout_rate"]) == (3, True, 0.5)
    assert (b["seed"], b["class_conditional"], b["model"]["dropout_rate"]) == (0, False, 0.1)
    # The same command in a process of its own draws the same images.
    alone = warm_start.run(sample, "--workdir=b", "--out=alone.npz", "--num=3", cwd=tmp_path)
    assert alone.status == 0, alone.errors
    with np.load(tmp_path / "b.npz") as one, np.load(tmp_path / "alone.npz") as other:
        np.testing.assert_array_equal(one["images"], other["images"])


@pytest.mark.slow
def test_cells(tmp_path, warm_start):
    pytest.importorskip("IPython")
    flags = " ".join(TWO_STEPS)
    cells = [
        f"%run {ROOT / 'train.py'} --config=digits --workdir=a --config.seed=3 {flags}",
        f"%run {ROOT / 'sample.py'} --workdir=a --out=a.png --num=3",
        f"%run {ROOT / 'train.py'} --config=digits --workdir=b {flags}",
        f"%run -m pixelprior train --config=digits --workdir=c {flags}",
        f"%run {ROOT / 'evaluate.py'} --workdir=a --nobaselines --json=a.json",
        "import pixelprior as pp; assert pp.load_trained('c').config['seed'] == 0",
    ]
    said = in_one_process(warm_start, tmp_path, CELLS, cells)
    assert said.output.endswith("all cells ran\n"), said.output + said.errors
    assert (tmp_path / "a.png").is_file() and (tmp_path / "a.json").is_file()
    assert config_of(tmp_path / "a")["seed"] == 3
    assert config_of(tmp_path / "b") == config_of(tmp_path / "c")


def test_a_refusal_in_a_cell_is_one_sentence(tmp_path, warm_start):
    pytest.importorskip("IPython")
    cells = [f"%run {ROOT / 'sample.py'} --workdir=none --out=a.png"]
    said = in_one_process(warm_start, tmp_path, CELLS, cells)
    assert "error: none is not a run folder" in said.errors
    assert "Traceback" not in said.errors + said.output
