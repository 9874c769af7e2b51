"""The three scripts as a user runs them, on runs that take seconds."""

import os
import shutil
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


# Shared by all tasks; at this rate no codebook collapses in six steps.
TINY_TRAINING = [flag for flag in TINY if ".model." not in flag and "learning_rate" not in flag]
TINY_TRAINING += ["--config.learning_rate=0.005"]
TINY_TOKENIZER = [
    "--config.tokenizer.features=4",
    "--config.tokenizer.residual_features=2",
    "--config.quantizer.features=4",
    "--config.quantizer.codebook_size=8",
    "--config.quantizer.k_means_iterations=2",
    *TINY_TRAINING,
]


def tiny_prior(*levels):
    """Flags that make a prior over these levels small."""
    sizes = {"features": 4, "num_layers": 1, "embedding_features": 4, "head_features": 8}
    return [
        *(f"--config.models.{level}.{key}={n}" for level in levels for key, n in sizes.items()),
        "--config.context.features=4",
        *TINY_TRAINING,
    ]


def copied(run, folder):
    """A copy of a run that may be changed."""
    return Path(shutil.copytree(run, folder / "run"))


@pytest.fixture(scope="session")
def tiny():
    """Flags that make a run of any config small."""
    return TINY


@pytest.fixture(scope="session")
def script(tmp_path_factory):
    """Runs one of the scripts, from a folder that is not the repository's."""
    return make_script(tmp_path_factory)


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """The same, compiled in half the time to programs that are slower."""
    flags = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    return make_script(tmp_path_factory, XLA_FLAGS=f"{os.environ.get('XLA_FLAGS', '')} {flags}")


@pytest.fixture(scope="session")
def two_devices(tmp_path_factory):
    """The same, on two devices."""
    flags = "--xla_backend_optimization_level=0 --xla_force_host_platform_device_count=2"
    return make_script(tmp_path_factory, XLA_FLAGS=flags)


def make_script(tmp_path_factory, **variables):
    folder = tmp_path_factory.mktemp("elsewhere")
    # Only to save time: equal programs are compiled once.
    cache = tmp_path_factory.getbasetemp() / "compiled"
    cache.mkdir(exist_ok=True)
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        **variables,
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


@pytest.fixture(scope="session")
def trained(tmp_path_factory, quick):
    """Trains a new run by the script; what it said is in ``stderr.txt`` beside the run."""

    def trained(name, *flags):
        folder = tmp_path_factory.mktemp(name.replace(":", "_"))
        result = quick("train", f"--config={name}", f"--workdir={folder / 'run'}", *flags)
        assert result.status == 0, result.errors
        assert not result.output and "Traceback" not in result.errors
        (folder / "stderr.txt").write_text(result.errors)
        return folder / "run"

    return trained


# Finished runs on digits, not to be changed; but codes are written into those of tokenizers.


@pytest.fixture(scope="session")
def vqvae(trained):
    """A tokenizer of one level, with a decoder that gives probabilities."""
    return trained(
        "digits:vqvae", *TINY_TOKENIZER, "--config.tokenizer.likelihood=discretized_logistic"
    )


@pytest.fixture(scope="session")
def vqvae2(trained):
    """A tokenizer of two levels with two codebooks each, with a decoder that gives none."""
    return trained("digits:vqvae2", *TINY_TOKENIZER, "--config.quantizer.num_codebooks=2")


@pytest.fixture(scope="session")
def prior(trained, vqvae, tmp_path_factory):
    """An unconditional prior over one level that was moved since; its tokenizer was deleted."""
    tokenizer = tmp_path_factory.mktemp("deleted") / "tokenizer"
    shutil.copytree(vqvae, tokenizer, ignore=shutil.ignore_patterns("codes"))
    run = trained(
        "digits:prior",
        f"--tokenizer={tokenizer}",
        "--config.class_conditional=False",
        *tiny_prior("top"),
    )
    shutil.rmtree(tokenizer)
    return run.rename(run.with_name("moved"))


@pytest.fixture(scope="session")
def top_prior(trained, vqvae2):
    """A class-conditional prior over two levels that has learned the top one alone."""
    return trained(
        "digits:prior2",
        f"--tokenizer={vqvae2}",
        "--config.trained_levels=('top',)",
        *tiny_prior("top", "bottom"),
    )


@pytest.fixture(scope="session")
def prior2(trained, vqvae2, top_prior):
    """One that has learned the bottom level, and has the top one from ``top_prior``."""
    return trained(
        "digits:prior2",
        f"--tokenizer={vqvae2}",
        f"--prior={top_prior}",
        "--config.trained_levels=('bottom',)",
        *tiny_prior("top", "bottom"),
    )
