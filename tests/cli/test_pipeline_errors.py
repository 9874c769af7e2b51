"""What a pipeline of tokenizers and priors refuses, in one sentence, with nothing written."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelprior.cli.evaluate_run import evaluate_run
from pixelprior.data import DataError, open_codes, write_codes
from pixelprior.data.codes.records import Coded
from pixelprior.errors import InputError
from pixelprior.progress import Caution
from pixelprior.runs.tokenizer import code_facts, open_tokenizer_run
from pixelprior.runs.train import train_run
from pixelprior.sampling.strategies import strategies_from
from pixelprior.training.run_folder import RunFolder
from tests.cli.calls import assert_one_sentence, draw_files

# Real runs, that take minutes to prepare.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def contents(*folders):
    return {
        p: p.read_bytes() if p.is_file() else None
        for folder in folders
        for p in Path(folder).rglob("*")
    }


def config_of(workdir):
    return RunFolder(workdir).config()


def refused(config, workdir, message, **others):
    """The error of training, which has written nothing, there or into the other runs."""
    folders = [Path(workdir).parent, *(path for path in others.values() if path is not None)]
    before = contents(*folders)
    with pytest.raises(InputError, match=message) as error:
        train_run(config, workdir, **others)
    assert contents(*folders) == before
    assert "\n" not in str(error.value)


# Through the scripts: what the shell sees.


@pytest.mark.parametrize(
    ("name", "config", "flags", "message"),
    [
        ("train", "digits:prior", [], "trained on the codes of a tokenizer.* --tokenizer="),
        (
            "train",
            "digits:prior",
            ["--tokenizer=nowhere"],
            "nowhere is not a run folder: it has no config.json",
        ),
        (
            "train",
            "digits",
            ["--tokenizer=nowhere"],
            "--tokenizer is for training a prior, but .* 'pixels'",
        ),
        (
            "train",
            "digits:vqvae",
            ["--config.tokenizer.strides=(3,)"],
            "multiples of 3, but the images are 8 x 8; 6 x 6 or 9 x 9 would fit",
        ),
        ("sample", None, ["--out=x.png", "--mode=dream"], "mode"),
        ("sample", None, ["--out=x.png", "--temperature=1,warm"], "numbers .* got '1,warm'"),
        (
            "sample",
            None,
            ["--out=x.png", "--mode=interpolate", "--num=12"],
            "each walk has 8 images, so num must be a multiple, got 12",
        ),
    ],
)
def test_the_scripts_end_with_a_sentence(tmp_path, script, name, config, flags, message):
    if config:
        flags = [f"--config={config}", *flags]
    result = script(name, "--workdir=run", *flags, cwd=tmp_path)
    assert_one_sentence(result, message)
    assert not any(tmp_path.iterdir())


# Straight into the functions that the scripts call.


def test_tokenizers_that_are_none(prior, vqvae, digits, tmp_path):
    config = config_of(prior)
    empty = tmp_path / "empty"
    empty.mkdir()
    for tokenizer, message in (
        (None, "give the folder of its run with --tokenizer"),
        (tmp_path / "nowhere", "nowhere is not a run folder"),
        (empty, "empty is not a run folder"),
        (digits, "a run of the task 'pixels', but a tokenizer's is needed"),
        (prior, "a run of the task 'prior', but a tokenizer's is needed"),
    ):
        refused(config, tmp_path / "run", message, tokenizer=tokenizer)
    for name in ("tokenizer", "prior"):
        others = {name: str(vqvae)}
        refused(config_of(vqvae), tmp_path / "run", f"--{name} is for training a prior", **others)
        refused(config_of(digits), tmp_path / "run", "but the config's task is 'pixels'", **others)


def test_a_tokenizer_that_was_never_finished(prior, vqvae, tmp_path):
    # As a run is that was killed between its last checkpoint and its test.
    unfinished = tmp_path / "tokenizer"
    shutil.copytree(vqvae, unfinished)
    path = unfinished / "metrics.jsonl"
    *lines, _ = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines))
    message = "is not complete; run its training command again to resume"
    refused(config_of(prior), tmp_path / "run", message, tokenizer=unfinished)
    # Or as one that was stopped early.
    shutil.rmtree(unfinished / "checkpoints")
    path.unlink()
    refused(config_of(prior), tmp_path / "run", message, tokenizer=unfinished)


def test_another_tokenizer_than_a_prior_was_begun_with(prior, vqvae, vqvae2):
    refused(
        config_of(prior),
        prior,
        "is of another tokenizer .* leave --tokenizer out",
        tokenizer=vqvae2,
    )


def test_codes_of_another_tokenizer(prior2, vqvae2):
    (codes,) = (vqvae2 / "codes").iterdir()
    fingerprint = json.loads((prior2 / "data.json").read_text())["tokenizer"]
    assert open_codes(codes, fingerprint=fingerprint).facts.fingerprint == fingerprint
    with pytest.raises(DataError, match="made by another tokenizer"):
        open_codes(codes, fingerprint="ab" * 32)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def folder_run(vqvae, tmp_path_factory):
    """A tokenizer's run on a folder of images without labels, and that folder."""
    images = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for n in range(40):
        save(images / f"{n:02d}.png", rng.integers(0, 256, (8, 8), np.uint8))
    config = config_of(vqvae) | {
        "dataset": f"folder:{images}",
        "levels": 256,
        "batch_size": 4,
        "num_steps": 1,
    }
    workdir = tmp_path_factory.mktemp("folder") / "run"
    train_run(config, workdir)
    return workdir, images


