"""Tokenizers and priors that are killed, or told to stop, end with the same bits all the same."""

import os
import shutil
import signal
import time

import jax
import numpy as np
import pytest
from flax import nnx

from pixelprior.runs.load import load_trained
from pixelprior.training.metrics import read_metrics
from tests.plain_training import PLAIN_TRAINING

# Processes that compile, five or six for each test.
pytestmark = pytest.mark.slow

TRAINING = {
    "batch_size": 16,
    "num_steps": 12,
    "learning_rate": 5e-3,
    "warmup_steps": 2,
    "weight_decay": 1e-2,
    "clip_norm": 1.0,
    "ema_decay": 0.9,
    "log_every": 1,
    "checkpoint_every": 4,
    "sample_every": 12,
    "num_samples": 2,
    **PLAIN_TRAINING,
}
# Two levels, and codes that die and start again at every step.
TOKENIZER = {
    "task": "tokenizer",
    "seed": 0,
    "dataset": "digits",
    "data_dir": "",
    "image_size": (0, 0),
    "validation_fraction": 0.1,
    "levels": 17,
    "binarisation": "none",
    "flip": False,
    "tokenizer": {
        "name": "vqvae2",
        "strides": (2, 2),
        "features": 4,
        "residual_features": 2,
        "num_residual_blocks": 1,
        "likelihood": "gaussian",
    },
    "quantizer": {
        "name": "vector",
        "features": 4,
        "codebook_size": 16,
        "decay": 0.8,
        "dead_share": 0.5,
        "k_means_iterations": 2,
    },
    **TRAINING,
}
MODEL = {
    "name": "gated_pixel_cnn",
    "features": 4,
    "num_layers": 1,
    "embedding_features": 4,
    "head_features": 8,
    "dropout_rate": 0.3,
}
PRIOR = {
    "task": "prior",
    "seed": 0,
    "data_dir": "",
    "class_conditional": True,
    "label_dropout": 0.2,
    "models": {"top": MODEL, "bottom": MODEL},
    "context": {"features": 4, "num_blocks": 1},
    "trained_levels": ("top", "bottom"),
    **TRAINING,
}
QUICK = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}  # to compile in half the time


def config_flag(folder, config):
    """The flag for a config, which takes the place of the one that `start` gives."""
    path = folder / f"{config['task']}.py"
    path.write_text(
        "from ml_collections import ConfigDict\n\n\n"
        f"def get_config():\n    return ConfigDict({config!r})\n"
    )
    return f"--config={path}"


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """The flag of each task's config."""
    folder = tmp_path_factory.mktemp("configs")
    return {config["task"]: config_flag(folder, config) for config in (TOKENIZER, PRIOR)}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory, run, flags):
    """A tokenizer's run that nothing interrupted, without codes: not to be changed."""
    workdir = tmp_path_factory.mktemp("tokenizer") / "run"
    run(workdir, flags["tokenizer"], **QUICK)
    return workdir


@pytest.fixture(scope="module")
def prior(tmp_path_factory, run, flags, tokenizer):
    """A prior's run that nothing interrupted: not to be changed."""
    folder = tmp_path_factory.mktemp("prior")
    shutil.copytree(tokenizer, folder / "tokenizer")
    tokenizer_flag = f"--tokenizer={folder / 'tokenizer'}"
    run(folder / "run", flags["prior"], tokenizer_flag, **QUICK)
    return folder / "run"


def weights(workdir, *, averaged):
    model = load_trained(workdir, checkpoint="latest", averaged=averaged).model
    return {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.to_pure_dict(nnx.state(model)))
    }


def records(workdir):
    return [
        {
            key: value
            for key, value in record.items()
            if key not in ("images_per_second", "compile_seconds", "input_share")
        }
        for record in read_metrics(workdir / "metrics.jsonl")
    ]


