"""Runs of each task that no one has trained: random weights, and the facts of a run on digits."""

import json

import jax
import numpy as np

from pixelprior.experiment import complete
from pixelprior.runs.one_file.weights import named, with_weights
from pixelprior.runs.rebuild import rebuild
from pixelprior.runs.run import Run
from tests.training.small_configs import CONFIG, PRIOR, TOKENIZER

SPLITS = {"train": 1294, "validation": 144, "test": 359}
DATA = {
    "name": "digits",
    "shape": [8, 8, 1],
    "levels": 17,
    "native_levels": 17,
    "symbols": dict.fromkeys(SPLITS, "17 levels"),
    "splits": {name: {"description": name, "images": n} for name, n in SPLITS.items()},
    "class_names": [str(n) for n in range(10)],
    "note": "",
    "reading": 1,
    "contents": "",
    "attribute_names": [],
    "attribute_contents": "",
}
OF_CODES = {
    "pixel_variance": 0.1,
    "tokenizer": "0" * 64,
    "code_grids": [[2, 2, 1, 16], [4, 4, 1, 16]],
    "learned_levels": ["top", "bottom"],
    "code_counts": [[[3] * 16], [[5] * 16]],
}
RECORDS = [
    {"step": 4, "train_loss": 2.0, "validation_loss": 1.5, "validation_nats": 66.5},
    {"step": 8, "validation_loss": 1.4, "validation_nats": 62.1, "images_per_second": 5.0},
    {"step": 12, "best_step": 8, "test_nats": 63.2, "test_bits_per_dim": 1.42},
]


def untrained(task, **changes):
    """A run of a task; ``changes`` are keys of its config."""
    config = complete({"pixels": CONFIG, "tokenizer": TOKENIZER, "prior": PRIOR}[task] | changes)
    config = json.loads(json.dumps(config))  # as a run folder has it
    data = DATA | (OF_CODES if task == "prior" else {})
    data |= {"pixel_variance": 0.1} if task == "tokenizer" else {}
    tokenizer = untrained("tokenizer") if task == "prior" else None
    return Run(
        model=filled(rebuild(config, data)),
        config=config,
        data=data,
        provenance="averaged weights of step 8 (best checkpoint)",
        step=8,
        tokenizer=tokenizer and tokenizer.model,
        tokenizer_config=tokenizer and tokenizer.config,
        records=RECORDS,
    )


def filled(model):
    """The model with random numbers in place of every weight, zeros and ones included."""
    rng = np.random.default_rng(0)
    weights = named(model).items()
    return with_weights(
        model, {name: rng.normal(size=w.shape).astype(np.float32) / 4 for name, w in weights}
    )


def assert_equal_weights(one, other):
    for mine, theirs in ((one.model, other.model), (one.tokenizer, other.tokenizer)):
        if mine is None:
            assert theirs is None
            continue
        jax.tree.map(np.testing.assert_array_equal, named(mine), named(theirs))