def test_classes_of_data_that_has_none(folder_run, prior, tmp_path):
    workdir, images = folder_run
    config = config_of(prior) | {"class_conditional": True}
    message = "class_conditional needs labels, but the data set .* has none"
    with pytest.raises(InputError, match=message):
        train_run(config, tmp_path / "run", tokenizer=workdir)
    assert not any(tmp_path.iterdir())


def test_images_that_have_changed_since(folder_run, prior, tmp_path):
    workdir, images = folder_run
    tokenizer = tmp_path / "tokenizer"
    shutil.copytree(workdir, tokenizer, ignore=shutil.ignore_patterns("codes"))
    changed = sorted(images.glob("*.png"))[0]
    before = changed.read_bytes()
    save(changed, np.zeros((8, 8), np.uint8))
    try:
        message = rf"no longer has the images of the run: 1 changed \({changed.name}\) in the"
        refused(config_of(prior), tmp_path / "run", message, tokenizer=tokenizer)
    finally:
        changed.write_bytes(before)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": {}}, "levels are called top, bottom, but config.models describes none"),
        ({"models": {"top": {"name": "pixel_cnn"}}}, "config.models describes top; describe"),
        ({"trained_levels": ("middle",)}, "trained_levels must be some of top, bottom"),
        ({"trained_levels": ()}, "trained_levels must be some of top, bottom"),
        ({"label_dropout": 1.0}, r"label_dropout must be in \[0, 1\)"),
        ({"context": {"features": 0}}, "config.context.features must be an integer of at least 1"),
        ({"context": {"width": 3}}, "no setting 'width'"),
        ({"batch_size": 0}, "batch_size must be above 0"),
        ({"dataset": "digits"}, "unknown keys: dataset"),
    ],
)
def test_priors_that_cannot_be_trained(prior2, vqvae2, tmp_path, changes, message):
    config = config_of(prior2) | {"trained_levels": ("top", "bottom")} | changes
    refused(config, tmp_path / "run", message, tokenizer=vqvae2)


def test_models_of_a_level_that_cannot_be_made(prior2, vqvae2, tmp_path):
    config = config_of(prior2)
    for changes, message in (
        ({"name": "pixel_rnn"}, "config.models.bottom.name must be one of"),
        ({"width": 3}, "no setting 'width'; config.models.bottom may set"),
        ({"dropout_rate": 1.0}, "config.models.bottom.dropout_rate must be a number in"),
    ):
        models = config["models"] | {"bottom": config["models"]["bottom"] | changes}
        refused(config | {"models": models}, tmp_path / "run", message, tokenizer=vqvae2)


