"""Data of runs on folders: files that come, go, change and move, and images of the user."""

import json
import os
import shutil

import numpy as np
import pytest

import pixelprior as pp
from pixelprior.cli.tables.evaluation import evaluation_table
from pixelprior.data import open_dataset
from pixelprior.data.image_files import inspect
from pixelprior.errors import InputError
from pixelprior.evaluation import classifier_features
from pixelprior.experiment import Place, complete, open_data, with_settings
from pixelprior.experiment.recipes import load_recipe
from pixelprior.progress import Caution, Message
from pixelprior.runs.compared import gather, gather_kept
from pixelprior.runs.evaluate.evaluation import evaluate
from pixelprior.runs.images import OwnImages, TestImages
from pixelprior.runs.load import load_records, load_trained
from pixelprior.runs.one_file.export import export_run
from pixelprior.runs.tokenizer import make_codes, open_tokenizer_run
from pixelprior.runs.train import train_run
from pixelprior.system.devices import data_mesh
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.tasks.images import Images
from tests.data.folders import names, noise, save, small_folder, split_of
from tests.shared_runs import own_copy

FILES = [
    name for folder in ("ant/", "bee/") for name in names(folder, train=6, validation=2, test=2)
]
QUICK = {
    "num_steps": 2,
    "batch_size": 4,
    "checkpoint_every": 1,
    "sample_every": 2,
    "num_samples": 4,
    "warmup_steps": 0,
}
TINY = {"features": 4, "num_layers": 1, "embedding_features": 4, "head_features": 8}
NETWORKS = {
    "folder": {"class_conditional": True, "model": TINY},
    "folder:vqvae": {
        "tokenizer": {
            "features": 4,
            "residual_features": 4,
            "num_residual_blocks": 1,
            "strides": (2,),
        },
        "quantizer": {"features": 4, "codebook_size": 8},
    },
}


def config_of(recipe, images):
    settings = QUICK | NETWORKS[recipe] | {"image_size": (4, 4), "levels": 8}
    return with_settings(complete(load_recipe(recipe)), settings | {"dataset": f"folder:{images}"})


def make(folder, recipe="folder"):
    small_folder(folder / "images", 4, 4, names=FILES)
    train_run(config_of(recipe, folder / "images"), folder / "run")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return own_copy(tmp_path_factory, "of_a_folder", make)


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of images and run, to change. The run's config names the images of the copy."""
    copy = shutil.copytree(trained, tmp_path / "copy")
    config = json.loads((copy / "run" / "config.json").read_text())
    config["dataset"] = f"folder:{copy / 'images'}"
    (copy / "run" / "config.json").write_text(json.dumps(config))
    return copy


def of_split(split):
    return [name for name in FILES if split_of(name) == split]


def texts(events, kind=Message):
    return [event.text for event in events if isinstance(event, kind)]


def nats(folder, **place):
    return evaluate(load_trained(folder / "run", **place), baselines=False).result["nats"]


def test_the_run_keeps_the_list_of_its_files(folder):
    data = json.loads((folder / "run" / "data.json").read_text())
    kept = json.loads((folder / "run" / "data_manifest.json").read_text())
    assert data["reading"] == 2 and len(data["contents"]) == 32
    assert kept["shape"] == [4, 4, 1]
    assert {split: sorted(files) for split, files in kept["splits"].items()} == {
        split: sorted(of_split(split)) for split in ("train", "validation", "test")
    }
    assert load_trained(folder / "run").manifest.fingerprint == data["contents"]


def test_new_files_change_no_result(folder):
    before = nats(folder)
    for name in names("cat/new", train=3, validation=1, test=3):
        save(folder / "images" / name, noise(9, 7, 9, 3))
    events = []
    run = load_trained(folder / "run")
    after = evaluate(run, baselines=False, report=events.append).result
    assert after["nats"] == before and after["num_images"] == 4
    assert texts(events) == [f"{folder / 'images'} has 7 new files, which only new runs use"]


def test_remarks_about_the_data_are_made_once_for_a_run(folder):
    save(folder / "images" / "ant" / "new.png", noise(9, 4, 4))
    run, events = load_trained(folder / "run"), []
    for _ in range(2):
        gather("a", run, "test", batch_size=4, whole=True, report=events.append)
    assert len(texts(events)) == 1


