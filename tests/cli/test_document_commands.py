"""What the documents tell people to type and to write works."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

from tests.cli.conftest import ROOT, TINY, tiny_prior

DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def blocks(path, language):
    """The code of a language in a document, block by block."""
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), flags=re.DOTALL)


def commands(name):
    """All calls of a script in all documents, options in brackets included, each with its place."""
    for path in DOCUMENTS:
        # A line that ends in a backslash goes on.
        text = "\n".join(blocks(path, "bash")).replace("\\\n", " ")
        text += "\n" + "\n".join(re.findall(r"`([^`\n]+)`", path.read_text()))
        for line in text.splitlines():
            for call in re.findall(rf"python[3]? {name}\.py ([^&;#]*)", line):
                yield path.name, call


@pytest.mark.parametrize("name", ["train", "sample", "evaluate"])
def test_flags_exist(name, script):
    known = set(re.findall(r"--(?:\[no\])?(\w+)", script(name, "--helpfull").output))
    calls = list(commands(name))
    assert len(calls) >= 5
    for document, call in calls:
        for flag in re.findall(r"--([a-z_]+)", call):
            assert flag in known or flag.removeprefix("no") in known, f"{document}: --{flag}"


def test_configs_exist():
    for path in DOCUMENTS:
        for name in re.findall(r"configs/(\w+)\.py", path.read_text()):
            if not name.isupper() and "DATA" not in name and "MODEL" not in name:
                assert (ROOT / "configs" / f"{name}.py").is_file(), f"{path.name}: {name}"


def test_benchmarks_exist():
    for path in DOCUMENTS:
        for name in re.findall(r"python -m benchmarks\.(\w+)", path.read_text()):
            assert (ROOT / "benchmarks" / f"{name}.py").is_file(), f"{path.name}: {name}"


@pytest.mark.slow
def test_the_python_of_the_readme(trained, vqvae, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    model = trained("digits", *TINY)
    prior = trained("digits_prior", f"--tokenizer={vqvae}", *tiny_prior("top"))
    (tmp_path / "runs" / "digits").symlink_to(model)
    (tmp_path / "runs" / "digits_prior").symlink_to(prior)
    monkeypatch.chdir(tmp_path)
    found = {}
    first, second, third = blocks(Path(ROOT / "README.md"), "python")
    exec(first, found)
    assert found["images"].dtype == np.int32 and found["images"].shape == (16, 8, 8, 1)
    assert found["nats"].dtype == np.float32 and found["nats"].shape == (16,)
    exec(second, found)
    assert found["images"].dtype == np.float32 and found["images"].shape == (16, 8, 8, 1)
    assert [level.shape for level in found["again"]] == [(16, 4, 4, 1)]
    assert found["nats"].shape == (16,)
    exec(third, found)
    assert found["images"].shape == (4, 16, 24, 3)
    jax.block_until_ready(found["images"])
