"""What several test files of the command line call: its functions, with settings for tiny runs."""

import re

import jax
from flax import nnx

from pixelprior.cli.sample_files import sample_to_files

# What training leaves in a run folder.
RUN_FILES = {
    "config.json",
    "config_history.json",
    "data.json",
    "metrics.jsonl",
    "events",
    "checkpoints",
    "samples",
}


def draw_files(workdir, out, **settings):
    """Pictures of a run, as ``sample.py`` writes them."""
    defaults = {
        "num": 4,
        "batch_size": 4,
        "seed": 0,
        "strategies": [()],
        "label": None,
        "method": "cached",
        "checkpoint": "best",
        "averaged": True,
        "individual": True,
    }
    sample_to_files(workdir, out, **defaults | settings)


def assert_one_sentence(result, message):
    """A script that was refused says why in one line, and nothing else."""
    assert result.status == 2
    assert "Traceback" not in result.errors and not result.output
    (line,) = result.errors.splitlines()
    assert line.startswith("error: ") and re.search(message, line), line


def jitted(model, method, *arguments):
    """What a method of a model gives, compiled whole: operation by operation takes far longer."""
    graph, weights = nnx.split(model)

    @jax.jit
    def call(weights, arguments):
        return getattr(nnx.merge(graph, weights), method)(*arguments)

    return call(weights, arguments)
