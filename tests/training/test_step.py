"""The training step: its loss, its average, its dropout, how often it compiles, many devices."""

import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.context import Context
from pixelprior.data import Symbols, open_dataset, training_batch
from pixelprior.errors import InputError
from pixelprior.experiment import build_model
from pixelprior.grid import Grid
from pixelprior.models import MODELS
from pixelprior.system.devices import check_batch_size, data_mesh, even_batch_size
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.step import init_state, make_train_step
from pixelprior.training.tasks.pixels import pixel_loss
from tests.models.catalogue import SHIPPED
from tests.release import slow_cases
from tests.training.restarts import CLOCK

SMALL = {"features": 4, "num_layers": 1, "embedding_features": 4, "head_features": 8}


def small_model(name="gated_pixel_cnn", *, num_classes=0, **settings):
    small = dict(SMALL)
    small |= SHIPPED[name].deep(small.pop("num_layers"))
    if name == "any_order_transformer":
        small["num_heads"] = 1  # each head rotates four features together
    return build_model(
        {"name": name} | small | settings, Grid(4, 3, 1, 5), num_classes=num_classes, seed=0
    )


def one_batch(size=6):
    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 5, (size, 4, 3, 1)).astype(np.int32),
        "label": (np.arange(size) % 3).astype(np.int32),
    }


def setup(model, *, learning_rate=0.1, ema_decay=0.9, num_steps=100, **settings):
    optimizer, _ = make_optimizer(
        num_steps=num_steps,
        learning_rate=learning_rate,
        warmup_steps=0,
        weight_decay=0.0,
        clip_norm=1.0,
    )
    graph, weights = nnx.split(model)
    step = make_train_step(
        graph, optimizer, pixel_loss, ema_decay=ema_decay, key=jax.random.key(0), **settings
    )
    return init_state(weights, optimizer), step


def host(tree):
    return [np.array(x, np.float64) for x in jax.tree.leaves(tree)]


