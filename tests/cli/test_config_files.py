"""A config file that cannot be used ends in one sentence, with its line; tuples are replaced."""

import pytest
from ml_collections import ConfigDict

from pixelprior.cli.load_config import load_config
from pixelprior.errors import InputError
from tests.cli.calls import assert_one_sentence
from tests.cli.conftest import ROOT

DIGITS = f"--config={ROOT / 'configs' / 'digits.py'}"
# Prints the value of one key, as the command for training reads it.
VALUE = """
import sys
from pixelprior.cli import app
from pixelprior.cli.train import _CONFIG, FLAGS
def main():
    value = _CONFIG.value.to_dict()
    for key in key_path:
        value = value[key]
    print(value)
key_path = sys.argv.pop().split(".")
app.run(main, FLAGS, {})
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import x_y_z\n", ", line 1: ModuleNotFoundError: No module named 'x_y_z'"),
        ("\n1 / 0\n", ", line 2: ZeroDivisionError: division by zero"),
        ("a = 1\ndef get_config(:\n", ", line 2: SyntaxError: invalid syntax"),
        ("assert False\n", ", line 1: AssertionError"),
        ("def f():\n    raise OSError('a\\nb')\n\nf()\n", ", line 2: OSError: a b"),
        ("def get_config():\n    return {}['a']\n", ", line 2: KeyError: 'a'"),
        ("x = 1\n", " has no function get_config; it must have one that returns the config"),
        (
            "get_config = 1\n",
            " has no function get_config; it must have one that returns the config",
        ),
        ("def get_config():\n    pass\n", ": get_config must return a ConfigDict, got None"),
        ("def get_config():\n    return [1]\n", ": get_config must return a ConfigDict, got [1]"),
        ("def get_config(a):\n    return {}\n", ": TypeError: get_config() missing 1 required "),
    ],
)
def test_one_sentence_with_the_line(tmp_path, text, message):
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        load_config(str(file))
    assert str(error.value).startswith(f"{file}{message}") and "\n" not in str(error.value)


def test_files_that_are_no_configs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "bytes.py").write_bytes(b"\0\xff")
    for name, message in (
        ("config.json", "config must be a Python file, or the name of a recipe, got 'config.json'"),
        ("missing.py", "missing.py cannot be read .No such file or directory.*pixelprior configs"),
        ("folder.py", "folder.py cannot be read .Is a directory"),
        ("bytes.py", "bytes.py.*: (SyntaxError|ValueError): "),
    ):
        with pytest.raises(InputError, match=message):
            load_config(name)


def test_configs_that_can_be_used(tmp_path):
    file = tmp_path / "mine.py"
    for text in ("", "ConfigDict", "FrozenConfigDict"):
        file.write_text(
            "from ml_collections import ConfigDict, FrozenConfigDict\n"
            f"def get_config(variant=''):\n    return {text}(dict(a=(1, 2), b=dict(c=variant)))\n"
        )
        for name, variant in ((file, ""), (f"{file}:", ""), (f"{file}:d:e", "d:e")):
            config = load_config(str(name))
            assert type(config) is ConfigDict and config.is_locked
            assert config.to_dict() == {"a": (1, 2), "b": {"c": variant}}
            config.b.c = "changed"
    assert load_config("digits:vqvae").task == "tokenizer"


def test_the_command_shows_the_sentence(tmp_path, script):
    (tmp_path / "mine.py").write_text("import x_y_z\n")
    before = {*tmp_path.iterdir()}
    result = script("train", "--config=mine.py", "--workdir=run", cwd=tmp_path)
    assert_one_sentence(result, "^error: mine.py, line 1: ModuleNotFoundError: No module named ")
    assert {*tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("config", "key", "values", "expected"),
    [
        ("digits", "image_size", ["(8, 8)", "64"], "(64,)"),
        ("digits", "image_size", ["(64,)"], "(64,)"),
        ("digits", "image_size", ["64, 48"], "(64, 48)"),
        ("digits", "image_size", ["[64, 48]"], "(64, 48)"),
        ("digits:prior2", "trained_levels", ["('top',)", "bottom"], "('bottom',)"),
        ("digits:prior2", "trained_levels", ["top, bottom"], "('top', 'bottom')"),
        ("digits:vqvae", "tokenizer.strides", ["(4,)", "(2, 2)"], "(2, 2)"),
        ("digits", "batch_size", ["3", "4"], "4"),
    ],
)
def test_the_last_flag_replaces_a_tuple(tmp_path, warm_start, config, key, values, expected):
    (tmp_path / "value.py").write_text(VALUE)
    flags = [f"--config.{key}={value}" for value in values]
    said = warm_start.run(tmp_path / "value.py", f"--config={config}", *flags, key, cwd=tmp_path)
    assert said.output == f"{expected}\n", said.errors


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("64", r"cannot be resized: .*, got \(64, 64\)"),
        ("(64,)", r"cannot be resized: .*, got \(64, 64\)"),
        ("(64,64,3)", r"image_size must be \(height, width\) in pixels, got \(64, 64, 3\)"),
        ("x", r"image_size must be \(height, width\) in pixels, got \('x',\)"),
        ("True", r"image_size must be \(height, width\) in pixels, got \(True,\)"),
        ("(-1,-1)", r"image_size must be \(height, width\) in pixels, got \(-1, -1\)"),
    ],
)
def test_image_sizes(tmp_path, script, value, message):
    flags = ("--workdir=run", f"--config.image_size={value}")
    assert_one_sentence(script("train", DIGITS, *flags, cwd=tmp_path), message)
    assert not any(tmp_path.iterdir())
