"""Train, sample, evaluate: what a user gets to see, and what lies on disk afterwards."""

import json
import math
import os
import shutil

import jax
import numpy as np
import pytest
from flax import nnx
from PIL import Image

import pixelprior
from pixelprior import Context
from pixelprior.cli.evaluate_run import evaluate_run
from pixelprior.errors import InputError
from pixelprior.experiment import open_data
from pixelprior.runs.load import load_trained
from pixelprior.runs.train import train_run
from pixelprior.sampling.strategies import strategies_from
from tests.cli.calls import draw_files
from tests.cli.conftest import copied
from tests.plain_training import PLAIN_TRAINING


def read(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def draw(workdir, out, **settings):
    draw_files(workdir, out, **{"batch_size": 64} | settings)
    if settings.get("individual", True):
        return np.stack([read(path) for path in sorted(out.glob("*.png"))])
    return read(out)


def test_what_training_leaves_behind(digits):
    assert {"config.json", "data.json", "metrics.jsonl", "samples/step_0000006.png"} <= set(
        files(digits)
    )
    assert {p.name for p in (digits / "checkpoints").iterdir()} == {"3", "6"}
    config = json.loads((digits / "config.json").read_text())
    assert config["model"]["features"] == 4 and config["class_conditional"] is True
    data = json.loads((digits / "data.json").read_text())
    assert data["shape"] == [8, 8, 1] and data["class_names"] == list("0123456789")
    # Two images of 8 x 8 pixels, enlarged six times, with lines of two pixels around them.
    assert read(digits / "samples" / "step_0000006.png").shape == (52, 102)


def test_the_samples_of_the_script(digits, tmp_path, script):
    out = tmp_path / "new" / "sheet.png"
    result = script(
        "sample",
        f"--workdir={digits}",
        f"--out={out}",
        "--num=5",
        "--batch_size=2",
        "--seed=3",
        "--label=7",
        "--temperature=0.8",
        "--top_k=5",
        "--top_p=0.9",
    )
    assert result.status == 0, result.errors
    assert "Traceback" not in result.errors and "5 images in" in result.errors
    assert "averaged weights of step" in result.errors
    assert files(tmp_path) == ["new/sheet.png"]
    # 3 columns of 2 rows; the rest of the last row is empty.
    sheet = read(out)
    assert sheet.shape == (2 * 50 + 2, 3 * 50 + 2)
    assert (sheet[52:, 102:] == 128).all()
    # The same pictures as from Python.
    expected = pixelprior.sample(
        pixelprior.load(digits),
        jax.random.key(3),
        5,
        context=Context(label=np.full(5, 7)),
        strategy=strategies_from(temperature=0.8, top_k=5, top_p=0.9),
    )
    for n, image in enumerate(np.asarray(expected)):
        row, column = divmod(n, 3)
        top, left = 2 + 50 * row, 2 + 50 * column
        tile = sheet[top : top + 48, left : left + 48]
        np.testing.assert_array_equal(tile[::6, ::6], np.rint(image[..., 0] / 16 * 255))


def test_individual_images_batches_seeds_and_labels(digits, tmp_path):
    images = draw(digits, tmp_path / "a", num=5)
    assert files(tmp_path / "a") == [".request.json", *(f"{n:06d}.png" for n in range(5))]
    assert images.shape == (5, 8, 8)
    # Of 17 levels, 0 black and 16 white.
    assert set(images.ravel()) <= {round(level / 16 * 255) for level in range(17)}
    # Image n of a seed is the same picture in batches of any size, and when more are drawn.
    np.testing.assert_array_equal(draw(digits, tmp_path / "b", num=5, batch_size=2), images)
    assert (draw(digits, tmp_path / "c", num=5, seed=1) != images).any()
    # By number or by name; the classes of digits are named by their numbers.
    two = draw(digits, tmp_path / "d", num=5, label="2")
    np.testing.assert_array_equal(two[2], images[2])  # image 2 of all classes in turn
    assert (two[:2] != images[:2]).any()
    # With one level left to choose from, all images of a class are one.
    sure = draw(digits, tmp_path / "e", num=5, label="1", strategies=[strategies_from(top_k=1)])
    assert (sure == sure[0]).all() and (sure[0] != images[1]).any()


def test_which_weights_are_sampled_from(digits, tmp_path, capsys):
    pictures = {}
    for averaged in (True, False):
        pictures[averaged] = draw(digits, tmp_path / str(averaged), averaged=averaged, num=16)
        words = "averaged" if averaged else "raw"
        assert f"({words} weights of step 6 (best checkpoint))" in capsys.readouterr().err
    assert (pictures[True] != pictures[False]).any()


def reference(workdir, split):
    """Nats of every image of a split, through nothing but `load` and `log_prob`."""
    model = pixelprior.load(workdir)
    trained = load_trained(workdir)
    dataset, symbols, _ = open_data(trained.config)
    source = dataset.splits[split].source
    pixels, labels = source.read(range(len(source)))
    conditional = trained.config["class_conditional"]
    image = pixels.astype(np.int32)
    # By hand, where there is something to do.
    image = image * symbols.levels // dataset.native_levels
    context = Context(label=labels) if conditional else None
    graph, weights = nnx.split(model)
    log_prob = jax.jit(lambda weights: nnx.merge(graph, weights).log_prob(image, context))
    return -np.asarray(log_prob(weights), np.float64)


def test_evaluation_by_the_script(digits, tmp_path, script):
    split = "test"
    file = tmp_path / "results.json"
    result = script("evaluate", f"--workdir={digits}", f"--split={split}", f"--json={file}")
    assert result.status == 0, result.errors
    assert "Traceback" not in result.errors and str(file) in result.errors
    values = json.loads(file.read_text())
    nats = reference(digits, split)
    assert values["num_images"] == len(nats) == 359
    # float32 scores of some 180 nats, averaged in float64.
    np.testing.assert_allclose(values["nats"], nats.mean(), rtol=1e-5)
    np.testing.assert_allclose(values["nats_error"], nats.std(ddof=1) / math.sqrt(359), rtol=1e-3)
    np.testing.assert_allclose(values["bits_per_dim"], nats.mean() / 64 / math.log(2), rtol=1e-5)
    assert values["split"] == split and values["split_description"]
    assert values["symbols"] == "17 levels" and values["shape"] == [8, 8, 1]
    assert values["weights"] == "averaged weights of step 6 (best checkpoint)"
    assert values["class_conditional"] is True and values["dataset"] == "digits"
    # What all grids being equally likely would give is known.
    uniform = values["baselines"]["uniform"]
    np.testing.assert_allclose(uniform["nats"], 64 * math.log(17), rtol=1e-6)
    assert set(values["baselines"]) == {"uniform", "histogram", "mixture"}
    assert values["baselines"]["mixture"]["nats"] < values["baselines"]["histogram"]["nats"]
    assert values["baselines"]["histogram"]["nats"] < uniform["nats"]
    # The table says the same, and what it is about.
    table = result.output
    for words in (
        "digits 8x8x1, 17 levels",
        f"{split} split ({values['split_description']})",
        "359 images",
        "given each image's class",
        "gated_pixel_cnn, averaged weights of step 6 (best checkpoint)",
        "nats/image",
        "bits/dim",
        "standard error",
        f"{values['nats']:.3f}",
        f"{values['bits_per_dim']:.4f}",
        *(f"{row['nats']:.3f}" for row in values["baselines"].values()),
        *(row["description"] for row in values["baselines"].values()),
    ):
        assert words in table, (words, table)


def test_the_first_images_of_a_split(digits, tmp_path, capsys):
    run = copied(digits, tmp_path)
    # Another test may have evaluated the run that all tests share.
    shutil.rmtree(run / "evaluation", ignore_errors=True)
    settings = {"split": "validation", "batch_size": 64, "baselines": False}
    values = evaluate_run(run, limit=70, **settings)
    assert values["num_images"] == values["limit"] == 70
    nats = reference(digits, "validation")
    np.testing.assert_allclose(values["nats"], nats[:70].mean(), rtol=1e-5)
    table = capsys.readouterr().out
    assert "validation split (the first 70 of 144 of 1,797, fixed permutation), 70 images" in table
    # Reports must not take a part for the whole.
    assert not (run / "evaluation").exists()
    for limit in (144, 1000, 0):
        values = evaluate_run(run, limit=limit, **settings)
        assert values["num_images"] == 144 and "limit" not in values
        assert (run / "evaluation").exists()
    for wrong, message in (
        ({"limit": -1}, "limit must be a number of images, or 0 for all, got -1"),
        ({"limit": 2.5}, "got 2.5"),
        ({"limit": 10, "num_samples": 100}, "leave out limit, or the samples"),
    ):
        with pytest.raises(InputError, match=message):
            evaluate_run(run, **settings | wrong)


def test_the_validation_split_and_other_batches(digits, capsys):
    results = [
        evaluate_run(
            digits,
            split="validation",
            batch_size=batch_size,
            baselines=False,
            checkpoint="latest",
        )
        for batch_size in (64, 100)
    ]
    nats = reference(digits, "validation")
    for result in results:
        assert result["num_images"] == len(nats) and result["split"] == "validation"
        np.testing.assert_allclose(result["nats"], nats.mean(), rtol=1e-5)
        assert "baselines" not in result
    # What the run itself recorded when it saved these weights.
    recorded = [json.loads(line) for line in (digits / "metrics.jsonl").read_text().splitlines()]
    (last,) = [r for r in recorded if r["step"] == 6 and "validation_nats" in r]
    np.testing.assert_allclose(last["validation_nats"], nats.mean(), rtol=1e-5)
    assert "uniform" not in capsys.readouterr().out


def write_images(folder, count, size=(5, 6), seed=0):
    """Folder, PNG files of ``(height, width)`` in two classes."""
    rng = np.random.default_rng(seed)
    for n in range(count):
        path = folder / ("cat", "dog")[n % 2] / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path)
    return folder


