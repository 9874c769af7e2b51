"""A run folder: who may use it, and what is said when its files are not what they should be."""

import json

import pytest

from pixelprior.data.dataset import SPLITS
from pixelprior.errors import InputError
from pixelprior.experiment import complete
from pixelprior.experiment.recipes import load_recipe
from pixelprior.training.run_folder import RunFolder

CONFIG = complete(load_recipe("digits"))
MODEL = CONFIG["model"]
DATA = {
    "name": "digits",
    "shape": (2, 2, 1),
    "levels": 17,
    "native_levels": 17,
    "symbols": dict.fromkeys(SPLITS, "17 levels"),
    "class_names": ("a", "b"),
    "splits": {split: {"description": "some", "images": 9} for split in SPLITS},
    "note": "",
}


def more_images(num):
    return DATA["splits"] | {"train": {"description": "some", "images": num}}


def contents(folder):
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def test_a_new_folder_is_made_and_can_be_claimed_again(tmp_path):
    folder = RunFolder(tmp_path / "some" / "run")
    folder.claim(CONFIG, DATA)
    assert folder.config() == json.loads(json.dumps(CONFIG))
    added = {"reading": 1, "contents": ""}
    assert folder.data() == DATA | {"shape": [2, 2, 1], "class_names": ["a", "b"]} | added
    before = contents(tmp_path)
    # As it is written, or as it is read back.
    folder.claim(CONFIG, DATA)
    folder.claim(folder.config(), folder.data())
    assert contents(tmp_path) == before
    assert sorted(p.name for p in folder.path.iterdir()) == ["config.json", "data.json", "samples"]


@pytest.mark.parametrize(
    ("config", "data", "message"),
    [
        (CONFIG | {"seed": 1}, DATA, "another config (seed: 0 there, 1 now)"),
        (
            CONFIG | {"image_size": (0, 8), "model": MODEL | {"num_layers": 8, "extra": 1}},
            DATA,
            "(image_size: [0, 0] there, [0, 8] now; model.extra: 'nothing' there, 1 now; "
            f"model.num_layers: {MODEL['num_layers']} there, 8 now)",
        ),
        (
            {key: value for key, value in CONFIG.items() if key != "patience"},
            DATA,
            f"patience: {CONFIG['patience']} there, 'nothing' now",
        ),
        (CONFIG, DATA | {"splits": more_images(10)}, "splits.train.images: 9 there, 10"),
        (CONFIG, DATA | {"class_names": ("a", "b", "c")}, "class_names: ['a', 'b'] there"),
    ],
)
def test_a_folder_of_another_run_is_left_alone(tmp_path, config, data, message):
    RunFolder(tmp_path / "run").claim(CONFIG, DATA)
    before = contents(tmp_path)
    with pytest.raises(InputError) as error:
        RunFolder(tmp_path / "run").claim(config, data)
    assert message in str(error.value) and "--workdir" in str(error.value)
    assert contents(tmp_path) == before


def test_a_run_killed_before_it_described_its_data_goes_on(tmp_path):
    folder = RunFolder(tmp_path)
    folder.claim(CONFIG, DATA)
    (tmp_path / "data.json").unlink()
    folder.claim(CONFIG, DATA)
    assert folder.data()["splits"] == DATA["splits"]


def test_checkpoints_of_no_known_run(tmp_path):
    (tmp_path / "checkpoints" / "3").mkdir(parents=True)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="holds checkpoints but no config.json"):
        RunFolder(tmp_path).claim(CONFIG, DATA)
    assert contents(tmp_path) == before


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("here")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match=f"{path} cannot be written .*--workdir"):
            RunFolder(path).claim(CONFIG, DATA)
    assert (tmp_path / "file").read_text() == "here"


def test_what_is_no_run_folder(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        for read in (RunFolder(path).config, RunFolder(path).data):
            with pytest.raises(InputError, match=f"{path} is not a run folder: it has no "):
                read()
    (tmp_path / "config.json").write_text('{"seed": ')
    with pytest.raises(InputError, match="config.json cannot be read as JSON"):
        RunFolder(tmp_path).config()


def test_results_are_kept(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.kept_evaluation("test") is None
    folder.keep_evaluation("test", {"nats": 1.5})
    assert folder.kept_evaluation("test") == {"nats": 1.5}
    # What is damaged, or of another version, is as good as nothing.
    path, events = tmp_path / "evaluation" / "test.json", []
    for text in ("{", "[]", "3", '{"nats": 1.5}', '{"format": null}', "[" * 10**5, ""):
        path.write_text(text)
        assert folder.kept_evaluation("test", report=events.append) is None
        assert f"{path} is damaged and not used" in events.pop().text
    path.write_text('{"format": 0, "nats": 1.5}')
    assert folder.kept_evaluation("test", report=events.append) is None and not events
    with pytest.warns(match="nothing is kept there"):
        RunFolder("/dev/null").keep_evaluation("test", {})