def test_priors_to_take_levels_from(prior, prior2, top_prior, vqvae2, digits, tmp_path):
    bottom = config_of(prior2)
    assert bottom["trained_levels"] == ["bottom"]
    both = bottom | {"trained_levels": ["top", "bottom"]}
    models = bottom["models"]
    wider = models | {"top": models["top"] | {"features": 8}}
    for config, other, message in (
        (bottom, tmp_path / "nowhere", "is not a run folder"),
        (bottom, digits, "--prior must be the run of a prior, but .* is of 'pixels'"),
        (bottom, vqvae2, "--prior must be the run of a prior, but .* is of 'tokenizer'"),
        (bottom, prior, "is of another tokenizer than the one in"),
        (both, prior2, r"does not train \(none\)"),
        (bottom | {"trained_levels": ["top"]}, top_prior, r"\(bottom\), but .* has learned top"),
        (bottom | {"class_conditional": False}, top_prior, "config.class_conditional must be as"),
        (bottom | {"label_dropout": 0.0}, top_prior, "config.label_dropout must be as"),
        (
            bottom | {"context": bottom["context"] | {"features": 8}},
            top_prior,
            "config.context must be as in",
        ),
        (bottom | {"models": wider}, top_prior, "config.models.top must be as in"),
        # What is missing here is no reason for a trace.
        (bottom | {"models": {"bottom": models["bottom"]}}, top_prior, "config.models"),
    ):
        refused(config, tmp_path / "run", message, tokenizer=vqvae2, prior=other)


def test_going_on_without_the_other_prior(prior2, top_prior):
    # It was begun with --prior, so it needs it again.
    refused(config_of(prior2), prior2, "was started with --prior; give the same prior to resume")


# Pictures and measurements.


def draw_refused(workdir, folder, message, **settings):
    before = contents(workdir, folder)
    small = {"num": 2, "batch_size": 2, "individual": False}
    with pytest.raises(InputError, match=message) as error:
        draw_files(workdir, folder / "new" / "x.png", **small | settings)
    assert contents(workdir, folder) == before
    assert "\n" not in str(error.value)


COLD = strategies_from(temperature=0.8)


@pytest.mark.parametrize(
    ("run", "settings", "message"),
    [
        ("digits", {"mode": "reconstruct"}, "--mode=reconstruct is for tokenizers and priors"),
        ("digits", {"mode": "random_codes"}, "this run is a pixel model"),
        ("digits", {"strategies": [COLD, COLD]}, "takes one temperature, got 2"),
        ("digits", {"guidance": 2.0}, "guidance needs a model with a null class"),
        ("vqvae", {}, "this run is a tokenizer, which has nothing to sample from"),
        ("prior", {"label": "3"}, "label 3 was given, but this model has no classes"),
        ("prior", {"guidance": 2.0}, "guidance needs a prior with classes or vectors"),
        ("prior", {"strategies": [COLD, COLD]}, r"one for each level \(top\), got 2"),
        ("prior2", {"strategies": [COLD] * 3}, r"\(top, bottom\), got 3"),
        ("prior2", {"label": "10"}, "there is no class '10'; the classes are 0, 1, 2"),
        ("prior2", {"label": "seven"}, "there is no class 'seven'; the classes are 0, 1, 2"),
        ("prior2", {"mode": "interpolate", "num": 9}, "so num must be a multiple, got 9"),
    ],
)
def test_pictures_that_cannot_be_drawn(request, tmp_path, run, settings, message):
    draw_refused(request.getfixturevalue(run), tmp_path, message, **settings)


