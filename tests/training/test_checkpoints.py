"""Checkpoints: which are kept, what is read back, and what happens to damaged ones."""

import json
import logging
import shutil
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.runs.load import load_trained
from pixelprior.training.checkpoints import CheckpointError, Checkpoints
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.step import init_state


def state(step, *, layers=6, width=3, bias=2):
    """A state whose every number tells where it belongs."""
    optimizer, _ = make_optimizer(
        num_steps=9, learning_rate=0.1, warmup_steps=1, weight_decay=0.1, clip_norm=1.0
    )
    weights = nnx.State(
        {f"layer{i}": {"kernel": nnx.Param(jnp.zeros((width, i + 1)))} for i in range(layers)}
        | {"bias": nnx.Param(jnp.zeros(bias))}
    )
    fresh = init_state(weights, optimizer)
    leaves, tree = jax.tree.flatten(fresh)
    # More leaves than ten, so that their order as strings is not their order as numbers.
    assert len(leaves) > 25
    marked = [x + jnp.asarray(100 * step + i, x.dtype) for i, x in enumerate(leaves)]
    return jax.tree.unflatten(tree, marked)._replace(step=jnp.int32(step))


def assert_equal_states(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def save(checkpoints, step, validation_loss):
    """A state, and then its loss, as training saves them."""
    checkpoints.save(state(step))
    checkpoints.rate(step, validation_loss)


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def open_checkpoints(tmp_path, warnings):
    return lambda: Checkpoints(tmp_path / "checkpoints", warn=warnings.append)


def steps(tmp_path):
    return sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir())


def test_every_leaf_comes_back_where_it_was(open_checkpoints):
    with open_checkpoints() as checkpoints:
        assert checkpoints.latest_step() is checkpoints.best_step() is None
        assert checkpoints.restore_latest(state(0)) is None
        save(checkpoints, 3, 1.0)
        # At once, while it may still be being written.
        assert_equal_states(checkpoints.restore_latest(state(0)), state(3))
    with open_checkpoints() as checkpoints:
        assert_equal_states(checkpoints.restore_latest(state(0)), state(3))
        for averaged, expected in ((True, state(3).averaged), (False, state(3).weights)):
            step, weights = checkpoints.restore_weights(3, state(0).weights, averaged=averaged)
            assert step == 3
            assert_equal_states(weights, expected)


def test_the_latest_two_and_the_best_are_kept(tmp_path, open_checkpoints):
    with open_checkpoints() as checkpoints:
        for step, nats in enumerate([5.0, 3.0, 4.0, 3.5, 6.0], 1):
            save(checkpoints, step, nats)
            assert checkpoints.latest_step() == step
            assert checkpoints.best_step() == min(step, 2)
        # A run that was stopped saves without its NLL: never the best.
        checkpoints.save(state(6))
        assert (checkpoints.best_step(), checkpoints.latest_step()) == (2, 6)
    assert steps(tmp_path) == [2, 5, 6]
    with open_checkpoints() as checkpoints:
        assert (checkpoints.best_step(), checkpoints.latest_step()) == (2, 6)
        save(checkpoints, 7, 2.9)
        assert checkpoints.best_step() == 7
    assert steps(tmp_path) == [6, 7]


def test_without_any_nll_the_latest_counts_as_the_best(open_checkpoints):
    with open_checkpoints() as checkpoints:
        checkpoints.save(state(1))
        checkpoints.save(state(2))
        assert checkpoints.best_step() == 2


def largest(folder):
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def truncate(step):
    path = largest(step / "optimizer")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def delete(step):
    largest(step / "weights" / "ocdbt.process_0" / "d").unlink()


def flip(step):
    path = largest(step / "averaged" / "ocdbt.process_0" / "d")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_checksums(step):
    (step / "checksums.json").write_text('{"weights/')


def empty(step):
    shutil.rmtree(step)
    step.mkdir()


