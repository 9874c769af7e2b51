"""Use of the codebooks in the records of a training, for every quantizer and level."""

import jax
import numpy as np
import pytest
from flax import nnx

import pixelprior as pp
from pixelprior.data import Position
from pixelprior.evaluation.code_use import code_use
from pixelprior.experiment.recipes import load_recipe
from pixelprior.progress import Advance
from pixelprior.system.devices import data_mesh
from pixelprior.tokenizers.likelihoods import as_pixels
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.step import init_state
from pixelprior.training.tasks.tokenizer import TokenizerTask
from tests.training.task_steps import step_of

NETWORK = {"features": 4, "residual_features": 2, "num_residual_blocks": 1}
QUANTIZERS = {
    "vector": {"name": "vector", "features": 4, "codebook_size": 8, "depth": 2},
    "finite_scalar": {"name": "finite_scalar", "levels": (3, 3), "num_codebooks": 2},
}
BATCH = 16


def config_of(quantizer):
    config = load_recipe("digits:vqvae2")
    config["tokenizer"] |= NETWORK
    return config | {"quantizer": QUANTIZERS[quantizer], "batch_size": BATCH}


@pytest.mark.slow
@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_a_step_counts_the_codes_of_its_batch(quantizer):
    task = TokenizerTask(config_of(quantizer), data_mesh())
    graph, weights = nnx.split(task.make())
    optimizer, _ = make_optimizer(
        num_steps=10, learning_rate=1e-3, warmup_steps=0, weight_decay=0.0, clip_norm=1.0
    )
    batch = next(task.batches(Position(1, BATCH)))
    model = nnx.merge(graph, weights)
    codes = model.encode(as_pixels(batch["image"], model.grid))
    for parts in (1, 2) if quantizer == "vector" else (1,):
        step = step_of(task, graph, optimizer, accumulate_steps=parts)
        state = init_state(jax.tree.map(np.array, weights), optimizer, task.trainable)
        _, metrics = step(state, batch)
        for counts, level, grid in zip(metrics.counts, codes, model.code_grids, strict=True):
            by_codebook = np.moveaxis(np.asarray(level), -1, 0).reshape(grid.channels, -1)
            expected = [np.bincount(c, minlength=grid.levels) for c in by_codebook]
            np.testing.assert_array_equal(counts, expected)


def trained(quantizer):
    """A short training, its events, and the counts that its records are made of."""
    events, totals = [], []
    counted = TokenizerTask.counted

    def kept(task, counts):
        totals.append([np.array(level) for level in counts])
        return counted(task, counts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TokenizerTask, "counted", kept)
        run = pp.fit(
            config_of(quantizer),
            num_steps=5,
            log_every=2,
            checkpoint_every=5,
            warmup_steps=0,
            progress=events.append,
        )
    return run, events, totals


@pytest.mark.parametrize(
    "quantizer", ["vector", pytest.param("finite_scalar", marks=pytest.mark.slow)]
)
def test_records_have_the_use_since_the_last_record(quantizer):
    run, events, totals = trained(quantizer)
    records = [record for record in run.metrics if "train_loss" in record]
    # Steps 1 and 2, 3 and 4, and the last one.
    assert [record["step"] for record in records] == [2, 4, 5]
    for record, levels, steps in zip(records, totals, (2, 2, 1), strict=True):
        for name, counts, places in zip(("top", "bottom"), levels, (4, 16), strict=True):
            assert len(counts) == 2
            np.testing.assert_array_equal(counts.sum(axis=1), steps * BATCH * places)
            use = code_use(counts.astype(np.int64))
            assert record[f"train_{name}_perplexity"] == pytest.approx(use.perplexity)
            assert record[f"train_{name}_codes_used"] == pytest.approx(use.used)
    notes = [event.note for event in events if isinstance(event, Advance) and "MSE" in event.note]
    assert len(notes) == 3
    for note, record in zip(notes, records, strict=True):
        for name in ("top", "bottom"):
            perplexity, used = (record[f"train_{name}_{n}"] for n in ("perplexity", "codes_used"))
            assert f"{name} perplexity {perplexity:.1f}, {used:.0%} of codes used" in note
