"""Runs of the real train.py, small enough to take a second once their programs are compiled."""

import os
from pathlib import Path

import pytest

from tests.plain_training import PLAIN_TRAINING
from tests.shared_runs import once
from tests.warm_start import WarmStart

ROOT = Path(__file__).parents[2]

# Everything that a config must say; the smallest run that has all phases.
CONFIG = {
    "task": "pixels",
    "seed": 0,
    "dataset": "digits",
    "data_dir": "",
    "image_size": (0, 0),
    "validation_fraction": 0.1,
    "levels": 17,
    "binarisation": "none",
    "flip": False,
    "class_conditional": False,
    "label_dropout": 0.0,
    "model": {
        "name": "gated_pixel_cnn",
        "features": 4,
        "num_layers": 1,
        "embedding_features": 4,
        "head_features": 8,
        "dropout_rate": 0.3,
    },
    "batch_size": 16,
    "num_steps": 12,
    "learning_rate": 1e-2,
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


@pytest.fixture
def config():
    """A fresh copy of the small config."""
    return CONFIG | {"model": dict(CONFIG["model"])}


@pytest.fixture(scope="session")
def config_file(tmp_path_factory):
    """The small config as a file for ``--config``."""
    path = tmp_path_factory.mktemp("config") / "small.py"
    path.write_text(
        "from ml_collections import ConfigDict\n\n\n"
        f"def get_config():\n    return ConfigDict({CONFIG!r})\n"
    )
    return path


@pytest.fixture(scope="session")
def start(tmp_path_factory, config_file):
    """Starts train.py in a process of its own; at the end of the session none is left."""
    # One that is killed may leave a part of a program there, so nobody else reads it.
    cache = tmp_path_factory.getbasetemp() / "compiled"
    cache.mkdir(exist_ok=True)
    scripts = WarmStart(
        os.environ
        | {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
    )

    def start(workdir, *flags, **variables):
        always = (f"--config={config_file}", f"--workdir={workdir}")
        return scripts.start(ROOT / "train.py", *always, *flags, cwd=cache, **variables)

    yield start
    scripts.close()


@pytest.fixture(scope="session")
def run(start):
    """Runs train.py to its end and returns what it wrote to standard error."""

    def run(workdir, *flags, **variables):
        process = start(workdir, *flags, **variables)
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        return errors

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory, run):
    """A run that nothing interrupted: not to be changed."""
    return once(tmp_path_factory, "finished", lambda folder: run(folder / "run")) / "run"
