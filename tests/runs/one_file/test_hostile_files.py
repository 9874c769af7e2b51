"""Files that are damaged, malformed or made to harm: one sentence each, and nothing is executed."""

import io
import json
import pickle
import struct

import numpy as np
import pytest
from safetensors.numpy import save

import pixelprior as pp
from pixelprior.errors import InputError
from pixelprior.runs.one_file.export import export_run
from pixelprior.runs.one_file.layout import FORMAT
from pixelprior.runs.one_file.read import read_content
from tests.runs.one_file.untrained import untrained


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A file of each task in int8: not to be changed."""
    folder = tmp_path_factory.mktemp("exported")
    for task in ("pixels", "prior"):
        export_run(untrained(task), folder / f"{task}.safetensors", dtype="int8", measured=False)
    return folder


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.safetensors"


def refused(file, message):
    with pytest.raises(InputError, match=message) as error:
        pp.load(file)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600
    assert "model.safetensors" in str(error.value)


def changed(exported, file, change, task="pixels"):
    """Write the exported file with other metadata and arrays, both changed by a function."""
    about, stored = read_content(exported / f"{task}.safetensors", task)
    about["pixelprior_format"] = FORMAT
    stored = dict(stored)
    change(about, stored)
    file.write_bytes(save(stored, {key: json.dumps(value) for key, value in about.items()}))


class Harm:
    def __reduce__(self):
        return print, ("harm",)


def npz():
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08",
        b"not a file of weights at all",
        pickle.dumps(Harm()),
        npz(),
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 12) + b'{"a": [1, 2}',
        struct.pack("<Q", 2) + b"[]",
        # An array that the file does not have.
        struct.pack("<Q", 70)
        + b'{"a":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4]}}'.ljust(70)
        + bytes(4),
    ],
    ids=["empty", "a byte", "text", "pickle", "npz", "long", "broken", "a list", "too large"],
)
def test_what_is_no_safetensors_file(content, file, capsys):
    file.write_bytes(content)
    refused(file, "damaged or no safetensors file .*; export or download it again")
    assert "harm" not in capsys.readouterr().out


def test_a_file_that_is_cut_off(exported, file):
    content = (exported / "pixels.safetensors").read_bytes()
    for length in (4, 100, len(content) - 1):
        file.write_bytes(content[:length])
        refused(file, "damaged or no safetensors file")


def test_a_file_with_another_bit(exported, file):
    content = bytearray((exported / "pixels.safetensors").read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    refused(file, "is damaged: its content does not match its fingerprint")


def test_a_file_of_another_program(file):
    file.write_bytes(save({"a": np.zeros(3)}))
    refused(file, "is a safetensors file of another program; `pixelprior export` writes")


def test_what_is_no_file(file):
    refused(file, "there is no file .*model.safetensors; `pixelprior export` writes one")
    file.mkdir()
    refused(file, "model.safetensors is not a run folder: it has no config.json")


def set_key(key, value):
    return lambda about, stored: about.update({key: value})


def delete(key):
    return lambda about, stored: about.pop(key)


def set_in(part, **values):
    return lambda about, stored: about[part].update(values)


def set_setting(part, **values):
    return lambda about, stored: about["config"][part].update(values)


METADATA = {
    "of the future": (set_key("pixelprior_format", FORMAT + 1), "has format '2', but .* upgrade"),
    "of no version": (set_key("pixelprior_format", "x"), "has format .* reads formats up to 1"),
    "without config": (delete("config"), "no readable metadata 'config'"),
    "without fingerprint": (delete("fingerprint"), "no readable metadata 'fingerprint'"),
    "a list as config": (set_key("config", [1, 2]), "'config' .* another type .* got \\[1, 2\\]"),
    "a text as step": (set_key("step", "8"), "'step' .* another type"),
    "true as step": (set_key("step", True), "'step' .* another type"),
    "another dtype": (set_key("dtype", "int2"), "stores kernels as 'int2', expected float32"),
    "an empty config": (set_key("config", {}), "does not describe a model .*config.task must be"),
    "another task": (set_in("config", task="dream"), "config.task must be one of"),
    "a list of runs": (
        set_key("config", {"task": "compare", "runs": {}}),
        "does not describe a model",
    ),
    "unknown keys": (set_in("config", colour=1), "unknown keys: colour"),
    "a wrong type": (set_in("config", seed="0"), "config.seed must be of type int, got '0'"),
    "no such model": (set_setting("model", name="os.system"), "config.model.name must be one of"),
    "no such setting": (set_setting("model", path="/etc"), "has no setting 'path'"),
    "empty data": (set_key("data", {}), "has no value for: name, shape"),
    "a shape of two": (set_in("data", shape=[8, 8]), "shape must be .* got \\[8, 8\\]"),
    "a huge shape": (set_in("data", shape=[10**5, 10**5, 1]), "shape must be .*16777216 symbols"),
    "a negative shape": (set_in("data", shape=[-8, 8, 1]), "shape must be"),
    "a shape of text": (set_in("data", shape=["8", 8, 1]), "shape must be"),
    "no levels": (set_in("data", levels=0), "levels must be an integer of at least 2"),
    "classes": (set_in("data", class_names=[1, 2]), "class_names must be a list of strings"),
    "splits": (set_in("data", splits={"test": 3}), "splits must be a description"),
    "huge layers": (set_setting("model", features=10**12), "features is 1000000000000, but the"),
    "many layers": (set_setting("model", num_layers=10**6), "num_layers is 1000000, but"),
    "a huge codebook": (set_in("data", levels=10**12), "levels must be"),
    "a line break": (set_key("provenance", "a\n\x1b[31m"), "is no line of text, got 'a.*x1b"),
    "results": (set_key("metrics", [{"loss": 1}]), "results without a step"),
    "a pixel range": (set_key("pixel_range", {"brightest": 0}), "metadata 'pixel_range'"),
    "a tokenizer": (
        lambda about, stored: about.update(tokenizer_config=untrained("tokenizer").config),
        "must have a tokenizer if and only if it is a prior",
    ),
}


@pytest.mark.parametrize("case", METADATA)
def test_malformed_metadata(case, exported, file):
    change, message = METADATA[case]
    changed(exported, file, change)
    refused(file, message)


def test_metadata_that_is_no_json(exported, file):
    about, stored = read_content(exported / "pixels.safetensors", "")
    texts = {key: json.dumps(value) for key, value in about.items()}
    for content in ("{", "[" * 100_000, ""):
        file.write_bytes(save(dict(stored), texts | {"pixelprior_format": "1", "data": content}))
        refused(file, "no readable metadata 'data'")


KERNEL = "first.above.kernel"
WEIGHTS = {
    "missing": (lambda stored: stored.pop(KERNEL), "lacks weights 'first.above.kernel', 1 in all"),
    "without a scale": (lambda stored: stored.pop(KERNEL + ".scale"), "lacks weights .*scale'"),
    "extra": (lambda stored: stored.update(b=np.zeros(2)), "has the unknown weights 'b', 1 in all"),
    "of another shape": (
        lambda stored: stored.update({KERNEL: stored[KERNEL][:1]}),
        r"the weights first.above.kernel in .* are int8 \[1, .* needs int8 \[3",
    ),
    "of another type": (
        lambda stored: stored.update({KERNEL: stored[KERNEL].astype(np.int16)}),
        "are int16 .*, but the model needs int8",
    ),
    "a scale of another shape": (
        lambda stored: stored.update({KERNEL + ".scale": np.ones((1, 1, 1, 3), np.float32)}),
        "kernel.scale in .* are float32",
    ),
    "not a number": (
        lambda stored: stored.update(
            {"first.output.bias": stored["first.output.bias"] * np.float32(np.nan)}
        ),
        "the weights first.output.bias in .* are not finite",
    ),
    "an infinite scale": (
        lambda stored: stored.update(
            {KERNEL + ".scale": stored[KERNEL + ".scale"] + np.float32(np.inf)}
        ),
        "kernel.scale in .* are not finite",
    ),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_wrong_weights(case, exported, file):
    change, message = WEIGHTS[case]
    changed(exported, file, lambda about, stored: change(stored))
    refused(file, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about, stored: stored.pop("tokenizer._levels.0.project.kernel"), "lacks weights"),
        (set_key("tokenizer_config", None), "must have a tokenizer if and only if"),
        (set_in("tokenizer_config", task="prior"), "must have a tokenizer if and only if"),
        (set_in("tokenizer_config", levels=1), "does not describe a model"),
        (set_in("data", code_grids=[[2, 2, 1, 16]]), "levels are called top, but"),
        (set_in("data", code_grids=[[10**6, 10**6, 1, 16]] * 2), "code_grids must be a list of"),
        (set_in("data", code_counts=[3]), "code_counts must be lists of counts"),
        (set_in("data", pixel_variance=float("nan")), "pixel_variance must be a finite number"),
    ],
)
def test_a_malformed_prior(change, message, exported, file):
    changed(exported, file, change, "prior")
    refused(file, message)