def test_guidance_of_a_prior_that_saw_every_label(prior2, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(prior2, run)
    (run / "config.json").write_text(json.dumps(config_of(prior2) | {"label_dropout": 0.0}))
    out = tmp_path / "out"
    out.mkdir()
    draw_refused(run, out, "trained with label_dropout above 0; this one was not", guidance=2.0)


def test_a_prior_without_its_tokenizer(prior, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(prior, run)
    shutil.rmtree(run / "tokenizer")
    (tmp_path / "out").mkdir()
    draw_refused(run, tmp_path / "out", "tokenizer is not a run folder")


@pytest.mark.parametrize(
    ("run", "num_samples", "message"),
    [
        ("vqvae", 10, "a tokenizer has no samples to be judged"),
        ("prior2", 9, r"num_samples must be 0, or in \[10, 2\*\*31\), got 9"),
        ("prior2", -1, r"num_samples must be 0, or in \[10, 2\*\*31\), got -1"),
        ("prior2", 2**31, r"num_samples must be 0, or in \[10, 2\*\*31\), got 2147483648"),
        ("top_prior", 10, "has not learned the bottom level"),
    ],
)
def test_samples_that_cannot_be_judged(request, tmp_path, run, num_samples, message):
    workdir = request.getfixturevalue(run)
    before = contents(workdir)
    with pytest.raises(InputError, match=message):
        evaluate_run(
            workdir,
            json_file=tmp_path / "x.json",
            batch_size=64,
            baselines=False,
            num_samples=num_samples,
        )
    assert contents(workdir) == before and not any(tmp_path.iterdir())


# Collapsed levels.


def cautions_of(prior, tokenizer, workdir):
    """What training a prior warns of, before it is refused for a setting that it looks at later."""
    config = config_of(prior)
    config["models"] = {
        level: settings | {"features": 0} for level, settings in config["models"].items()
    }
    config["trained_levels"] = list(config["models"])
    events = []
    with pytest.raises(InputError, match="features must be"):
        train_run(config, workdir, tokenizer=tokenizer, report=events.append)
    return [event.text for event in events if isinstance(event, Caution)]


def test_each_codebook_of_a_level_is_judged_alone(prior2, vqvae2, tmp_path):
    assert cautions_of(prior2, vqvae2, tmp_path / "run") == []
    # The same tokenizer, with other codes: the first codebook of the bottom level is one code.
    tokenizer = tmp_path / "tokenizer"
    shutil.copytree(vqvae2, tokenizer, ignore=shutil.ignore_patterns("codes"))
    run = open_tokenizer_run(tokenizer)
    rng = np.random.default_rng(0)

    def codes(count):
        levels = [rng.integers(0, 8, (count, *grid.shape)) for grid in run.tokenizer.code_grids]
        levels[1][..., 0] = 5
        return [Coded(levels, np.zeros(count, int))]

    write_codes(
        tokenizer / "codes" / run.fingerprint[:16],
        code_facts(run),
        {name: (name, codes(100)) for name in ("train", "validation", "test")},
    )
    (line,) = cautions_of(prior2, tokenizer, tmp_path / "run")
    assert "the bottom level of the tokenizer" in line and "has collapsed" in line
    assert "8 codes as if there were 1.0 (perplexity)" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_tokenizer_that_really_collapsed(trained, prior, script, tmp_path):
    run = trained(
        "digits:vqvae",
        "--config.tokenizer.features=4",
        "--config.quantizer.features=4",
        "--config.quantizer.dead_share=0.0",
        "--config.learning_rate=0.3",
        "--config.num_steps=60",
        "--config.checkpoint_every=60",
        "--config.sample_every=60",
        "--config.num_samples=2",
        "--config.batch_size=16",
        "--config.quantizer.commitment=4.0",
    )
    end = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert end["test_top_perplexity"] < 2.5
    result = script(
        "train",
        "--config=digits:prior",
        f"--workdir={tmp_path / 'run'}",
        f"--tokenizer={run}",
        "--config.models.top.features=4",
        "--config.models.top.num_layers=1",
        "--config.num_steps=2",
        "--config.warmup_steps=1",
        "--config.num_samples=2",
        "--config.batch_size=16",
    )
    # It is a warning: the prior is trained all the same.
    assert result.status == 0, result.errors
    (line,) = [line for line in result.errors.splitlines() if line.startswith("warning: ")]
    assert "the top level of the tokenizer in" in line and "(perplexity)" in line