SETTINGS = {
    "task": "pixels",
    "seed": 1,
    "data_dir": "",
    "image_size": (0, 0),
    "validation_fraction": 0.2,
    "flip": True,
    "class_conditional": False,
    "label_dropout": 0.0,
    "model": {
        "name": "pixel_cnn",
        "features": 4,
        "num_layers": 1,
        "embedding_features": 4,
        "head_features": 8,
    },
    "batch_size": 8,
    "num_steps": 3,
    "learning_rate": 1e-3,
    "warmup_steps": 1,
    "weight_decay": 0.0,
    "clip_norm": 1.0,
    "ema_decay": 0.9,
    "log_every": 3,
    "checkpoint_every": 3,
    "sample_every": 3,
    "num_samples": 2,
    **PLAIN_TRAINING,
}


@pytest.mark.slow
def test_a_folder_of_colour_images_from_end_to_end(tmp_path, capsys):
    folder = write_images(tmp_path / "images", 40)
    config = SETTINGS | {"dataset": f"folder:{folder}", "levels": 4, "binarisation": "none"}
    result = train_run(config, tmp_path / "run")
    assert result.step == 3
    pictures = draw(tmp_path / "run", tmp_path / "samples", num=2)
    assert pictures.shape == (2, 5, 6, 3)
    assert set(pictures.ravel()) <= {0, 85, 170, 255}
    # It knows its data's classes, but was not told them in training.
    assert load_trained(tmp_path / "run").data["class_names"] == ["cat", "dog"]
    for label in ("dog", "1"):
        with pytest.raises(InputError, match="label 1 was given, .*has no classes"):
            draw(tmp_path / "run", tmp_path / "x", label=label)
    assert not (tmp_path / "x").exists()
    values = evaluate_run(
        tmp_path / "run",
        json_file=tmp_path / "results.json",
        batch_size=8,
        baselines=False,
    )
    np.testing.assert_allclose(values["nats"], result.test.metrics["nats"], rtol=1e-5)
    assert json.loads((tmp_path / "results.json").read_text()) == values
    assert "4 levels (2 bits)" in capsys.readouterr().out


