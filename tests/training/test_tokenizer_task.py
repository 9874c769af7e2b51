"""Training a tokenizer on digits: codebooks that follow, one device and eight, by heart."""

import functools
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

import pixelprior
from pixelprior.data import Position
from pixelprior.experiment.recipes import load_recipe
from pixelprior.system.devices import data_mesh, put_batch, replicated
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.step import init_state
from pixelprior.training.task import Loss
from pixelprior.training.tasks.tokenizer import TokenizerTask
from tests.several_devices import run_on_devices
from tests.training.task_steps import step_of

ROOT = Path(pixelprior.__file__).parents[1]
DEVICES = 8
NUM_STEPS = 5
FIRST = Position(1, 16)
"""Not 0: on the batch that they start from, codes lie where they are to go."""


def small_config(quantizer=None, **changes):
    config = load_recipe("digits:vqvae2")
    config["tokenizer"] |= {"features": 8, "residual_features": 4}
    # So high a share that codes do start again within a few steps.
    config["quantizer"] |= {
        "features": 4,
        "codebook_size": 8,
        "decay": 0.8,
        "dead_share": 0.6,
    } | (quantizer or {})
    return config | {"batch_size": 16, "num_samples": 3} | changes


@functools.cache
def small_task(learning="moving_average"):
    return TokenizerTask(small_config({"learning": learning}), data_mesh())


@functools.cache
def fresh(learning="moving_average"):
    """The model that a task starts with, as the parts that are never changed."""
    return nnx.split(small_task(learning).make())


def make_step(task, graph, *, learning_rate, weight_decay=0.0, num_steps=1000):
    optimizer, _ = make_optimizer(
        num_steps=num_steps,
        learning_rate=learning_rate,
        warmup_steps=0,
        weight_decay=weight_decay,
        clip_norm=1.0,
    )

    def loss(model, batch, key):
        """The task's, which tells the statistics too."""
        result = task.loss(model, batch, key)
        told = {
            f"{name}_{n}": getattr(statistics, name)
            for n, statistics in enumerate(result.statistics)
            for name in ("counts", "sums", "candidates")
        }
        return Loss(result.value, result.metrics | told, result.statistics)

    return optimizer, step_of(task, graph, optimizer, loss=loss)


def flat(weights):
    """By name, on the host."""
    return {".".join(map(str, p)): np.array(v[...]) for p, v in nnx.to_flat_state(weights)}


@functools.cache
def train(learning="moving_average", weight_decay=0.0):
    """A few steps: weights before and after each, and what each told."""
    task = small_task(learning)
    graph, weights = fresh(learning)
    optimizer, step = make_step(task, graph, learning_rate=3e-3, weight_decay=weight_decay)
    everywhere = replicated(task.images.mesh)
    # A copy, since a step gives its state away.
    state = init_state(jax.tree.map(np.array, weights), optimizer, task.trainable)
    state = jax.device_put(state, everywhere)
    history, batches = [(flat(state.weights), None)], task.batches(FIRST)
    for _ in range(NUM_STEPS):
        state, metrics = step(state, put_batch(next(batches), task.images.mesh))
        history.append((flat(state.weights), jax.tree.map(np.array, metrics.metrics)))
    for leaf in jax.tree.leaves(state.weights):
        # Every device has the same.
        copies = {np.asarray(shard.data).tobytes() for shard in leaf.addressable_shards}
        assert len(copies) == 1 and len(leaf.addressable_shards) == task.images.mesh.size
    return history, step._cache_size(), jax.tree.map(np.shape, state.optimizer)


def quantizers(history):
    """For each step and level: codes and counts before and after, and the step's statistics."""
    for (before, _), (after, told) in zip(history, history[1:], strict=False):
        # Levels are kept with the finest first, statistics have the coarsest first.
        for number, level in enumerate((1, 0)):
            names = [f"_levels.{level}.quantizer.{n}" for n in ("codebook_vectors", "counts")]
            statistics = [told[f"{n}_{number}"] for n in ("counts", "sums", "candidates")]
            yield (
                [before[n][0] for n in names],
                [after[n][0] for n in names],
                [s[0] for s in statistics],
            )