def test_missing_and_changed_files(folder):
    before = nats(folder)
    (folder / "images" / of_split("train")[0]).unlink()
    events = []
    run = load_trained(folder / "run")
    result = evaluate(run, report=events.append).result  # with baselines of the other files
    assert (
        result["nats"] == before
        and "of 11 images" in result["baselines"]["histogram"]["description"]
    )
    [caution] = texts(events, Caution)
    assert (
        f"the train images are no longer those of the run: 1 missing ({of_split('train')[0]})"
        in (caution)
    )
    changed = of_split("test")[1]
    save(folder / "images" / changed, noise(77, 4, 4))
    for read in (
        lambda: evaluate(run, baselines=False),
        lambda: TestImages(run, 0),
        lambda: run.read("test"),
        lambda: gather("a", run, "test", batch_size=4, whole=True),
    ):
        with pytest.raises(
            InputError, match=rf"1 changed \({changed}\) in the test split; restore"
        ):
            read()
    evaluate(run, split="validation", baselines=False, report=events.append)


def test_kept_results_are_of_these_images(folder):
    run = load_trained(folder / "run")
    first = gather("a", run, "test", batch_size=4, whole=True).measured
    kept = run.folder.kept_evaluation("test")
    assert kept["contents"] == run.data["contents"]
    run.folder.keep_evaluation("test", kept | {"nats": 1.0})
    assert gather("a", run, "test", batch_size=4, whole=True).measured["nats"] == 1.0
    run.folder.keep_evaluation("test", kept | {"nats": 1.0, "contents": "other images"})
    assert gather("a", run, "test", batch_size=4, whole=True).measured["nats"] == first["nats"]
    # The records of the run are enough to read them.
    light = load_records(folder / "run")
    assert gather_kept("a", light, "test").measured["nats"] == first["nats"]
    assert gather_kept("a", light, "validation") is None
    changed = folder / "images" / of_split("test")[0]
    content = changed.read_bytes()
    save(changed, noise(78, 4, 4))
    with pytest.raises(InputError, match="1 changed"):
        gather_kept("a", load_records(folder / "run"), "test")
    changed.write_bytes(content)
    # Without the images, the kept results are all there is.
    shutil.rmtree(folder / "images")
    events = []
    again = gather("a", run, "test", batch_size=4, whole=True, report=events.append)
    assert again.measured["nats"] == first["nats"]
    assert "is not there; earlier results of this run are used" in texts(events)[0]


def test_images_that_have_moved(folder):
    before = nats(folder)
    moved = folder / "elsewhere"
    os.rename(folder / "images", moved)
    with pytest.raises(InputError, match="--data="):
        nats(folder)
    assert nats(folder, data=moved) == before
    assert nats(folder, data=f"folder:{moved}") == before
    with pytest.raises(InputError, match="--data_dir is for data sets of TensorFlow Datasets"):
        nats(folder, data_dir=moved)
    other = folder / "other"
    small_folder(other, 4, 4)
    with pytest.raises(InputError, match="has none of the images of the run: 12 missing"):
        nats(folder, data=other)


def test_a_resumed_run_accepts_the_same_images_anywhere(folder):
    shutil.rmtree(folder / "run" / "checkpoints" / "2")
    (folder / "run" / "checkpoints" / "best.json").unlink(missing_ok=True)
    os.rename(folder / "images", folder / "elsewhere")
    with pytest.raises(InputError, match="--data="):
        train_run(config_of("folder", folder / "images"), folder / "run")
    events = []
    place = Place(data=folder / "elsewhere")
    train_run(config_of("folder", folder / "images"), folder / "run", place=place)
    # Later commands find the images there.
    assert RunFolder(folder / "run").config()["dataset"] == f"folder:{folder / 'elsewhere'}"
    train_run(config_of("folder", folder / "elsewhere"), folder / "run", report=events.append)
    (folder / "elsewhere" / of_split("train")[0]).unlink()
    with pytest.raises(InputError, match=rf"1 missing \({of_split('train')[0]}\) in the train"):
        train_run(config_of("folder", folder / "elsewhere"), folder / "run")


def test_paths_are_usable_from_any_working_folder(tmp_path, monkeypatch):
    small_folder(tmp_path / "images", 4, 4, names=FILES)
    monkeypatch.chdir(tmp_path)
    train_run(config_of("folder", "images"), "run")
    assert RunFolder("run").config()["dataset"] == f"folder:{tmp_path / 'images'}"
    monkeypatch.chdir("/")
    assert evaluate(load_trained(tmp_path / "run"), baselines=False).result["num_images"] == 4