def test_loss_average_donation_and_compilation():
    model, batch = small_model(num_classes=3), one_batch()
    state, step = setup(model, ema_decay=0.3)
    graph = nnx.graphdef(model)

    @jax.jit
    def score(weights):
        context = Context(label=jnp.asarray(batch["label"]))
        return nnx.merge(graph, weights).log_prob(batch["image"], context)

    average = host(state.averaged)
    for n in range(6):
        given = state
        expected = -np.asarray(score(state.weights), np.float64).mean() / (4 * 3 * np.log(2.0))
        state, metrics = step(state, batch)
        np.testing.assert_allclose(metrics.metrics["bits_per_dim"], expected, rtol=1e-5)
        assert int(state.step) == n + 1
        # The average starts as a copy, and follows more slowly the longer it has run.
        decay = min(0.3, (1 + n) / (10 + n))
        average = [
            decay * a + (1 - decay) * w for a, w in zip(average, host(state.weights), strict=True)
        ]
        for ours, theirs in zip(host(state.averaged), average, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
        assert all(x.is_deleted() for x in jax.tree.leaves(given))
    assert step._cache_size() == 1


def test_the_decay_of_the_average_by_hand():
    # (1 + n) / (10 + n) for n = 0, 1, ... is 1/10, 2/11, 3/12, ...: 0.3 is passed at n = 3, 4/13.
    decays = [min(0.3, (1 + n) / (10 + n)) for n in range(5)]
    np.testing.assert_allclose(decays, [0.1, 2 / 11, 0.25, 0.3, 0.3])


def test_dropout_is_another_at_every_step():
    batch = one_batch()
    # A learning rate of 1e-30 leaves the weights as they are.
    state, step = setup(small_model(dropout_rate=0.5), learning_rate=1e-30)
    copy = jax.tree.map(jnp.copy, state)
    losses = []
    for _ in range(3):
        state, metrics = step(state, batch)
        losses.append(float(metrics.metrics["bits_per_dim"]))
    assert len(set(losses)) == 3
    # A run that goes on from step 2 draws what it would have drawn.
    _, metrics = step(copy._replace(step=jnp.int32(2)), batch)
    assert float(metrics.metrics["bits_per_dim"]) == losses[2]


@pytest.mark.parametrize("parts", [1, 2])
def test_a_step_moves_nothing_between_host_and_device(parts):
    batch = jax.device_put(one_batch())
    state, step = setup(small_model(num_classes=3), accumulate_steps=parts, skip_norm=1.0)
    state, _ = step(state, batch)
    with jax.transfer_guard("disallow"):
        state, _ = step(state, batch)
        # The guard does see what moves.
        with pytest.raises(jax.errors.JaxRuntimeError, match="host-to-device transfer"):
            step(state, one_batch())


# Batches in parts.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("gated_pixel_cnn", 2),
        pytest.param("gated_pixel_cnn", 6, marks=pytest.mark.release),
        # Models of other kinds: of several networks, and with orders of their own in training.
        pytest.param("multi_scale", 3, marks=pytest.mark.release),
        ("any_order_transformer", 3),
        ("made", 3),
    ],
)
def test_a_batch_in_parts_takes_the_same_step(name, parts):
    batch = one_batch()
    # Two models with equal weights, because a step donates its state.
    one, two = (small_model(name, num_classes=3, dropout_rate=0.5) for _ in range(2))
    state, step = setup(one)
    other, step_in_parts = setup(two, accumulate_steps=parts)
    for _ in range(3):
        state, metrics = step(state, batch)
        other, metrics_in_parts = step_in_parts(other, batch)
        chex.assert_trees_all_close(metrics_in_parts, metrics, rtol=1e-5)
    # Sums in another order, through three steps of Adam, which turns the rounding errors of the
    # smallest gradients into parts of its learning rate of 0.1.
    # MADE has the most weights, and many are masked, so their gradients are small.
    chex.assert_trees_all_close(other, state, rtol=1e-4, atol=5e-5 if name == "made" else 1e-5)
    assert step_in_parts._cache_size() == 1


def test_an_image_has_its_own_dropout():
    model = small_model(dropout_rate=0.5)
    image = np.repeat(one_batch()["image"][:1], 6, axis=0)
    keys = jax.random.split(jax.random.key(0), 6)
    log_prob = np.asarray(model.log_prob(image, dropout_key=keys))
    assert len(set(log_prob)) == 6
    # The images beside it do not matter.
    turned = model.log_prob(image, dropout_key=keys[::-1])
    np.testing.assert_allclose(turned, log_prob[::-1], rtol=1e-5)
    for wrong in (jax.random.PRNGKey(0), keys[:5]):
        with pytest.raises(InputError, match="expected a typed key.* one for each of 6 images"):
            model.log_prob(image, dropout_key=wrong)
    # One key for all is a key for each.
    of_one = np.asarray(model.log_prob(image, dropout_key=jax.random.key(0)))
    assert len(set(of_one)) == 6


@pytest.mark.slow
def test_a_batch_in_parts_needs_less_memory():
    model = small_model(features=32, num_layers=3)
    batch = one_batch(size=96)
    memory = {}
    for parts in (1, 8):
        state, step = setup(model, accumulate_steps=parts)
        memory[parts] = step.lower(state, batch).compile().memory_analysis().temp_size_in_bytes
    assert memory[8] < 0.4 * memory[1]


# Steps that are skipped.


@pytest.mark.slow
def test_a_gradient_that_is_too_large_changes_nothing_but_the_step():
    batch = one_batch()
    state, step = setup(small_model())
    norms = []
    for _ in range(3):
        state, metrics = step(state, batch)
        norms.append(float(metrics.gradient_norm))
        assert int(metrics.skipped) == 0 and float(metrics.update_norm) > 0
    for limit, skipped in ((1.01 * norms[0], 0), (0.99 * norms[0], 1)):
        state, step = setup(small_model(), skip_norm=limit)
        before = host(state._replace(step=0))
        state, metrics = step(state, batch)
        assert int(metrics.skipped) == skipped
        assert (float(metrics.update_norm) == 0) == bool(skipped)
        assert int(state.step) == 1
        after = host(state._replace(step=0))
        same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
        assert all(same) if skipped else not any(same[1:3])


