"""Samples judged from the command line: what is measured, what is kept, what is refused."""

import functools
import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from pixelprior.cli.evaluate_run import evaluate_run
from pixelprior.cli.tables.evaluation import settings_in_words
from pixelprior.errors import InputError
from pixelprior.evaluation.classifier import train_classifier
from pixelprior.evaluation.sample_quality import Quality
from pixelprior.runs.load import load_trained
from pixelprior.runs.sample_set import read_samples
from pixelprior.training.run_folder import RunFolder
from tests.shared_runs import own_copy

QUALITY = Quality._fields


evaluate = functools.partial(evaluate_run, baselines=False)


@pytest.fixture(scope="module")
def judged(digits, tmp_path_factory, script):
    """A copy of a class-conditional run whose samples were judged, and what was said of them."""

    def judge(folder):
        workdir = folder / "run"
        shutil.copytree(digits, workdir)
        result = script(
            "evaluate",
            f"--workdir={workdir}",
            "--nobaselines",
            "--num_samples=150",
            f"--json={workdir / 'results.json'}",
            f"--per_image={workdir / 'values.npz'}",
        )
        assert result.status == 0, result.errors
        (folder / "said.json").write_text(json.dumps(vars(result)))

    folder = own_copy(tmp_path_factory, "judged", judge)
    said = SimpleNamespace(**json.loads((folder / "said.json").read_text()))
    return folder / "run", json.loads((folder / "run" / "results.json").read_text()), said


@pytest.fixture
def quick_score(monkeypatch):
    """The classifier that learns from samples takes fewer steps: its accuracy is not tested."""
    quick = functools.partial(train_classifier, num_steps=50)
    monkeypatch.setattr("pixelprior.evaluation.sample_classes.train_classifier", quick)


@pytest.mark.slow
@pytest.mark.optimized
def test_what_is_measured(judged):
    workdir, result, said = judged
    samples = result["samples"]
    features = samples["features"]
    assert samples["num_samples"] == 150 and samples["made_by"]["seed"] == 0
    assert features["extractor"] == "classifier" and len(features["fingerprint"]) == 64
    assert len(features["reference_fingerprint"]) == 64
    # As many real ones as samples, since figures of more are not comparable.
    assert features["reference_images"] == 1294 and features["num_compared"] == 150
    assert "samples_compared" not in features
    # A model of six steps is no match for real images, in anything.
    ours, real = (Quality(**features[key]) for key in ("samples", "real"))
    assert ours.frechet_distance > 3 * real.frechet_distance > 0
    assert ours.kernel_distance > 3 * real.kernel_distance
    for name in ("precision", "density", "coverage"):
        assert 0 <= getattr(ours, name) < 0.5 * getattr(real, name)
    assert 1 <= ours.inception_score < real.inception_score <= 10
    classes = samples["classes"]
    assert classes["real_accuracy"] > 0.95
    assert 0 <= classes["sample_accuracy"] < 0.6
    assert 0 <= classes["classification_accuracy_score"] < 0.9
    # Real test images are what they are compared with; noise is nearer to nothing.
    memory = samples["memorisation"]
    assert memory["training_images"] == 1294
    assert memory["pixels"]["nearer"] < 0.5 and memory["features"]["copies"] < 0.2
    statistics = samples["statistics"]
    assert 0 < statistics["histogram_distance"] < 1 and statistics["flags"] == []
    assert "Fréchet" in said.output and "150 samples" in said.output
    assert f"{classes['sample_accuracy']:7.2%} of 150 samples" in said.output
    assert (workdir / "evaluation" / "nearest.png").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.optimized
def test_values_of_each_image(judged):
    workdir, result, _ = judged
    with np.load(workdir / "values.npz", allow_pickle=False) as values:
        assert values.files == ["nats"]
        assert values["nats"].shape == (359,)
        assert values["nats"].mean() == pytest.approx(result["nats"], rel=1e-9)


@pytest.mark.slow
@pytest.mark.optimized
def test_samples_are_drawn_once(judged, quick_score):
    workdir, result, said = judged
    assert "samples_150.npz" in said.errors
    path = workdir / "evaluation" / "samples_150.npz"
    stamp = path.stat().st_mtime_ns
    again = evaluate(workdir, num_samples=150)
    assert path.stat().st_mtime_ns == stamp
    assert again["samples"]["features"] == result["samples"]["features"]
    kept = RunFolder(workdir).kept_evaluation("test_samples")
    about = {key: result[key] for key in ("weights", "checkpoint")} | {"contents": ""}
    assert kept == json.loads(json.dumps({**about, **again["samples"]}))
    assert RunFolder(workdir).kept_evaluation("test")["nats"] == result["nats"]
    # Of other weights they are drawn anew.
    evaluate(workdir, num_samples=150, averaged=False)
    assert path.stat().st_mtime_ns != stamp


@pytest.mark.release
@pytest.mark.slow
@pytest.mark.optimized
def test_samples_that_were_drawn_before(digits, tmp_path, script):
    file = tmp_path / "x.npz"
    flags = ("--num=40", "--temperature=0.5", "--seed=3", "--label=7", f"--out={file}")
    assert script("sample", f"--workdir={digits}", *flags).status == 0
    result = script("evaluate", f"--workdir={digits}", "--nobaselines", f"--samples={file}")
    assert result.status == 0, result.errors
    assert re.search(r"samples: seed 3, .*Temperature.*0\.5.*, class 7 alone", result.output)
    assert "the Fréchet distance is between covariances of 128x128" in result.errors
    # All of them were asked to be sevens.
    given = read_samples(file, load_trained(digits))
    assert given.images.shape == (40, 8, 8, 1) and set(given.labels) == {7}
    # They are not those that a report takes for the run's own.
    assert (tmp_path / "x.nearest.png").is_file()
    assert RunFolder(digits).kept_evaluation("test_samples") is None
    assert not (digits / "evaluation" / "nearest.png").exists()


