"""What cannot be used is refused in one sentence, with exit status 2, and nothing is written."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixelprior.cli.evaluate_run import evaluate_run
from pixelprior.errors import InputError
from pixelprior.runs.load import load_trained
from pixelprior.runs.train import train_run
from pixelprior.sampling.strategies import strategies_from
from tests.cli.calls import assert_one_sentence, draw_files

ROOT = Path(__file__).parents[2]
DIGITS = f"--config={ROOT / 'configs' / 'digits.py'}"


def contents(folder):
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


# Through the scripts: what the shell sees.


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("train", ["--config.batchsize=3"], "no key 'batchsize'; did you mean batch_size"),
        ("train", ["--config.model.feature=3"], "no key 'feature'; did you mean features"),
        ("train", ["--config.batch_size=many"], "batch_size=many"),
        ("train", ["--config.learning_rate=nan"], "learning_rate must be a finite number, got nan"),
        ("train", ["--config.model.dropout_rate=nan"], r"dropout_rate .* in \[0, 1\), got nan"),
        ("train", ["--config.data_dir=x"], "data_dir is for data sets of TensorFlow Datasets"),
        (
            "train",
            ["--config.label_dropout=0.1"],
            "this model has none; set label_dropout to 0, or",
        ),
        ("train", ["--config=missing.py"], "config file .*missing.py"),
        ("train", ["--config.dataset=mnits"], "no data set is called 'mnits'"),
        ("sample", ["--num=0", "--out=x.png"], r"num must be in \[1, 2\*\*31\), got 0"),
        ("sample", ["--temperature=0", "--out=x.png"], "temperature must be .*above 0, got 0"),
        ("evaluate", ["--split=train"], "split"),
    ],
)
def test_the_scripts_end_with_a_sentence(tmp_path, script, name, flags, message):
    if name == "train":
        flags = [DIGITS, *flags]
    result = script(name, "--workdir=run", *flags, cwd=tmp_path)
    assert_one_sentence(result, message)
    assert not any(tmp_path.iterdir())


# Straight into the functions that the scripts call.


@pytest.fixture
def config(digits):
    """The config of the finished run."""
    return dict(load_trained(digits).config)


def refused(config, workdir, message):
    """The error of training, which has written nothing."""
    before = contents(Path(workdir).parent)
    with pytest.raises(InputError, match=message) as error:
        train_run(config, workdir)
    assert contents(Path(workdir).parent) == before
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": 1.0}, "unknown keys: lr"),
        ({"batch_size": "16"}, "config.batch_size must be of type int, got '16'"),
        ({"model": {"name": "pixel_rnn"}}, "must be one of pixel_cnn, gated_pixel_cnn"),
        ({"model": {"name": "pixel_cnn", "width": 3}}, "no setting 'width'.* features"),
        ({"levels": 18}, "at most the 17 levels"),
        ({"image_size": (16, 16)}, "cannot be resized"),
        ({"dataset": "fashion_mnits"}, "did you mean .*fashion_mnist"),
        ({"dataset": "folder:no/such/folder"}, "expected a folder of images"),
    ],
)
def test_training_on_what_cannot_be_trained_on(config, tmp_path, changes, message):
    refused(config | changes, tmp_path / "run", message)


def test_data_that_is_not_prepared(config, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    changes = {"dataset": "mnist", "data_dir": str(empty), "levels": 256}
    message = refused(config | changes, tmp_path / "run", f"mnist is not in {empty}")
    assert "download_and_prepare" in message


def save(path, size):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size, 100 + int(path.stem), np.uint8)).save(path)


def test_folders_of_images_that_cannot_be_used(config, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    config = config | {"dataset": f"folder:{folder}", "class_conditional": False}
    refused(config, tmp_path / "run", "holds no images")
    for n in range(20):
        save(folder / f"{n:02d}.png", (4, 4))
    with_labels = config | {"class_conditional": True}
    refused(with_labels, tmp_path / "run", "class_conditional needs labels")
    save(folder / "20.png", (5, 4))
    refused(config, tmp_path / "run", r"20.png is 5 x 4 .*set image_size")
    (folder / "20.png").write_bytes(b"not a picture")
    refused(config, tmp_path / "run", "20.png cannot be read as an image")


def test_an_image_whose_pixels_are_broken_is_named(config, tmp_path):
    folder = tmp_path / "images"
    rng = np.random.default_rng(0)
    for n in range(20):
        path = folder / f"{n:02d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(path)
        # A good header, and half of what should follow.
        path.write_bytes(path.read_bytes()[:-100])
    changes = {"dataset": f"folder:{folder}", "class_conditional": False, "batch_size": 4}
    with pytest.raises(InputError, match=r"\d\d.png cannot be read as an image"):
        train_run(config | changes, tmp_path / "run")


def test_a_work_folder_of_another_run(config, digits):
    seed, features = config["seed"], config["model"]["features"]
    changes = {"seed": 5, "learning_rate": 0.5, "model": config["model"] | {"features": 3}}
    message = refused(config | changes, digits, "holds another run")
    # A learning rate may change.
    assert f"(model.features: {features} there, 3 now; seed: {seed} there, 5 now)" in message


def test_a_work_folder_that_cannot_be_made(config, tmp_path):
    (tmp_path / "file").write_text("here")
    refused(config, tmp_path / "file" / "run", "cannot be written .*--workdir")


def draw(workdir, out, **settings):
    draw_files(workdir, out, **{"num": 2, "batch_size": 2, "individual": False} | settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num": 0}, r"num must be in \[1, 2\*\*31\), got 0"),
        ({"num": 2**31}, r"num must be in \[1, 2\*\*31\), got 2147483648"),
        ({"batch_size": 0}, r"batch_size must be in \[1, 2\*\*31\), got 0"),
        ({"batch_size": 2**31}, r"batch_size must be in \[1, 2\*\*31\), got 2147483648"),
        ({"seed": -1}, "seed must be in"),
        ({"seed": 2**64}, "seed must be in"),
        ({"label": "10"}, "there is no class '10'; the classes are 0, 1, 2"),
        ({"label": "-1"}, "there is no class '-1'; the classes are 0, 1, 2"),
        ({"label": "seven"}, "there is no class 'seven'; the classes are 0, 1, 2"),
        ({"checkpoint": "newest"}, "'best' or 'latest'"),
        (
            {"method": "magic"},
            "method must be one of auto, cached, fixed_point, whole_grids, naive",
        ),
    ],
)
def test_samples_that_cannot_be_drawn(digits, tmp_path, settings, message):
    before = contents(digits)
    with pytest.raises(InputError, match=message):
        draw(digits, tmp_path / "x.png", **settings)
    assert contents(digits) == before
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"top_k": 0},
    ],
)
def test_strategies_out_of_range(settings):
    ((name, value),) = settings.items()
    with pytest.raises(InputError, match=f"{name} must be .* got {value}"):
        strategies_from(**settings)


@pytest.mark.parametrize("name", ["x", "x.jpg", "x.png.txt"])
def test_out_must_be_a_png(digits, tmp_path, name):
    with pytest.raises(InputError, match="out must be a .png or an .npz file"):
        draw(digits, tmp_path / name)
    assert not any(tmp_path.iterdir())


def test_out_must_be_writable_before_anything_is_drawn(digits, tmp_path):
    (tmp_path / "file").write_text("here")
    (tmp_path / "folder.png").mkdir()
    for out, individual, message in (
        (tmp_path / "file" / "x.png", False, "cannot be written"),
        (tmp_path / "file", True, "cannot be written"),
        (tmp_path / "folder.png", False, "is a folder"),
    ):
        # 10**9 images: it would not come back if it drew first.
        with pytest.raises(InputError, match=message):
            draw(digits, out, individual=individual, num=10**9)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder.png"]


def test_folders_that_are_no_runs(digits, tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match="is not a run folder: it has no config.json"):
            draw(folder, tmp_path / "x.png")
    # A run that was killed before its first checkpoint.
    for name in ("config.json", "data.json"):
        (tmp_path / name).write_text((digits / name).read_text())
    for make in (lambda: None, (tmp_path / "checkpoints").mkdir):
        make()
        with pytest.raises(InputError, match="has no checkpoint yet"):
            draw(tmp_path, tmp_path / "x.png")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="config.json cannot be read as JSON"):
        draw(tmp_path, tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_results_that_cannot_be_written(digits, tmp_path):
    (tmp_path / "folder").mkdir()
    for file, message in (
        (tmp_path / "no" / "x.json", "make its folder"),
        (tmp_path / "folder", "is a folder"),
    ):
        with pytest.raises(InputError, match=message):
            evaluate_run(
                digits,
                json_file=file,
                batch_size=64,
                baselines=False,
            )
    assert [p.name for p in tmp_path.rglob("*")] == ["folder"]
