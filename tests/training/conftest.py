"""Runs of the real train.py, small enough to take a second once their programs are compiled."""

import shutil
from pathlib import Path

import pytest

from tests.shared_runs import of_all_workers, once
from tests.training.small_configs import (
    CONFIG,
    FIFTY_STEPS,
    PRIOR,
    TOKENIZER,
    WIDE,
    write_config,
)
from tests.xla_flags import devices, xla_flags

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config():
    """A fresh copy of the small config."""
    return CONFIG | {"model": dict(CONFIG["model"])}


@pytest.fixture(scope="session")
def config_file(tmp_path_factory):
    """The small config as a file for ``--config``."""
    return write_config(tmp_path_factory.mktemp("config"), CONFIG)


@pytest.fixture(scope="session")
def start(tmp_path_factory, config_file, warm_start):
    """Starts train.py in a process of its own; at the end of the session none is left."""
    # One that is killed may leave a part of a program there, so other tests do not read it.
    cache = of_all_workers(tmp_path_factory, "compiled")

    def start(workdir, *flags, num_devices=1, script=ROOT / "train.py", **variables):
        always = (f"--config={config_file}", f"--workdir={workdir}")
        settings = {
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            **xla_flags(devices(num_devices)),
            **variables,
        }
        return warm_start.start(script, *always, *flags, cwd=cache, **settings)

    return start


@pytest.fixture(scope="session")
def run(start):
    """Runs train.py to its end and returns what it wrote to standard error."""

    def run(workdir, *flags, **settings):
        process = start(workdir, *flags, **settings)
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        return errors

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory, run):
    """A run that nothing interrupted: not to be changed."""
    return once(tmp_path_factory, "finished", lambda folder: run(folder / "run")) / "run"


@pytest.fixture(scope="session")
def wide(tmp_path_factory, run):
    """The same of a model that several devices share: not to be changed."""

    def train(folder):
        assert "1 device" in run(folder / "run", *WIDE)

    return once(tmp_path_factory, "wide", train) / "run"


@pytest.fixture(scope="session")
def fifty_steps(tmp_path_factory, run):
    """The same of fifty steps: not to be changed."""

    def train(folder):
        run(folder / "run", *FIFTY_STEPS)

    return once(tmp_path_factory, "fifty_steps", train) / "run"


@pytest.fixture(scope="session")
def task_flags(tmp_path_factory):
    """The flag of each other task's config."""
    folder = tmp_path_factory.mktemp("configs")
    configs = {config["task"]: config for config in (TOKENIZER, PRIOR)}
    return {task: f"--config={write_config(folder, config)}" for task, config in configs.items()}


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory, run, task_flags):
    """A tokenizer's run that nothing interrupted, without codes: not to be changed."""

    def train(folder):
        run(folder / "run", task_flags["tokenizer"])

    return once(tmp_path_factory, "training_tokenizer", train) / "run"


@pytest.fixture(scope="session")
def prior(tmp_path_factory, run, task_flags, tokenizer):
    """A prior's run that nothing interrupted, beside its tokenizer: not to be changed."""

    def train(folder):
        given = shutil.copytree(tokenizer, folder / "tokenizer")
        run(folder / "run", task_flags["prior"], f"--tokenizer={given}")

    return once(tmp_path_factory, "training_prior", train) / "run"
