"""Where a run is read from: folders, files, bundled models and the Hub."""

import shutil
import sys
from types import SimpleNamespace

import pytest
from PIL import Image

import pixelprior as pp
from pixelprior.errors import InputError
from pixelprior.runs.bundled import FOLDER, bundled_models, picture_of
from pixelprior.runs.one_file.export import export_run
from pixelprior.runs.one_file.figures import COST
from pixelprior.runs.one_file.read import read_content
from pixelprior.runs.source import find_file
from tests.runs.one_file.untrained import assert_equal_weights, untrained

LARGEST, LARGEST_IN_ALL = 1_500_000, 5_000_000


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A run, and its file: not to be changed."""
    run, path = untrained("pixels"), tmp_path_factory.mktemp("exported") / "a.safetensors"
    export_run(run, path)
    return run, path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Bundled models.


def test_bundled_models_are_small_and_have_cards():
    models = bundled_models()
    assert "digits" in models
    sizes = [path.stat().st_size for path in models.values()]
    assert max(sizes) <= LARGEST and sum(sizes) <= LARGEST_IN_ALL
    assert {path.suffix for path in FOLDER.iterdir()} == {".safetensors", ".md", ".png"}
    for name, path in models.items():
        with Image.open(picture_of(path)) as picture:
            assert max(picture.size) >= 400 and picture_of(path).stat().st_size < 50_000
        card = path.with_suffix(".md").read_text()
        assert f'pp.load_trained("{name}")' in card
        assert "pixelprior train --config=" in card and " test images" in card


@pytest.mark.parametrize("name", bundled_models())
def test_a_bundled_model_is_loaded_by_its_name(name, here):
    run = pp.load_trained(name)
    assert run.provenance.startswith(f"bundled model {name} (averaged weights of step ")
    assert (run.source, run.folder) == (name, None)
    # The same file by its path.
    assert pp.load_trained(FOLDER / f"{name}.safetensors").provenance == run.provenance
    figures = read_figures(name)
    key = COST[run.task][0]
    before, after = (figures[kind][key] for kind in sorted(figures, key="float32".__ne__))
    # Bits per dimension; of a prior bits per code, each for many pixels; or a share of the error.
    most = {"pixels": 0.01, "prior": 0.05, "tokenizer": 0.01 * before}[run.task]
    assert abs(after - before) <= most


def read_figures(name):
    return read_content(bundled_models()[name], name).about["figures"]["results"]


def test_an_existing_folder_wins_over_a_bundled_model(here, exported):
    (here / "digits").mkdir()
    with pytest.raises(InputError, match="the folder digits is no run, and hides the bundled"):
        pp.load("digits")
    (here / "digits" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="digits/config.json names the task None"):
        pp.load("digits")
    shutil.rmtree(here / "digits")
    shutil.copy(exported[1], here / "digits")
    assert "bundled" not in pp.load_trained("digits").provenance


def test_a_name_is_no_path(here):
    # Only the bare name.
    for name in ("./digits", "digits/", str(here / "digits")):
        with pytest.raises(InputError, match="is not a run folder: it has no config.json"):
            pp.load_trained(name)


# Files and folders of files.


def test_a_folder_with_a_file_is_that_file(here, exported):
    run, path = exported
    (here / "downloaded").mkdir()
    shutil.copy(path, here / "downloaded" / "model.safetensors")
    loaded = pp.load_trained("downloaded")
    assert_equal_weights(run, loaded)
    assert loaded.source == "downloaded/model.safetensors"


def test_the_home_folder_is_found(here, exported, monkeypatch):
    monkeypatch.setenv("HOME", str(exported[1].parent))
    assert find_file("~/a.safetensors").path == exported[1]


@pytest.mark.parametrize("settings", [{"checkpoint": "latest"}, {"averaged": False}])
def test_a_file_has_no_other_weights(settings, exported):
    with pytest.raises(InputError, match="has only the averaged weights of the best checkpoint"):
        pp.load_trained(exported[1], **settings)


@pytest.mark.parametrize("name", ["nowhere", "", 3, None])
def test_other_names_are_refused_as_before(name, here):
    message = "is not a run folder: it has no config.json" if name == "nowhere" else "must be a"
    with pytest.raises(InputError, match=message):
        pp.load_trained(name)


def test_a_link_to_itself_is_no_file(here):
    (here / "locked.safetensors").symlink_to(here / "locked.safetensors")
    with pytest.raises(InputError, match="there is no file locked.safetensors"):
        pp.load("locked.safetensors")


# The Hub, by a stand-in of the interface of huggingface_hub.


class Hub:
    """A Hub of one repository, in a folder."""

    def __init__(self, folder):
        self.folder, self.asked = folder, []

    def hf_hub_download(self, repo_id, filename, **settings):
        assert not settings
        self.asked.append((repo_id, filename))
        if not (self.folder / repo_id / filename).is_file():
            raise OSError(f"404 Client Error.\n\nEntry Not Found for {filename}")
        return str(self.folder / repo_id / filename)


@pytest.fixture
def hub(here, exported, monkeypatch):
    repository = here / "hub" / "ada" / "faces.v2"
    (repository / "small").mkdir(parents=True)
    for name in ("model.safetensors", "small/int8.safetensors"):
        shutil.copy(exported[1], repository / name)
    hub = Hub(here / "hub")
    module = SimpleNamespace(hf_hub_download=hub.hf_hub_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return hub


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("hf://ada/faces.v2", "model.safetensors"),
        ("hf://ada/faces.v2/small/int8.safetensors", "small/int8.safetensors"),
    ],
)
def test_a_file_of_the_hub(address, file, hub, exported):
    run = pp.load_trained(address)
    assert hub.asked == [("ada/faces.v2", file)]
    assert_equal_weights(run, exported[0])
    assert run.source == address and run.provenance.endswith(f", from {address}")


@pytest.mark.parametrize("address", ["hf://ada/other", "hf://ada/faces.v2/no.safetensors"])
def test_a_file_that_the_hub_does_not_have(address, hub):
    message = rf"{address} cannot be downloaded \(404 Client Error\.\); check the address"
    with pytest.raises(InputError, match=message) as error:
        pp.load(address)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("address", ["hf://", "hf://ada", "hf://ada/", "hf:///x/y", "hf://a/b/c?d"])
def test_an_address_that_is_none(address, hub):
    with pytest.raises(InputError, match="expected an address like hf://user/repo"):
        pp.load(address)
    assert not hub.asked


def test_without_the_package_of_the_hub(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"install it with `pip install pixelprior\[hub\]`"):
        pp.load("hf://ada/faces")


def test_the_interface_of_the_hub_is_as_the_stand_in():
    """The real function has the two arguments, by these names."""
    import inspect

    hub = pytest.importorskip("huggingface_hub")
    parameters = inspect.signature(hub.hf_hub_download).parameters
    assert {"repo_id", "filename"} <= set(parameters)