@pytest.mark.slow
def test_mnist_from_end_to_end(tmp_path, capsys):
    if not os.path.isdir(os.path.join(os.environ.get("TFDS_DATA_DIR", ""), "mnist")):
        pytest.skip("TFDS_DATA_DIR is not set, or has no mnist")
    config = SETTINGS | {
        "dataset": "mnist",
        "levels": 2,
        "binarisation": "dynamic",
        "flip": False,
        "validation_fraction": 0.01,
        "batch_size": 200,
    }
    result = train_run(config, tmp_path / "run")
    assert result.step == 3 and result.test is not None
    pictures = draw(tmp_path / "run", tmp_path / "samples", num=2)
    assert pictures.shape == (2, 28, 28) and set(pictures.ravel()) <= {0, 255}
    values = evaluate_run(
        tmp_path / "run",
        split="validation",
        batch_size=200,
        baselines=False,
    )
    # The fixed draw of each validation image: the same number every time.
    (recorded,) = [
        json.loads(line)["validation_nats"]
        for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
        if "validation_nats" in line
    ]
    np.testing.assert_allclose(values["nats"], recorded, rtol=1e-6)
    assert values["num_images"] == 600
    assert values["symbols"] == "dynamically binarised in training, one fixed draw here"
    assert values["symbols"] in capsys.readouterr().out
    # Hardly trained, it is still near what a fair coin for every pixel gives.
    assert 0.3 < values["bits_per_dim"] < 1.2
