"""The three scripts as a user runs them, on runs that take seconds."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
TINY = [
    "--config.model.features=4",
    "--config.model.num_layers=1",
    "--config.model.embedding_features=4",
    "--config.model.head_features=8",
    "--config.num_steps=6",
    "--config.learning_rate=0.02",
    "--config.warmup_steps=1",
    "--config.checkpoint_every=3",
    "--config.sample_every=6",
    "--config.log_every=2",
    "--config.num_samples=2",
    "--config.batch_size=16",
]


@pytest.fixture(scope="session")
def tiny():
    """Flags that make a run of any config small."""
    return TINY


@pytest.fixture(scope="session")
def script(tmp_path_factory):
    """Runs one of the scripts, from a folder that is not the repository's."""
    folder = tmp_path_factory.mktemp("elsewhere")
    # Only to save time: equal programs are compiled once.
    cache = tmp_path_factory.getbasetemp() / "compiled"
    cache.mkdir(exist_ok=True)
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }

    def script(name, *flags, cwd=folder):
        result = subprocess.run(
            [sys.executable, ROOT / f"{name}.py", *flags],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
        )
        return SimpleNamespace(status=result.returncode, output=result.stdout, errors=result.stderr)

    return script


@pytest.fixture(scope="session")
def digits(tmp_path_factory, script):
    """A class-conditional run on digits, trained by the script: not to be changed."""
    workdir = tmp_path_factory.mktemp("runs") / "digits"
    result = script(
        "train",
        f"--config={ROOT / 'configs' / 'digits.py'}",
        f"--workdir={workdir}",
        "--config.class_conditional=True",
        *TINY,
    )
    assert result.status == 0, result.errors
    return workdir