def test_files_that_identify_the_data_are_needed(folder):
    manifest = folder / "run" / "data_manifest.json"
    content = manifest.read_text()
    manifest.unlink()
    with pytest.raises(InputError, match="has no data_manifest.json, the list of the images"):
        nats(folder)
    manifest.write_text(content)
    (folder / "run" / "data.json").unlink()
    with pytest.raises(InputError, match="holds checkpoints but no data.json; restore it"):
        train_run(config_of("folder", folder / "images"), folder / "run")


@pytest.mark.slow
def test_codes_are_of_these_images(tmp_path_factory, tmp_path):
    def both(folder):
        make(folder, "folder:vqvae")

    folder = own_copy(tmp_path_factory, "tokenizer_of_a_folder", both)
    config = json.loads((folder / "run" / "config.json").read_text())
    config["dataset"] = f"folder:{folder / 'images'}"
    (folder / "run" / "config.json").write_text(json.dumps(config))
    run = open_tokenizer_run(folder / "run")
    codes = make_codes(run)
    assert codes.facts.fingerprint == run.fingerprint
    name = of_split("validation")[0]
    save(folder / "images" / name, noise(77, 4, 4))
    with pytest.raises(InputError, match=rf"1 changed \({name}\) in the validation split"):
        make_codes(run)
    # Codes that were made before are enough where the images are not.
    shutil.rmtree(folder / "images")
    assert make_codes(run).facts == codes.facts
    # A tokenizer of other images has other codes.
    small_folder(folder / "images", 5, 5, names=FILES)
    train_run(config_of("folder:vqvae", folder / "images"), tmp_path / "run")
    assert open_tokenizer_run(tmp_path / "run").fingerprint != run.fingerprint


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((4, 4), np.uint8), "all pixels of all images"),
        (
            np.full((4, 4), 20, np.uint8),
            r"all of the symbols of the first 12 training images are 0",
        ),
    ],
)
def test_images_of_one_symbol_are_refused(tmp_path, pixels, message):
    for name in FILES:
        save(tmp_path / "images" / name, pixels)
    with pytest.raises(InputError, match=message):
        train_run(config_of("folder", tmp_path / "images"), tmp_path / "run", report=[].append)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_images_of_nearly_one_symbol_are_warned_of(tmp_path):
    pixels = np.zeros((32, 32), np.uint8)
    pixels[0, :4] = 255
    for name in FILES:
        save(tmp_path / "images" / name, pixels)
    events = []
    config = config_of("folder", tmp_path / "images") | {"image_size": (0, 0)}
    train_run(config, tmp_path / "run", report=events.append)
    assert any("99.6% of the symbols of the first 12 training" in t for t in texts(events, Caution))


@pytest.fixture
def old(folder):
    """The same folder, with a run as version 0.1.0 would have left it."""
    config = json.loads((folder / "run" / "config.json").read_text())
    dataset, symbols, _ = open_data(config, reading=1)
    images = Images(complete(config), data_mesh(), (dataset, symbols))
    facts = json.loads(json.dumps(images.describe()))
    for key in ("reading", "contents"):
        del facts[key]
    for key in ("class_depth", "skip_unreadable"):
        del config[key]
    (folder / "run" / "config.json").write_text(json.dumps(config))
    (folder / "run" / "data.json").write_text(json.dumps(facts))
    (folder / "run" / "data_manifest.json").unlink()
    return folder, dataset


def test_runs_of_0_1_0_keep_their_permutation_and_rules(old):
    folder, dataset = old
    run, events = load_trained(folder / "run"), []
    result = evaluate(run, baselines=False, report=events.append).result
    assert result["reading"] == 1 and result["num_images"] == 2
    assert result["split_description"] == "2 of 20, fixed permutation"
    assert any("number is checked, and their contents cannot be" in text for text in texts(events))
    assert "rules of version 0.1.0" in "".join(evaluation_table(result))
    found, _ = TestImages(run, 0)._source.read(range(2))
    np.testing.assert_array_equal(found, dataset.split("test").source.read(range(2))[0])
    # It resumes, and stays a run of these rules.
    train_run(config_of("folder", folder / "images"), folder / "run", report=events.append)
    assert "reading" not in json.loads((folder / "run" / "data.json").read_text())


