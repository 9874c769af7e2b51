"""The best checkpoint, from small files beside the weights."""

import json

import pytest

from pixelprior.training.ratings import best_of, best_step_in, loss_files, read_loss, write_loss


@pytest.fixture
def checkpoints(tmp_path):
    """Three checkpoints, of which the last was not validated, and one that is being written."""
    for name in ("1", "2", "3", "4.orbax-checkpoint-tmp"):
        (tmp_path / name).mkdir()
    write_loss(tmp_path / "1", 2.5)
    write_loss(tmp_path / "2", 2.0)
    write_loss(tmp_path / "4.orbax-checkpoint-tmp", 1.0)
    return tmp_path


def test_the_lowest_loss_is_the_best(checkpoints):
    assert {step: read_loss(path) for step, path in loss_files(checkpoints).items()} == {
        1: 2.5,
        2: 2.0,
    }
    assert best_step_in(checkpoints) == 2
    write_loss(checkpoints / "3", 2.0)
    assert best_step_in(checkpoints) == 3  # the later of two equal ones


def test_without_losses_it_is_the_latest():
    assert best_of({}, [3, 20]) == 20 and best_of({}, []) is None
    assert best_of({3: float("inf")}, [3, 20]) == 3


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"loss": 1}', b'{"validation_loss": null}'])
def test_losses_that_cannot_be_read(checkpoints, content):
    (checkpoints / "1" / "metrics" / "metrics").write_bytes(content)
    assert best_step_in(checkpoints) is None
    with pytest.raises(ValueError):
        read_loss(checkpoints / "1" / "metrics")


def test_folders_without_checkpoints(tmp_path):
    assert best_step_in(tmp_path) is None and best_step_in(tmp_path / "none") is None


def test_the_file_is_that_of_orbax(checkpoints):
    assert json.loads((checkpoints / "1" / "metrics" / "metrics").read_text()) == {
        "validation_loss": 2.5
    }
