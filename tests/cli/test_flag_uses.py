"""A flag that would have no effect is refused, in each use of each command."""

import pytest

from pixelprior.cli import sample
from pixelprior.cli.sample_figures import FIGURES
from pixelprior.runs.pictures import KINDS
from pixelprior.sampling.methods import AUTO, METHODS
from tests.cli.calls import assert_one_sentence
from tests.cli.conftest import ROOT

DIGITS = f"--config={ROOT / 'configs' / 'digits.py'}"
LIST = f"--config={ROOT / 'configs' / 'compare.py'}"


@pytest.mark.parametrize(
    ("name", "use", "flag"),
    [
        ("sample", [], "--known=top"),
        ("sample", [], "--images=folder:x"),
        ("sample", [], "--data_dir=x"),
        ("sample", ["--mode=complete", "--known=top"], None),
        ("sample", ["--mode=progress"], "--batch_size=3"),
        ("sample", ["--mode=progress"], "--noindividual"),
        ("sample", ["--mode=sweep"], "--temperature=1"),
        ("sample", ["--mode=sweep"], "--nogrid"),
        ("sample", ["--mode=likelihood"], "--method=naive"),
        ("sample", ["--mode=likelihood"], "--label=1"),
        ("sample", ["--mode=likelihood", "--images=x", "--label=1"], None),
        ("sample", ["--mode=likelihood", "--images=x"], "--seed=1"),
        ("sample", ["--mode=complete", "--known=top", "--images=x", "--seed=1"], None),
        ("sample", ["--mode=complete", "--known=top", "--images=x"], "--data=y"),
        ("sample", ["--mode=reconstruct", "--images=x"], "--data_dir=y"),
        ("sample", ["--mode=reconstruct"], "--label=1"),
        ("sample", ["--mode=random_codes"], "--images=folder:x"),
        ("sample", ["--mode=interpolate", "--num=8"], "--guidance=2"),
        ("sample", ["--mode=interpolate", "--num=8"], "--greedy"),
        ("train", [DIGITS], "--only=a"),
        ("train", [DIGITS, "--plan"], "--wandb=x"),
        ("train", [DIGITS, "--plan"], "--profile=1:2"),
        ("train", [LIST], "--tokenizer=x"),
        ("train", [DIGITS, "--plan"], "--init_from=x"),
        ("train", [LIST], "--profile=1:2"),
        ("train", [LIST], "--init_from=x"),
        ("train", [LIST, "--plan"], "--wandb=x"),
        ("evaluate", ["--compare", "a"], "--checkpoint=latest"),
        ("evaluate", ["--compare", "--report=y", "a"], "--out=x"),
        ("evaluate", ["--cost"], "--split=test"),
        ("evaluate", ["--receptive_field=x.png"], "--json=y"),
        ("evaluate", [], "--out=x"),
    ],
)
def test_a_flag_without_effect_is_refused(tmp_path, script, name, use, flag):
    flags = [] if "--compare" in use else ["--workdir=run"]
    flags += (["--out=x.png"] if name == "sample" else []) + use
    message = "run is not a run folder"
    if flag is not None:
        flags.append(flag)
        given = flag.partition("=")[0].replace("--no", "--")
        message = f"{given} has no effect with .*; leave it out$"
    assert_one_sentence(script(name, *flags, cwd=tmp_path), message)
    assert not any(tmp_path.iterdir())


def test_the_modes_and_methods_of_the_flags_are_those_that_exist():
    # The flags repeat their names, since help imports none of these modules.
    assert sorted(sample.FLAGS["mode"].parser.enum_values) == sorted([*KINDS, *FIGURES])
    assert sample.FLAGS["method"].parser.enum_values == [AUTO, *METHODS]
