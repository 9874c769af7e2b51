"""Places of data: absolute, moved, and no part of the identity of the images."""

import pytest

from pixelprior.data import DataError
from pixelprior.errors import InputError
from pixelprior.experiment import Place, at_place, data_identity
from pixelprior.experiment.schema import without_place


def placed(dataset, old_dir="", **place):
    config = at_place({"dataset": dataset, "data_dir": old_dir, "seed": 3}, Place(**place))
    assert config["seed"] == 3
    return config["dataset"], config["data_dir"]


def test_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for kind in ("folder:", "npz:"):
        assert placed(f"{kind}a/b") == (f"{kind}{tmp_path}/a/b", "")
        assert placed(f"{kind}~/a") == (f"{kind}{tmp_path}/home/a", "")
        assert placed(f"{kind}/a") == (f"{kind}/a", "")
    assert placed("mnist", "data") == ("mnist", f"{tmp_path}/data")
    assert placed("mnist", "~/data") == ("mnist", f"{tmp_path}/home/data")
    assert placed("digits") == ("digits", "")


def test_moved_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for data in ("/new", "folder:/new"):
        assert placed("folder:/old", data=data) == ("folder:/new", "")
    assert placed("npz:/old", data="new.npz") == (f"npz:{tmp_path}/new.npz", "")
    assert placed("mnist", "/old", data_dir="/new") == ("mnist", "/new")
    assert placed("mnist", data_dir="new") == ("mnist", f"{tmp_path}/new")


def test_places_that_a_data_set_does_not_have():
    for name in ("digits", "mnist"):
        with pytest.raises(DataError, match=f"this one is '{name}'; give .* --data_dir"):
            placed(name, data="/new")
    with pytest.raises(InputError, match="this one is 'folder:/a'; give its new place with --data"):
        placed("folder:/a", data_dir="/new")
    with pytest.raises(InputError, match="--data_dir is for .* this one is 'digits'"):
        placed("digits", data_dir="/new")


def test_the_place_of_another_kind_of_data_set():
    with pytest.raises(DataError, match="--data must be the place of a data set folder:..., got"):
        placed("folder:/a", data="npz:/b")


def test_a_prior_has_only_the_place_of_its_tokenizers_data():
    assert at_place({"data_dir": ""}, Place("/new", None)) == {"data_dir": ""}
    assert at_place({"data_dir": ""}, Place(None, "/new")) == {"data_dir": "/new"}


def test_names_of_a_wrong_type_are_left_to_the_checks():
    assert at_place({"dataset": 5, "data_dir": ""}) == {"dataset": 5, "data_dir": ""}


def test_identity_of_data():
    facts = {"name": "folder:/a", "contents": "123"}
    assert data_identity(facts) == data_identity(facts | {"name": "folder:/b"}) == "123"
    # Version 0.1.0 kept no hash of contents, so the place is all there is.
    assert data_identity({"name": "folder:/a", "contents": ""}) == "folder:/a"
    assert data_identity({"name": "folder:/a"}) == "folder:/a"
    # Old and new runs of one data set of TFDS can be compared.
    assert data_identity({"name": "mnist", "contents": "mnist:3.0.1"}) == "mnist"


def test_settings_without_the_place():
    config = {"dataset": "folder:/a", "data_dir": "/b", "skip_unreadable": True, "levels": 2}
    assert without_place(config) == {"dataset": "folder:", "levels": 2}
    assert without_place({"name": "npz:/a", "shape": [1]}) == {"name": "npz:", "shape": [1]}
    assert without_place({"dataset": "mnist"}) == {"dataset": "mnist"}