def numpy_update(before, statistics, *, moves):
    """The paper's running sums with decay 0.8, then new starts below 0.6 of the mean count."""
    codes, counts = (np.float64(x) for x in before)
    chosen, sums, candidates = (np.float64(x) for x in statistics)
    new_counts = 0.8 * counts + 0.2 * chosen
    if moves:
        total = new_counts.sum()
        smoothed = (new_counts + 1e-5) / (total + 8 * 1e-5) * total
        step = 0.2 / np.maximum(smoothed, 1e-30)
        moved = codes + step[:, None] * (sums - chosen[:, None] * codes)
        codes = np.where(chosen[:, None] > 0, moved, codes)
    dead = new_counts < 0.6 * new_counts.mean()
    codes = np.where(dead[:, None], candidates, codes)
    return codes, np.where(dead, new_counts.mean(), new_counts), dead


def test_codebooks_move_by_their_averages_alone_and_one_compilation_does():
    history, compilations, optimizer_shapes = train(weight_decay=0.5)
    assert compilations == 1
    restarted = []
    for before, after, statistics in quantizers(history):
        codes, counts, dead = numpy_update(before, statistics, moves=True)
        # Sums of up to 256 vectors of size 1. No gradient and no decay has moved them.
        np.testing.assert_allclose(after[0], codes, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(after[1], counts, rtol=1e-4, atol=1e-4)
        restarted.append(dead.any())
        assert statistics[0].sum() in (16 * 4, 16 * 16)
    # Both levels' codes did start again.
    assert any(restarted[0::2]) and any(restarted[1::2])
    # The optimizer has not even heard of them.
    paths = [jax.tree_util.keystr(p) for p, _ in jax.tree.leaves_with_path(optimizer_shapes)]
    assert not any("quantizer" in path for path in paths)
    # Everything else has moved.
    first, last = history[0][0], history[-1][0]
    assert all((first[name] != last[name]).any() for name in first)


def test_a_step_tells_what_the_codebooks_were_worth_before_it():
    task, (graph, _) = small_task(), fresh()
    history, _, _ = train()
    template = nnx.to_flat_state(fresh()[1])

    @jax.jit
    def losses(weights, image):
        return nnx.merge(graph, weights).loss(image, variance=task.variance)

    batches = task.batches(FIRST)
    for (before, _), (_, told) in zip(history, history[1:], strict=False):
        weights = nnx.from_flat_state(
            [(path, v.replace(before[".".join(map(str, path))])) for path, v in template]
        )
        wanted = losses(weights, next(batches)["image"])
        np.testing.assert_allclose(told["loss"], wanted.total, rtol=1e-4)
        np.testing.assert_allclose(told["squared_error"], wanted.squared_error, rtol=1e-4)
        np.testing.assert_allclose(told["commitment_loss"], wanted.commitment, rtol=1e-3)
        np.testing.assert_allclose(
            told["loss"], told["reconstruction_loss"] + told["commitment_loss"], rtol=1e-5
        )
        assert told["codebook_loss"] == 0


@pytest.mark.slow
def test_codebooks_learn_the_same_from_a_batch_in_parts():
    # Nearly all codes start again, at vectors of the batch.
    task = TokenizerTask(small_config({"dead_share": 0.9}), data_mesh())
    graph, weights = nnx.split(task.make())
    optimizer, _ = make_optimizer(
        num_steps=10, learning_rate=3e-3, warmup_steps=0, weight_decay=0.0, clip_norm=1.0
    )
    ends = []
    for parts in (1, 4):
        step = step_of(task, graph, optimizer, accumulate_steps=parts)
        state = init_state(jax.tree.map(np.array, weights), optimizer, task.trainable)
        state, metrics = step(state, next(task.batches(FIRST)))
        ends.append((flat(state.weights), jax.tree.map(float, metrics.metrics)))
    (whole, metrics), (in_parts, metrics_in_parts) = ends
    assert any("codebook" in name for name in whole)
    for name, value in whole.items():
        # Sums in another order, through a step of Adam.
        np.testing.assert_allclose(in_parts[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    assert metrics_in_parts == pytest.approx(metrics, rel=1e-4)


@pytest.mark.slow
def test_codebooks_that_are_parameters_learn_by_their_loss_and_are_not_decayed():
    histories = [train("loss", decay)[0] for decay in (0.0, 0.5)]
    one, other = (list(quantizers(history[:2])) for history in histories)
    for here, there in zip(one, other, strict=True):
        before, after, statistics = here
        _, _, dead = numpy_update(before, statistics, moves=False)
        np.testing.assert_array_equal(before[0], there[0][0])
        # The codes that vectors chose moved, by Adam's first step of 3e-3; weight decay of half a
        # code's size a step would be seen.
        chosen = (statistics[0] > 0) & ~dead
        assert chosen.any()
        moved = np.abs(after[0] - before[0])[chosen]
        # Hardly a gradient is so small that Adam's epsilon counts.
        np.testing.assert_allclose(np.median(moved), 3e-3, rtol=0.01)
        assert moved.max() < 3.03e-3
        np.testing.assert_allclose(there[1][0], after[0], atol=1e-5)
        assert 0.5 * 3e-3 * np.abs(before[0][chosen]).max() > 1e-4
        np.testing.assert_allclose(after[0][dead], statistics[2][dead])
    kernel = "_levels.0.up.convs.0.kernel"
    assert (histories[0][1][0][kernel] != histories[1][1][0][kernel]).any()
    for _, told in histories[0][1:]:
        # Both are the same squared distance, and the commitment is a quarter of it.
        np.testing.assert_allclose(told["codebook_loss"], 4 * told["commitment_loss"], rtol=1e-5)


@pytest.mark.slow
def test_one_batch_is_learned_by_heart():
    task, (graph, weights) = small_task(), fresh()
    optimizer, step = make_step(task, graph, learning_rate=1e-2, num_steps=150)
    state = init_state(jax.tree.map(np.array, weights), optimizer, task.trainable)
    state = jax.device_put(state, replicated(task.images.mesh))
    batch = put_batch({"image": next(task.batches())["image"]}, task.images.mesh)
    errors = []
    for _ in range(150):
        state, metrics = step(state, batch)
        errors.append(metrics.metrics["squared_error"])
    # Predicting the mean pixel costs the variance.
    assert float(errors[0]) > 0.9 * task.variance
    assert float(errors[-1]) < 0.4 * task.variance


def test_the_variance_is_that_of_the_training_pixels_about_their_means():
    task = small_task()
    split = task.images.dataset.splits["train"]
    pixels = np.stack([split.source[n]["image"] for n in range(len(split))]) / 16.0
    np.testing.assert_allclose(task.variance, pixels.var(axis=0).mean(), rtol=1e-6)
    assert task.describe()["pixel_variance"] == task.variance


def test_a_fresh_model_is_a_function_of_the_seed_and_starts_on_the_first_batch():
    task, (_, weights) = small_task(), fresh()
    first, again = flat(weights), flat(nnx.state(task.make()))
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name], err_msg=name)
    other = flat(nnx.state(TokenizerTask(small_config(seed=1), data_mesh()).make()))
    assert all((other[n] != v).any() for n, v in first.items() if n.endswith("kernel"))
    # The codes' counts are those of one batch of 16 images, of 2 x 2 and of 4 x 4 codes.
    assert first["_levels.1.quantizer.counts"].sum() == 16 * 4
    assert first["_levels.0.quantizer.counts"].sum() == 16 * 16


@pytest.mark.slow
def test_evaluation_and_pictures(tmp_path):
    task, model = small_task(), nnx.merge(*fresh())
    result = task.evaluate(model, "validation")
    assert set(result.metrics) == {
        "loss",
        "squared_error",
        "psnr",
        "top_perplexity",
        "top_codes_used",
        "bottom_perplexity",
        "bottom_codes_used",
    }
    np.testing.assert_allclose(
        result.loss, result.metrics["squared_error"] / task.variance, rtol=1e-6
    )
    assert result.words.startswith("MSE ") and "top perplexity" in result.words
    assert task.headline in result.metrics
    # Originals above reconstructions: 8 + 1 + 8 rows.
    assert task.picture(model).shape == (task.config["num_samples"], 17, 8, 1)


# One device and several.


def told_and_codebooks(history):
    """What must not depend on the number of devices, as arrays by name."""
    results = {}
    for n, (weights, told) in enumerate(history):
        results |= {f"{n}.{name}": x for name, x in weights.items() if "quantizer" in name}
        results |= {f"{n}.{name}": x for name, x in (told or {}).items()}
    return results


@pytest.mark.slow
def test_eight_devices_have_the_codebooks_of_one(tmp_path):
    run_on_devices(DEVICES, __file__, tmp_path / "results.npz")
    history, _, _ = train()
    one = told_and_codebooks(history)
    assert any(
        numpy_update(before, statistics, moves=True)[2].any()
        for before, _, statistics in quantizers(history)
    )
    with np.load(tmp_path / "results.npz") as eight:
        assert set(eight.files) == set(one)
        for name, value in one.items():
            # Sums in another order, through a few steps of Adam.
            np.testing.assert_allclose(eight[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


def train_on_several_devices(file):
    """What the child process does."""
    assert data_mesh().size == DEVICES
    history, compilations, _ = train()
    assert compilations == 1
    np.savez(file, **told_and_codebooks(history))


if __name__ == "__main__":
    train_on_several_devices(sys.argv[1])