def test_runs_of_0_1_0_check_the_number_and_the_classes(old):
    folder, _ = old
    save(folder / "images" / "ant" / "new.png", noise(9, 4, 4))
    with pytest.raises(InputError, match="number of images in each split was .*, and is now"):
        nats(folder)
    os.rename(folder / "images" / "ant" / "new.png", folder / "images" / "ant" / "0.png")
    os.rename(folder / "images" / "ant", folder / "images" / "emu")
    with pytest.raises(InputError, match=r"list of classes was \['ant', 'bee'\], and is now"):
        nats(folder)


def test_a_file_of_arrays(tmp_path):
    images = np.stack([noise(n, 4, 4, 1) for n in range(40)])
    np.savez(tmp_path / "old.npz", images=images, labels=np.arange(40) % 2)
    config = config_of("folder", "") | {"dataset": f"npz:{tmp_path / 'old.npz'}"}
    train_run(config, tmp_path / "run")
    os.rename(tmp_path / "old.npz", tmp_path / "new.npz")
    run = load_trained(tmp_path / "run", data=tmp_path / "new.npz")
    assert evaluate(run, baselines=False).result["num_images"] == 8
    np.savez(tmp_path / "new.npz", images=255 - images, labels=np.arange(40) % 2)
    with pytest.raises(InputError, match="the content was '.*', and is now '"):
        evaluate(run, baselines=False)


def test_the_classifier_of_a_data_set_belongs_to_its_contents(tmp_path, monkeypatch):
    monkeypatch.setattr(classifier_features, "RECOGNISED", 1)
    small_folder(tmp_path / "a", 4, 4, names=FILES)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    keys = []
    for number in range(3):
        if number == 2:
            save(tmp_path / "b" / of_split("test")[0], noise(77, 4, 4))
        folder = tmp_path / ("b" if number else "a")
        keys.append(classifier_features._recognise(open_dataset(f"folder:{folder}")))
    assert keys[0] == keys[1] != keys[2]


def test_a_file_that_was_skipped_may_go(tmp_path):
    small_folder(tmp_path / "images", 4, 4, names=FILES)
    (tmp_path / "images" / "ant" / "bad.png").write_bytes(b"no image")
    config = config_of("folder", tmp_path / "images")
    with pytest.raises(InputError, match="ant/bad.png cannot be read"):
        train_run(config, tmp_path / "run")
    train_run(config | {"skip_unreadable": True}, tmp_path / "run", report=[].append)
    (tmp_path / "images" / "ant" / "bad.png").unlink()
    train_run(config, tmp_path / "run")


# Images of the user.


def test_own_images_are_in_the_order_of_their_files(folder, tmp_path):
    run = load_trained(folder / "run")
    images = [noise(n, 4, 4) for n in range(3)]
    for name, image in zip(("b.png", "a.png", "c.png"), images, strict=True):
        save(tmp_path / "own" / name, image)
    own = OwnImages(run, f"folder:{tmp_path / 'own'}")
    assert list(own.names) == ["a.png", "b.png", "c.png"] and len(own) == 3
    expected = np.stack([images[1], images[0], images[2], images[1]])[..., None] // 32
    np.testing.assert_array_equal(own.symbols(np.arange(4)), expected)
    one = OwnImages(run, str(tmp_path / "own" / "c.png"))
    assert list(one.names) == ["c.png"]
    np.testing.assert_array_equal(one.symbols(np.arange(2)), expected[[2, 2]])


