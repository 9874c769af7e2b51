"""The three scripts as a user runs them, on runs that take seconds."""

import shutil
from pathlib import Path

import pytest

from tests.shared_runs import once, own_copy
from tests.xla_flags import devices, xla_flags

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
    "--config.accumulate_steps=1",  # to choose a number traces the step once more
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
def script(tmp_path_factory, warm_start):
    """Runs one of the scripts, from a folder that is not the repository's."""
    return make_script(tmp_path_factory, warm_start)


@pytest.fixture(scope="session")
def two_devices(tmp_path_factory, warm_start):
    """The same, on two devices."""
    return make_script(tmp_path_factory, warm_start, **xla_flags(devices(2)))


def make_script(tmp_path_factory, warm_start, **variables):
    folder = tmp_path_factory.mktemp("elsewhere")

    def script(name, *flags, cwd=folder):
        return warm_start.run(ROOT / f"{name}.py", *flags, cwd=cwd, **variables)

    return script


@pytest.fixture(scope="session")
def digits(tmp_path_factory, script):
    """A class-conditional run on digits, trained by the script."""

    def train(folder):
        config = f"--config={ROOT / 'configs' / 'digits.py'}"
        flags = ("--config.class_conditional=True", *TINY)
        result = script("train", config, f"--workdir={folder / 'run'}", *flags)
        assert result.status == 0, result.errors

    return own_copy(tmp_path_factory, "digits", train) / "run"


@pytest.fixture(scope="session")
def trained(tmp_path_factory, script):
    """Trains a new run by the script; its messages are in ``stderr.txt`` beside the run."""

    def trained(name, *flags, folder=None):
        folder = folder or tmp_path_factory.mktemp(name.replace(":", "_"))
        result = script("train", f"--config={name}", f"--workdir={folder / 'run'}", *flags)
        assert result.status == 0, result.errors
        assert not result.output and "Traceback" not in result.errors
        (folder / "stderr.txt").write_text(result.errors)
        return folder / "run"

    return trained


# Finished runs on digits. Each process that runs tests has its own copies, since commands that
# evaluate them write into them, and so does training a prior into its tokenizer's.


@pytest.fixture(scope="session")
def vqvae(tmp_path_factory, trained):
    """A tokenizer of one level, with a decoder that gives probabilities."""

    def train(folder):
        likelihood = "--config.tokenizer.likelihood=discretized_logistic"
        trained("digits:vqvae", *TINY_TOKENIZER, likelihood, folder=folder)

    return own_copy(tmp_path_factory, "vqvae", train) / "run"


@pytest.fixture(scope="session")
def vqvae2(tmp_path_factory, trained):
    """A tokenizer of two levels with two codebooks each, with a decoder that gives none."""

    def train(folder):
        flags = (*TINY_TOKENIZER, "--config.quantizer.num_codebooks=2")
        trained("digits:vqvae2", *flags, folder=folder)

    return own_copy(tmp_path_factory, "vqvae2", train) / "run"


@pytest.fixture(scope="session")
def prior(tmp_path_factory, trained, vqvae):
    """An unconditional prior over one level that was moved since; its tokenizer was deleted."""

    def train(folder):
        tokenizer = folder / "tokenizer"
        shutil.copytree(vqvae, tokenizer, ignore=shutil.ignore_patterns("codes"))
        flags = (f"--tokenizer={tokenizer}", "--config.class_conditional=False")
        trained("digits:prior", *flags, *tiny_prior("top"), folder=folder)
        shutil.rmtree(tokenizer)

    run = own_copy(tmp_path_factory, "prior", train) / "run"
    return run.rename(run.with_name("moved"))


@pytest.fixture(scope="session")
def levels(tmp_path_factory, trained, vqvae2):
    """Two priors that learned one level each, and their tokenizer with codes: not to be changed."""

    def train(folder):
        tokenizer = folder / "tokenizer"
        shutil.copytree(vqvae2, tokenizer, ignore=shutil.ignore_patterns("codes", "evaluation"))
        others = []
        for level in ("top", "bottom"):
            (folder / level).mkdir()
            flags = (f"--tokenizer={tokenizer}", f"--config.trained_levels=('{level}',)", *others)
            flags += tuple(tiny_prior("top", "bottom"))
            run = trained("digits:prior2", *flags, folder=folder / level)
            others = [f"--prior={run}"]

    return once(tmp_path_factory, "levels", train)


@pytest.fixture(scope="session")
def priors(tmp_path_factory, levels, vqvae2):
    """Copies of them, and of the codes to this process's own tokenizer."""
    shutil.copytree(levels / "tokenizer" / "codes", vqvae2 / "codes", dirs_exist_ok=True)
    return Path(shutil.copytree(levels, tmp_path_factory.mktemp("own") / "levels"))


@pytest.fixture(scope="session")
def top_prior(priors):
    """A class-conditional prior over two levels that has learned the top one alone."""
    return priors / "top" / "run"


@pytest.fixture(scope="session")
def prior2(priors):
    """One that has learned the bottom level, and has the top one from ``top_prior``."""
    return priors / "bottom" / "run"