def assert_same_end(workdir, finished):
    for averaged in (False, True):
        ours, theirs = (weights(run, averaged=averaged) for run in (workdir, finished))
        assert ours.keys() == theirs.keys()
        for name, leaf in theirs.items():
            np.testing.assert_array_equal(ours[name], leaf, err_msg=name)
    assert records(workdir) == records(finished)
    picture = "samples/step_0000012.png"
    assert (workdir / picture).read_bytes() == (finished / picture).read_bytes()


def wait_for(condition, process):
    """Waits until something is true of a running process."""
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.001)


def logged(workdir, step):
    path = workdir / "metrics.jsonl"
    return lambda: path.exists() and f'"step": {step},' in path.read_text()


def saving(workdir, step):
    return lambda: any((workdir / "checkpoints").glob(f"{step}*"))


def kill(process):
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def interrupt_and_resume(workdir, start, run, *arguments):
    """Killed before the first checkpoint, killed while it is saved, told to stop, and resumed."""
    for condition in (logged(workdir, 2), saving(workdir, 4)):
        process = start(workdir, *arguments, **QUICK)
        wait_for(condition, process)
        kill(process)
    process = start(workdir, *arguments, **QUICK)
    wait_for(logged(workdir, 5), process)
    process.terminate()
    _, errors = process.communicate()
    assert process.returncode == 0 and "Traceback" not in errors, errors
    stopped = int(errors.split("SIGTERM: saved step ")[1].split(";")[0])
    assert 5 <= stopped < 12
    errors = run(workdir, *arguments, **QUICK)
    assert f"resuming at step {stopped}" in errors


def test_a_tokenizer_with_its_codebooks(tokenizer, tmp_path, start, run, flags):
    workdir = tmp_path / "run"
    interrupt_and_resume(workdir, start, run, flags["tokenizer"])
    assert_same_end(workdir, tokenizer)
    # Codebooks and counts are among what was compared, of both levels, and they have moved.
    ends = weights(workdir, averaged=False)
    for kind in ("codebook_vectors", "counts"):
        assert len([name for name in ends if f"['{kind}']" in name]) == 2
    shares = [leaf for name, leaf in ends.items() if "['counts']" in name]
    assert all(len(np.unique(leaf)) > 3 for leaf in shares)


def test_a_prior(tokenizer, prior, tmp_path, start, run, flags):
    workdir, codes = tmp_path / "run", tmp_path / "tokenizer"
    shutil.copytree(tokenizer, codes)
    interrupt_and_resume(workdir, start, run, flags["prior"], f"--tokenizer={codes}")
    assert_same_end(workdir, prior)


def test_a_prior_that_is_killed_before_it_trains(tokenizer, prior, tmp_path, start, run, flags):
    workdir, copy = tmp_path / "run", tmp_path / "tokenizer"
    shutil.copytree(tokenizer, copy)
    arguments = (flags["prior"], f"--tokenizer={copy}")
    # While it encodes.
    process = start(workdir, *arguments, **QUICK)
    wait_for(lambda: any((copy / "codes").glob(".*.unfinished/new/*")), process)
    kill(process)
    assert not any(path for path in (copy / "codes").iterdir() if path.name[0] != ".")
    assert not workdir.exists()
    # While it copies the tokenizer in, or just before or after.
    process = start(workdir, *arguments, **QUICK)
    wait_for(lambda: any(workdir.glob(".tokenizer.*")) or (workdir / "data.json").exists(), process)
    kill(process)
    # What a kill in the middle of that leaves behind, wherever that one came.
    left_over = workdir / ".tokenizer.1.unfinished"
    left_over.mkdir()
    shutil.copy(copy / "config.json", left_over)
    shutil.rmtree(workdir / "tokenizer", ignore_errors=True)
    run(workdir, *arguments, **QUICK)
    assert_same_end(workdir, prior)
    assert [name for name in os.listdir(copy / "codes") if name.startswith(".")] == []
    assert len(os.listdir(copy / "codes")) == 1
    assert [name for name in os.listdir(workdir) if name.startswith(".")] == []