@pytest.mark.release
@pytest.mark.slow
@pytest.mark.optimized
def test_more_samples_than_real_images(judged, quick_score):
    workdir, result, _ = judged
    features = evaluate(workdir, num_samples=400)["samples"]["features"]
    assert features["num_compared"] == 359
    # Of as many images as they are, real ones are measured as ever.
    assert features["samples_compared"] != features["samples"]
    assert features["real"] != result["samples"]["features"]["real"]


@pytest.mark.release
@pytest.mark.slow
@pytest.mark.optimized
def test_priors_too(prior2, script, tmp_path):
    file = tmp_path / "results.json"
    result = script("evaluate", f"--workdir={prior2}", f"--json={file}", "--num_samples=70")
    assert result.status == 0, result.errors
    samples = json.loads(file.read_text())["samples"]
    assert samples["num_samples"] == 70
    classes = samples["classes"]
    assert classes["real_accuracy"] > 0.8
    # Hardly trained, neither tokenizer nor prior give pictures worth the name.
    for key in ("reconstruction_accuracy", "sample_accuracy", "random_accuracy"):
        assert 0 <= classes[key] < classes["real_accuracy"]
        assert f"{classes[key]:7.2%}" in result.output


# What cannot be judged.


def archive(path, images, **others):
    np.savez(path, images=images, **others)
    return path


NOISE = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)


def spoilt():
    images = (NOISE / 255).astype(np.float32)
    images[3, 2, 2] = np.nan
    return images


@pytest.mark.parametrize(
    ("images", "others", "words"),
    [
        (NOISE[:9], {}, "expected at least 10 images"),
        (
            NOISE[:, :4],
            {},
            r"10 images \[n, 8, 8, 1\].*got shape \[20, 4, 8, 1\]",
        ),
        (spoilt(), {}, "finite floats in"),
        (2 * spoilt()[:2].repeat(10, 0), {}, "finite floats in"),
        (NOISE.astype(np.int32), {}, "expected images of uint8, .* got int32$"),
        (NOISE.astype(str), {}, "expected images of uint8, .* got <U3$"),
        (NOISE.astype(complex), {}, "expected images of uint8, .* got complex128$"),
        (NOISE.astype(bool), {}, "expected images of uint8, .* got bool$"),
        (NOISE.astype(object), {}, "is not an .npz file with an array of images"),
        (NOISE[..., 0], {}, r"10 images \[n, 8, 8, 1\].*got shape \[20, 8, 8\]"),
        (np.uint8(3), {}, r"10 images \[n, 8, 8, 1\].*got shape \[\]"),
        *(
            (NOISE, {"request": np.array(told)}, "`request` in .* must be the JSON .* sample.py")
            for told in (
                *("", "{", "[]", "3", '{"label": "3"}', '{"weights": 1}', '{"data": []}'),
                *('{"strategies": [[]]}', '{"mode": 3}'),
            )
        ),
        (
            NOISE,
            {"request": np.array(json.dumps({"data": "mnist"}))},
            "are of a model of mnist, but this run is of digits",
        ),
    ],
)
def test_samples_that_do_not_fit(digits, tmp_path, images, others, words):
    file = archive(tmp_path / "x.npz", images, **others)
    with pytest.raises(InputError, match=words):
        evaluate(digits, samples=file)


@pytest.mark.parametrize(
    "told", ["{}", '{"seed": 1}', '{"mode": "random_codes", "seed": 1, "label": null}']
)
def test_files_that_tell_something_else_tell_no_classes(digits, tmp_path, told):
    file = archive(tmp_path / "x.npz", NOISE, request=np.array(told))
    given = read_samples(file, load_trained(digits))
    assert given.labels is None
    assert isinstance(settings_in_words(given.made_by), str)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"features": "inception"}, "--features and --inception_weights are for samples"),
        ({"inception_weights": "x.pth"}, "--features and --inception_weights are for samples"),
        (
            {"num_samples": 20, "inception_weights": "x.pth"},
            "--inception_weights is for --features=inception",
        ),
    ],
)
def test_settings_that_would_be_ignored_are_refused(digits, options, words):
    with pytest.raises(InputError, match=words):
        evaluate(digits, **options)


def test_files_that_are_no_samples(digits, tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "array.npy", NOISE)
    np.savez(tmp_path / "other.npz", x=NOISE)
    np.savez(tmp_path / "pickled.npz", images=np.array([{"a": 1}], object))
    for name in ("text.npz", "none.npz", "array.npy", "other.npz", "pickled.npz"):
        with pytest.raises(InputError, match=f"{name} is not an .npz file with an array of images"):
            evaluate(digits, samples=tmp_path / name)


def test_floats_are_taken_for_what_they_look_like(digits, tmp_path):
    file = archive(tmp_path / "x.npz", NOISE / 255)
    given = read_samples(file, load_trained(digits))
    np.testing.assert_array_equal(given.images, NOISE)
    # Nobody says what they were asked to be.
    assert given.labels is None and given.made_by == {}
