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
    added = {"reading": 1, "contents": "", "attribute_contents": "", "attribute_names": []}
    assert folder.data() == DATA | {"shape": [2, 2, 1], "class_names": ["a", "b"]} | added
    before = contents(tmp_path)
    # As it is written, or as it is read back.
    folder.claim(CONFIG, DATA)
    folder.claim(folder.config(), folder.data())
    assert contents(tmp_path) == before
    assert sorted(p.name for p in folder.path.iterdir()) == ["config.json", "data.json", "samples"]


def begun(path):
    """A run that has saved a state."""
    folder = RunFolder(path)
    folder.claim(CONFIG, DATA)
    folder.resume(CONFIG, 0)
    (folder.checkpoints / "3").mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("config", "data", "message"),
    [
        (CONFIG | {"seed": 1}, DATA, "another run (seed: 0 there, 1 now)"),
        (
            CONFIG | {"image_size": (0, 8), "model": MODEL | {"num_layers": 8, "extra": 1}},
            DATA,
            "(image_size: [0, 0] there, [0, 8] now; model.extra: 'nothing' there, 1 now; "
            f"model.num_layers: {MODEL['num_layers']} there, 8 now)",
        ),
        (CONFIG | {"seed": 1, "flip": True}, DATA, "another run (seed: 0 there, 1 now)"),
        (CONFIG, DATA | {"splits": more_images(10)}, "splits.train.images: 9 there, 10"),
        (CONFIG, DATA | {"class_names": ("a", "b", "c")}, "class_names: ['a', 'b'] there"),
    ],
)
def test_a_folder_of_another_run_is_left_alone(tmp_path, config, data, message):
    begun(tmp_path / "run")
    before = contents(tmp_path)
    with pytest.raises(InputError) as error:
        RunFolder(tmp_path / "run").claim(config, data)
    assert message in str(error.value) and "--workdir" in str(error.value)
    assert contents(tmp_path) == before


def test_changes_to_the_schedule_are_recorded_with_their_step(tmp_path):
    folder = begun(tmp_path / "run")
    changed = CONFIG | {"flip": True, "log_every": 5, "model": CONFIG["model"] | {"remat": True}}
    folder.claim(changed, DATA)
    assert folder.config()["flip"] is False
    assert folder.changes(changed) == {"flip": (False, True)}
    history, changes = folder.resume(changed, 3)
    assert changes == {"flip": (False, True)}
    assert folder.config() == json.loads(json.dumps(changed))
    assert history.entries == folder.history().entries
    assert [(e["step"], e["changes"]) for e in history.entries] == [
        (0, {}),
        (3, {"flip": [False, True]}),
    ]
    # Again, with the same config: nothing has changed since.
    assert folder.resume(changed, 3)[1] == {}
    assert folder.history().entries == history.entries


@pytest.mark.parametrize(
    ("config", "data"),
    [
        (CONFIG | {"seed": 1}, DATA),
        (CONFIG | {"flip": True}, DATA),
        (CONFIG, DATA | {"shape": (3, 3, 1)}),
    ],
)
def test_without_a_checkpoint_a_run_may_become_another(tmp_path, config, data):
    folder = RunFolder(tmp_path)
    folder.claim(CONFIG, DATA)
    folder.resume(CONFIG, 0)
    folder.metrics.write_text('{"step": 1}\n')
    (folder.samples / "step_0000001.png").write_text("a picture")
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "run_id").write_text("first")
    events = []
    for _ in range(2):
        folder.claim(config, data, report=events.append)
        # Only the first time: then it is this run.
        assert len(events) == 1 and str(tmp_path / "set_aside" / "0") in events[0].text
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "config.json",
        "data.json",
        "samples",
        "set_aside",
    ]
    assert list(folder.samples.iterdir()) == []
    aside = tmp_path / "set_aside" / "0"
    assert (aside / "metrics.jsonl").read_text() == '{"step": 1}\n'
    assert (aside / "wandb" / "run_id").read_text() == "first"
    assert (aside / "samples" / "step_0000001.png").read_text() == "a picture"
    assert RunFolder(aside).config()["seed"] == 0


def test_the_history_has_the_start_that_went_on(tmp_path):
    folder = RunFolder(tmp_path)
    folder.claim(CONFIG, DATA)
    folder.resume(CONFIG, 0, {"init_from": "another run"})
    # It was killed before a checkpoint, and is started again with fresh weights.
    folder.claim(CONFIG, DATA)
    (entry,) = folder.resume(CONFIG, 0)[0].entries
    assert "origin" not in entry


@pytest.mark.parametrize("text", ["{", "", "\0\0"])
def test_files_without_a_checkpoint_need_not_be_readable(tmp_path, text):
    folder = RunFolder(tmp_path)
    folder.claim(CONFIG, DATA)
    (tmp_path / "config.json").write_text(text)
    folder.claim(CONFIG, DATA)
    assert folder.config()["seed"] == 0
    assert (tmp_path / "set_aside" / "0" / "config.json").read_text() == text


def test_one_process_at_a_time(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.held():
        with pytest.raises(InputError, match=r"run is in use by process \d+ on .*--workdir"):
            RunFolder(tmp_path / "run").held().__enter__()
    with folder.held():
        pass
    assert list(folder.path.iterdir()) == []


def test_a_run_killed_before_it_described_its_data_goes_on(tmp_path):
    folder = RunFolder(tmp_path)
    folder.claim(CONFIG, DATA)
    (tmp_path / "data.json").unlink()
    folder.claim(CONFIG, DATA)
    assert folder.data()["splits"] == DATA["splits"]


def test_checkpoints_of_no_known_run(tmp_path):
    (tmp_path / "checkpoints" / "3").mkdir(parents=True)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="holds checkpoints but no config.json; restore it"):
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