def test_colour_becomes_what_the_model_takes_and_is_said_once(folder, tmp_path):
    run, events = load_trained(folder / "run"), []
    colour = noise(0, 4, 4, 3)
    save(tmp_path / "own" / "a.png", colour)
    save(tmp_path / "own" / "b.png", noise(1, 4, 4))
    own = OwnImages(run, f"folder:{tmp_path / 'own'}", report=events.append)
    assert texts(events) == [
        f"{tmp_path / 'own'}: 2 images, 1 converted from colour to grey, as the model takes them"
    ]
    luma = colour @ np.array([299, 587, 114]) / 1000
    np.testing.assert_allclose(own.symbols(np.array([0]))[0, ..., 0], luma // 32, atol=1)


def test_labels_of_own_images(folder, tmp_path):
    run, where = load_trained(folder / "run"), f"folder:{tmp_path / 'own'}"
    save(tmp_path / "own" / "0.png", noise(0, 4, 4))

    def labels(run=run, **settings):
        return OwnImages(run, where, labelled=True, **settings).labels(np.arange(2)).tolist()

    with pytest.raises(InputError, match=r"give --label=..., or put .* their classes \(ant, bee\)"):
        labels()
    assert labels(label=1) == [1, 1]
    # A model that was trained with hidden labels takes images without a class.
    events = []
    without = load_trained(folder / "run")
    without.config["label_dropout"] = 0.1
    assert labels(without, report=events.append) == [2, 2]
    assert "the images have no class; the model treats them without one" in texts(events)[0]
    (tmp_path / "own" / "0.png").unlink()
    for name in ("ant", "bee"):
        save(tmp_path / "own" / name / "0.png", noise(1, 4, 4))
    assert labels() == [0, 1]
    save(tmp_path / "own" / "cow" / "0.png", noise(1, 4, 4))
    with pytest.raises(InputError, match="does not know cow; its classes are ant, bee"):
        labels()
    assert labels(label=0) == [0, 0]


def test_own_images_that_are_refused(folder, tmp_path):
    run = load_trained(folder / "run")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.txt").touch()
    (tmp_path / "bad.png").write_bytes(b"no image")
    for place, message in (
        (tmp_path / "nowhere", "must be an image file or folder:/path .* does not exist"),
        ("", "must be an image file"),
        (tmp_path / "own", r"holds no images that can be read; .*passed over 1 file \(1 .txt\)"),
        (tmp_path / "bad.png", "/bad.png cannot be read as an image"),
    ):
        with pytest.raises(InputError, match=message):
            OwnImages(run, str(place))


def test_evaluate_from_python_finds_moved_images(folder):
    os.rename(folder / "images", folder / "elsewhere")
    run = pp.load_trained(folder / "run", data=folder / "elsewhere")
    assert pp.evaluate(run, baselines=False)["num_images"] == 4


def test_a_run_in_memory_keeps_its_data_set(tmp_path):
    small_folder(tmp_path, 4, 4, names=FILES)
    settings = QUICK | {"model": TINY, "image_size": 4, "levels": 8, "progress": False}
    run = pp.fit("folder", dataset=f"folder:{tmp_path}", **settings)
    assert run.folder is None and run.manifest.fingerprint == run.data["contents"]
    assert len(run.read("train")[0]) == 12
    assert pp.evaluate(run, baselines=False)["num_images"] == 4


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(inspect, "_SAME_MOMENT", 0)


# Runs in one file, which has no list of images.


def exported(folder, name="a.safetensors"):
    export_run(load_trained(folder / "run"), folder / name)
    return folder / name


def test_a_file_measures_the_same_images(folder, tmp_path):
    before = nats(folder)
    file = exported(folder)
    images = tmp_path / "moved"
    (folder / "images").rename(images)
    with pytest.raises(InputError, match="the images of the run are not in .*; give their folder"):
        evaluate(load_trained(file), baselines=False)
    run = load_trained(file, data=images)
    result = evaluate(run, baselines=False).result
    assert result["nats"] == before and result["workdir"] == str(file)
    # No name of an image is in the file.
    assert b".png" not in file.read_bytes()


@pytest.mark.parametrize("change", ["new", "missing", "changed"])
def test_a_file_refuses_other_images(change, folder):
    file = exported(folder)
    first = folder / "images" / of_split("train")[0]
    if change == "missing":
        first.unlink()
    else:
        save(first.with_name("new.png") if change == "new" else first, noise(777, 4, 4))
    with pytest.raises(InputError, match="is not the data set of the run: the (content|number)"):
        evaluate(load_trained(file, data=folder / "images"), baselines=False)


def test_a_file_keeps_the_range_of_the_images(folder):
    manifest = json.loads((folder / "run" / "data_manifest.json").read_text())
    manifest["values"] = {"brightest": 1, "bits": 0, "cut": False}
    (folder / "run" / "data_manifest.json").write_text(json.dumps(manifest))
    run = load_trained(folder / "run")
    assert run.values.brightest == 1
    assert load_trained(exported(folder)).values == run.values