DAMAGES = [truncate, delete, flip, cut_checksums, empty]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_moved_aside_and_the_one_before_read(
    tmp_path, open_checkpoints, warnings, damage
):
    with open_checkpoints() as checkpoints:
        save(checkpoints, 1, 2.0)
        save(checkpoints, 2, 1.0)
    damage(tmp_path / "checkpoints" / "2")
    with open_checkpoints() as checkpoints:
        assert_equal_states(checkpoints.restore_latest(state(0)), state(1))
        (warning,) = warnings
        assert warning.startswith("the checkpoint of step 2 in ")
        assert checkpoints.best_step() == checkpoints.latest_step() == 1
        assert [p.name for p in (tmp_path / "damaged_checkpoints").iterdir()] == ["2-0"]
        # Its step can be saved again.
        save(checkpoints, 2, 1.0)
        assert_equal_states(checkpoints.restore_latest(state(0)), state(2))
    assert steps(tmp_path) == [1, 2]


@pytest.mark.parametrize("averaged", [True, False])
def test_damage_elsewhere_does_not_keep_weights_from_being_read(
    tmp_path, open_checkpoints, warnings, averaged
):
    with open_checkpoints() as checkpoints:
        save(checkpoints, 1, 2.0)
    truncate(tmp_path / "checkpoints" / "1")
    with open_checkpoints() as checkpoints:
        assert checkpoints.restore_weights(1, state(0).weights, averaged=averaged)[0] == 1
    assert not warnings


def test_what_makes_all_of_them_unreadable_is_not_taken_for_damage(
    tmp_path, open_checkpoints, warnings
):
    with open_checkpoints() as checkpoints:
        save(checkpoints, 1, 2.0)
        save(checkpoints, 2, 1.0)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    # One parameter less: another model.
    with open_checkpoints() as checkpoints:
        other = state(0, layers=5)
        with pytest.raises(CheckpointError, match="none of .* nothing was changed"):
            checkpoints.restore_latest(other)
        words = r"layer5.kernel has the shape \(3, 6\) there, and none by the config; restore"
        with pytest.raises(CheckpointError, match=words):
            checkpoints.restore_weights(2, other.weights, averaged=True)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert [w.split(" in ")[0] for w in warnings] == [
        "the checkpoint of step 2",
        "the checkpoint of step 1",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"validation_loss": "x"}'])
def test_an_nll_that_cannot_be_read_costs_only_itself(tmp_path, open_checkpoints, warnings, text):
    with open_checkpoints() as checkpoints:
        save(checkpoints, 1, 2.0)
        save(checkpoints, 2, 1.0)
    path = tmp_path / "checkpoints" / "2" / "metrics" / "metrics"
    assert json.loads(path.read_text()) == {"validation_loss": 1.0}
    path.write_text(text)
    with open_checkpoints() as checkpoints:
        assert_equal_states(checkpoints.restore_latest(state(0)), state(2))
        assert (checkpoints.best_step(), checkpoints.latest_step()) == (1, 2)
    assert len(warnings) == 1 and "validation loss of step 2" in warnings[0]


def test_sampling_from_a_run_whose_best_checkpoint_is_damaged(finished, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished, workdir)
    good = load_trained(workdir)
    assert good.provenance == "averaged weights of step 12 (best checkpoint)"
    flip(workdir / "checkpoints" / "12")
    with pytest.warns(match="the checkpoint of step 12"):
        trained = load_trained(workdir)
    assert (
        trained.provenance == "averaged weights of step 8 (instead of step 12, the best checkpoint)"
    )
    for model in (good.model, trained.model):
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(nnx.state(model)))
    # Reading alone moves nothing.
    assert not (workdir / "damaged_checkpoints").exists()


def test_a_folder_that_cannot_be_opened_leaves_no_silence(tmp_path):
    (tmp_path / "file").write_text("here")
    hook, level = sys.unraisablehook, logging.getLogger("absl").level
    # The error keeps its frames, and what they hold, alive.
    with pytest.raises(OSError) as error:
        Checkpoints(tmp_path / "file" / "checkpoints", warn=print)
    assert error.traceback
    assert (sys.unraisablehook, logging.getLogger("absl").level) == (hook, level)