def test_a_gradient_that_is_no_number_is_not_skipped():
    batch = one_batch()
    state, step = setup(small_model(), skip_norm=1e-3)
    broken = jax.tree.map(lambda x: x * jnp.nan, state.weights)
    state, metrics = step(state._replace(weights=broken), batch)
    assert int(metrics.skipped) == 0 and np.isnan(metrics.gradient_norm)


@pytest.mark.parametrize("name", slow_cases(MODELS, "gated_pixel_cnn", "row_lstm", "transformer"))
def test_every_model_learns_one_batch_by_heart(name):
    batch = one_batch(size=3)
    state, step = setup(
        small_model(name, num_classes=3, features=16, head_features=32, head="softmax"),
        learning_rate=0.02,
        num_steps=300,
    )
    losses = []
    for _ in range(300):
        state, metrics = step(state, batch)
        losses.append(metrics.metrics["bits_per_dim"])
    assert abs(float(losses[0]) - np.log2(5)) < 1
    # Each image has a class of its own: there is nothing left to guess. A model that ignores the
    # class cannot go below the bits that tell three images apart. Steps are averaged because an
    # any-order model draws another order in each.
    without_class = np.log2(3) / (4 * 3)
    assert np.mean(losses[-30:]) < without_class / 3
    assert step._cache_size() == 1


@pytest.mark.slow
def test_four_devices_do_what_one_does(finished, tmp_path, run):
    errors = run(tmp_path / "run", num_devices=4)
    assert "4 devices" in errors
    one, four = (
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (finished, tmp_path / "run")
    )
    assert len(one) == len(four) == 17
    for a, b in zip(one, four, strict=True):
        assert a.keys() == b.keys()
        # Times, and what one device must hold of a batch.
        for key in a.keys() - {*CLOCK, "step_memory_bytes"}:
            # Sums in another order, through 12 steps of Adam.
            np.testing.assert_allclose(b[key], a[key], rtol=1e-4, err_msg=key)


def test_a_batch_that_cannot_be_split_over_the_devices():
    class FourDevices:
        size = 4

    check_batch_size(8, FourDevices())
    for batch_size, nearest in ((6, "4 or 8"), (3, "4"), (9, "8 or 12")):
        words = f"multiple of the 4 devices, got {batch_size}; give {nearest}$"
        with pytest.raises(InputError, match=words):
            check_batch_size(batch_size, FourDevices())
    for batch_size in (0, -4, 2**31, 8.0):
        words = rf"batch_size must be an integer in \[1, 2\*\*31\), got {batch_size}"
        for check in (check_batch_size, even_batch_size):
            with pytest.raises(InputError, match=words):
                check(batch_size, FourDevices())
    check_batch_size(1, data_mesh())
    check_batch_size(24, FourDevices(), parts=3)
    words = "multiple of the 4 devices times the 3 parts, got 16; give 12 or 24"
    with pytest.raises(InputError, match=words):
        check_batch_size(16, FourDevices(), parts=3)
    assert [even_batch_size(size, FourDevices()) for size in (1, 4, 5, 64)] == [4, 4, 8, 64]
    assert even_batch_size(16, FourDevices(), parts=3) == 24


def test_batches_have_the_keys_that_the_step_reads():
    split = open_dataset("digits").splits["train"]
    batch = training_batch(split, Symbols(17, "none"), batch_size=2, seed=0, step=0)
    assert {key: (x.shape, x.dtype.name) for key, x in batch.items()} == {
        "image": ((2, 8, 8, 1), "int32"),
        "label": ((2,), "int32"),
    }
