"""Arguments of the demo, and the place of the data of a run."""

import dataclasses
import sys
from pathlib import Path

import pytest

import pixelprior as pp
from pixelprior.demo.arguments import arguments
from pixelprior.experiment import Place

RUN = pp.Run(model=None, config={"dataset": "digits"}, data={}, provenance="", step=0)


def given(monkeypatch, *flags):
    monkeypatch.setattr(sys, "argv", ["app.py", *flags])
    return arguments()


def test_the_runs_and_the_place_of_their_data(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert given(monkeypatch) == (tmp_path / "runs", Place())
    found = given(monkeypatch, "--runs=~/runs", "--data=/faces", "--data_dir=/tfds")
    assert found == (Path("/home/me/runs"), Place(Path("/faces"), Path("/tfds")))
    for dataset, place in (
        ("folder:/old", Place(data=Path("/faces"))),
        ("npz:/old.npz", Place(data=Path("/faces"))),
        ("mnist", Place(data_dir=Path("/tfds"))),
        ("digits", Place()),
    ):
        run = dataclasses.replace(RUN, config={"dataset": dataset})
        assert found.place_of(run) == place
    # A prior has the images of its tokenizer.
    prior = dataclasses.replace(RUN, config={}, tokenizer_config={"dataset": "folder:/old"})
    assert found.place_of(prior) == Place(data=Path("/faces"))


@pytest.mark.parametrize("flags", [["--data"], ["--speed=3"], ["runs"]])
def test_other_arguments_are_refused(monkeypatch, flags):
    with pytest.raises(pp.InputError, match="--runs=FOLDER"):
        given(monkeypatch, *flags)
