"""Writing a run to one file and reading it again, for every task."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from safetensors import safe_open

import pixelprior as pp
from pixelprior.data.dataset import READING
from pixelprior.errors import InputError
from pixelprior.progress import Event, Message
from pixelprior.runs.fingerprint import fingerprint_of
from pixelprior.runs.one_file.export import export_run
from pixelprior.runs.one_file.figures import measure_figures
from pixelprior.runs.one_file.weights import named
from tests.runs.one_file.untrained import assert_equal_weights, untrained

TASKS = ["pixels", "tokenizer", "prior"]


def metadata(path):
    with safe_open(path, framework="numpy") as file:
        return {key: json.loads(value) for key, value in file.metadata().items()}


@pytest.mark.parametrize("task", TASKS)
def test_float32_is_equal_bit_for_bit(task, tmp_path):
    run = untrained(task)
    path = tmp_path / "model.safetensors"
    exported = export_run(run, path)
    loaded = pp.load_trained(path)
    assert_equal_weights(run, loaded)
    assert (loaded.config, loaded.data) == (run.config, run.data)
    assert (loaded.tokenizer_config, loaded.step) == (run.tokenizer_config, run.step)
    assert fingerprint_of(run) == fingerprint_of(loaded) == exported.fingerprint
    assert loaded.folder is None and loaded.source == str(path)
    assert loaded.provenance == f"{run.provenance}, from model.safetensors"
    assert exported.num_bytes == path.stat().st_size
    # Nothing else is left in the folder.
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]
    # The weights are in memory, whatever becomes of the file.
    path.write_bytes(bytes(exported.num_bytes))
    assert_equal_weights(run, loaded)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["pixels", "prior"])
def test_one_key_gives_the_same_images(task, tmp_path):
    run = untrained(task)
    export_run(run, tmp_path / "a.safetensors")
    loaded = pp.load_trained(tmp_path / "a.safetensors")
    images = [pp.sample(one, jax.random.key(3), 2) for one in (run, loaded)]
    jax.tree.map(np.testing.assert_array_equal, *images)


@pytest.mark.slow
def test_one_image_gives_the_same_codes(tmp_path):
    run = untrained("tokenizer")
    export_run(run, tmp_path / "a.safetensors")
    pixels = np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype(np.float32)
    codes = [pp.encode(one, pixels) for one in (run, pp.load(tmp_path / "a.safetensors"))]
    jax.tree.map(np.testing.assert_array_equal, *codes)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_fewer_bits_are_expanded_to_float32(task, dtype, tmp_path):
    run = untrained(task)
    export_run(run, tmp_path / "a.safetensors", dtype=dtype, measured=False)
    loaded = pp.load_trained(tmp_path / "a.safetensors")
    assert loaded.provenance == f"{run.provenance}, as {dtype}, from a.safetensors"
    for name, leaf in named(loaded.model).items():
        assert leaf.dtype == np.float32, name
    # A second export of the same weights is exact.
    export_run(loaded, tmp_path / "b.safetensors", dtype="float32")
    assert_equal_weights(loaded, pp.load_trained(tmp_path / "b.safetensors"))
    assert fingerprint_of(loaded) != fingerprint_of(run)


def test_int8_takes_a_quarter_of_the_space(tmp_path):
    wide = dict(untrained("pixels").config["model"], features=48, num_layers=4, head_features=64)
    run, sizes = untrained("pixels", model=wide), {}
    for dtype in ("float32", "bfloat16", "int8"):
        out = tmp_path / f"{dtype}.safetensors"
        sizes[dtype] = export_run(run, out, dtype=dtype, measured=False).num_bytes
    assert sizes["int8"] < 0.28 * sizes["float32"]
    assert sizes["bfloat16"] < 0.52 * sizes["float32"]


@pytest.mark.parametrize("kind", ["folder:", "npz:"])
def test_the_file_names_no_folder_of_the_user(kind, tmp_path):
    run = untrained("prior")
    assert run.tokenizer_config is not None
    place = {"data_dir": "/home/lovelace/tensorflow_datasets"}
    images = f"{kind}/home/lovelace/private/faces"
    run = dataclasses.replace(
        run,
        config=run.config | place,
        data=run.data | {"name": images},
        tokenizer_config=run.tokenizer_config | place | {"dataset": images},
    )
    path = tmp_path / "a.safetensors"
    export_run(run, path, card=tmp_path / "a.md")
    for file in (path, tmp_path / "a.md"):
        content = file.read_bytes()
        assert b"lovelace" not in content and b"faces" in content
    loaded = pp.load_trained(path, data="/somewhere/faces")
    assert loaded.tokenizer_config["dataset"] == f"{kind}/somewhere/faces"
    assert loaded.data["name"] == f"{kind}faces"


def test_the_file_has_the_results_of_its_weights(tmp_path):
    path = tmp_path / "a.safetensors"
    export_run(untrained("pixels"), path)
    kept = metadata(path)
    # Not those of other steps, and nothing about speed.
    assert kept["metrics"] == pp.load_trained(path).metrics
    assert kept["metrics"] == [
        {"step": 8, "validation_loss": 1.4, "validation_nats": 62.1},
        {"step": 12, "best_step": 8, "test_nats": 63.2, "test_bits_per_dim": 1.42},
    ]
    assert set(kept["versions"]) == {"pixelprior", "jax", "flax"}
    assert kept["pixelprior_format"] == 1 and len(kept["fingerprint"]) == 64


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "result"),
    [("pixels", "bits_per_dim"), ("tokenizer", "squared_error"), ("prior", "bits_per_code")],
)
def test_the_cost_is_that_of_the_file(task, result, tmp_path):
    run, path = untrained(task), tmp_path / "a.safetensors"
    said: list[Event] = []
    exported = export_run(run, path, dtype="int8", card=tmp_path / "a.md", report=said.append)
    kept = metadata(path)["figures"]
    assert kept == exported.figures
    before, after = (pp.evaluate(one, baselines=False) for one in (run, path))
    assert kept["results"]["float32"][result] == pytest.approx(before[result], rel=1e-5)
    assert kept["results"]["int8"][result] == pytest.approx(after[result], rel=1e-5)
    assert exported.cost == pytest.approx(after[result] - before[result], abs=1e-6)
    assert exported.cost != 0 and kept["images"] == 359
    (cost,) = [event.text for event in said if isinstance(event, Message)]
    assert cost.startswith("int8 costs ") and f"{cost}." in (tmp_path / "a.md").read_text()


def test_missing_data_are_said_in_one_sentence():
    said: list[Event] = []
    run = untrained("pixels", dataset="folder:/nowhere")
    run = dataclasses.replace(run, data=run.data | {"reading": READING})
    assert measure_figures(run, "int8", said.append) == {}
    (event,) = said
    assert isinstance(event, Message) and event.text.startswith(
        "the cost of int8 was not measured: the images of the run"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dtype": "int4"}, "dtype must be one of float32, bfloat16, int8, got 'int4'"),
        ({"out": "a.npz"}, r"a run is exported to a file NAME\.safetensors, got .*a\.npz"),
        ({"out": "there.safetensors"}, "is there already; give another name, or --overwrite"),
        ({"out": "no/a.safetensors"}, "cannot be written .*; make its folder, or give another"),
        ({"card": "folder"}, "folder is a folder; give the name of a file"),
        ({"card": "there.safetensors"}, "is there already"),
    ],
)
def test_files_that_cannot_be_written(arguments, message, tmp_path):
    (tmp_path / "there.safetensors").touch()
    (tmp_path / "folder").mkdir()
    settings = {"out": "a.safetensors"} | arguments
    for key in {"out", "card"} & set(settings):
        settings[key] = tmp_path / settings[key]
    with pytest.raises(InputError, match=message):
        export_run(untrained("pixels"), settings.pop("out"), **settings)
    assert {file.name for file in tmp_path.iterdir()} == {"there.safetensors", "folder"}
    export_run(untrained("pixels"), tmp_path / "there.safetensors", overwrite=True)
    pp.load(tmp_path / "there.safetensors")
