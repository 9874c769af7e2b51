"""What the documents tell people to type and to write works."""

import importlib
import os
import re
import shlex
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

from pixelprior.experiment.recipes import all_variants, recipes
from pixelprior.figures.sheets import png_bytes
from tests.cli.conftest import ROOT, TINY, TINY_TOKENIZER, tiny_prior
from tests.data.folders import SMALL
from tests.release import slow_cases

DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def blocks(path, language):
    """The code of a language in a document, block by block."""
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), flags=re.DOTALL)


def python(path):
    """The Python of a document, block by block, with trainings of two steps."""
    for block in blocks(path, "python"):
        yield re.sub(r"num_steps=\d+", "num_steps=2", block)


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
def test_flags_exist(name):
    known = {"help", *importlib.import_module(f"pixelprior.cli.{name}").FLAGS}
    calls = list(commands(name))
    assert len(calls) >= 5
    for document, call in calls:
        for flag in re.findall(r"--([a-z_]+)", call):
            assert flag in known or flag.removeprefix("no") in known, f"{document}: --{flag}"


def test_recipes_and_their_variants_exist():
    known = all_variants().keys() | recipes().keys()
    for path in DOCUMENTS:
        for name in re.findall(r"configs/([a-z]\w*\.py(?::\w+)?)", path.read_text()):
            if not name.endswith("MODEL"):
                assert name.replace(".py", "") in known, f"{path.name}: {name}"


def test_benchmarks_exist():
    for path in DOCUMENTS:
        for name in re.findall(r"python -m benchmarks\.(\w+)", path.read_text()):
            assert (ROOT / "benchmarks" / f"{name}.py").is_file(), f"{path.name}: {name}"


@pytest.fixture(scope="module")
def by_class(trained):
    """A run with classes, and with a null class."""
    return trained("digits:class_conditional", *TINY)


@pytest.mark.slow
def test_the_python_of_the_readme(trained, by_class, vqvae, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    prior = trained("digits:prior", f"--tokenizer={vqvae}", *tiny_prior("top"))
    (tmp_path / "runs" / "digits").symlink_to(by_class)
    (tmp_path / "runs" / "digits_prior").symlink_to(prior)
    monkeypatch.chdir(tmp_path)
    found = {}
    first, second, third = python(ROOT / "README.md")
    exec(first, found)
    assert found["images"].dtype == np.int32 and found["images"].shape == (16, 8, 8, 1)
    assert found["nats"].dtype == np.float32 and found["nats"].shape == (16,)
    exec(second, found)
    assert found["images"].dtype == np.float32 and found["images"].shape == (16, 8, 8, 1)
    assert [level.shape for level in found["again"]] == [(16, 4, 4, 1)]
    assert found["nats"].shape == (16,)
    exec(third, found)
    assert found["images"].shape == (4, 16, 24, 3) and found["run"].step == 2
    jax.block_until_ready(found["images"])


@pytest.mark.slow
def test_the_python_of_the_documents(by_class, tmp_path, monkeypatch, capsys):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "digits").symlink_to(by_class)
    monkeypatch.chdir(tmp_path)
    # What a reader has downloaded.
    (tmp_path / "pixelprior.png").write_bytes(
        png_bytes(np.zeros((1, 8, 8, 1)), settings={"seed": 0})
    )
    count = 0
    for path in sorted(ROOT.glob("docs/*.md")):
        found = {}
        for block in python(path):
            exec(block, found)
            count += 1
        said = capsys.readouterr().out
        if path.stem == "demo":
            assert said == '{"seed": 0}\n'
        if path.stem == "conditions":
            assert found["images"].shape == (4, 6, 6, 1) and found["nats"].shape == (4,)
        if path.stem == "extending":
            assert found["dataset"].shape == (8, 8, 1) and said.startswith("72 (8, 8, 1)")
            pixels, label = found["dataset"].splits["test"].source.read([0])
            assert pixels.shape == (1, 8, 8, 1) and 0 <= label[0] < 4
            assert found["images"].shape == (16, 8, 8, 1)
        if path.stem == "quickstart":
            assert found["bits"].shape == (16,) and said.startswith("(16, 8, 8, 1)")
        if path.stem == "sampling":
            assert found["images"].shape == (16, 8, 8, 1)
        if path.stem == "tutorials":
            assert [level.shape for level in found["codes"]] == [(40, 2, 2, 1), (40, 4, 4, 1)]
    assert count == 15


@pytest.mark.slow
def test_the_examples_of_the_api(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pages = {}
    for path in ROOT.glob("docs/api/*.md"):
        pages[path.stem] = found = {}
        for block in python(path):
            exec(block, found)
    sampling, codes, models = pages["sampling"], pages["codes"], pages["models"]
    # The known half stays, and the last of the rows are all drawn.
    np.testing.assert_array_equal(sampling["completed"][:, :4], sampling["images"][:, :4])
    assert not (sampling["completed"] == sampling["pp"].UNKNOWN).any()
    np.testing.assert_array_equal(
        sampling["rows"], sampling["pp"].sample(sampling["run"], sampling["key"], 16, label=3)
    )
    assert sampling["samples"].shape == sampling["guided"].shape == (16, 8, 8, 1)
    assert [level.shape for level in codes["codes"]] == [(16, 4, 4, 1)]
    assert codes["pixels"].shape == (16, 8, 8, 1) and codes["pixels"].dtype == np.float32
    assert (codes["top"].shape, codes["bottom"].shape) == ((4, 2, 2, 1), (4, 4, 4, 1))
    assert models["images"].shape == (4, 16, 24, 3) and models["nats"].shape == (4, 16, 24)
    assert models["logits"].shape == (4, 16, 24, 3, 32)
    assert pages["likelihood"]["nats"].shape == (16,)
    np.testing.assert_array_equal(pages["compression"]["again"], pages["compression"]["images"])
    assert {file.name for file in tmp_path.glob("*.png")} == {
        "samples.png",
        "samples_of_codes.png",
        "pixels.png",
    }


def lines(path):
    """Of a document's Bash: what goes on is put together, options in brackets are left out."""
    text = "\n".join(blocks(path, "bash")).replace("\\\n", " ")
    for line in text.splitlines():
        yield from (part.strip() for part in re.sub(r"\[.*?\]", "", line).split(" && "))


SCRIPT = re.compile(
    r"(?:(?:\.venv/bin/)?python (\w+)\.py|pixelprior (train|sample|evaluate|export))(.*)"
)
# Whatever else a document tells to type: to be thought about, one by one, when it is written.
OTHERS = [
    "",
    r"(\.venv/bin/)?pip install .*",
    r"python3 -m venv \.venv",
    r"source \.venv/bin/activate",
    r"(PIXELPRIOR_TESTS_OPTIMIZE=1 )?(\.venv/bin/)?python -m pytest .*",
    r"\.ci/run( release)?\s+#.*",
    r"python -m benchmarks\.\w+.*",  # that they exist: above
    r"pixelprior demo",  # demo/
    r"pixelprior configs",  # test_packaging.py
    r"source <\(pixelprior completion bash\)",  # test_completion.py
    r"pixelprior (de)?compress .*",  # test_compress.py
    r"for mode in .*",  # test_readme.py
    r"#!/bin/bash",
    r"#SBATCH --.*",
    r"srun python train\.py .*",
]


def test_every_line_of_bash_is_known():
    for path in DOCUMENTS:
        for line in lines(path):
            assert SCRIPT.fullmatch(line) or any(re.fullmatch(other, line) for other in OTHERS), (
                f"{path.name}: {line}"
            )


RUN = {
    "README.md": {
        "README.md": 10,
        "docs/index.md": 3,
        "docs/quickstart.md": 11,
        "docs/training.md": 2,
        "docs/fine_tuning.md": 2,
    },
    "docs/evaluation.md": {"docs/evaluation.md": 3, "docs/tutorials.md": 11},
}
"""The documents with commands, by the first one, and at least how many of them are run.

Those in one dictionary are read one after the other, in one folder. They repeat each other.
"""
LONG = (
    *("--coordinator=", "--num_samples=", "--samples=", "configs/compare.py", "runs/compare"),
    "runs/fashion_mnist_",
)


# To measure ten thousand test images takes a minute.
IN_PLACE_OF = {"configs/mnist.py": "digits", "configs/cifar10.py": "folder:my_images"}


def small(script, arguments):
    """What makes a command take seconds."""
    if script == "train":
        if "--plan" in arguments:
            return ["--config.model.num_layers=1", "--config.batch_size=2"]
        config = next(a for a in arguments if a.startswith("--config="))
        data = [f"--config.dataset={IN_PLACE_OF[name]}" for name in IN_PLACE_OF if name in config]
        if "vqvae" in config:
            return [*TINY_TOKENIZER, *data]
        if "prior" in config:
            return tiny_prior("top", "bottom") if "prior2" in config else tiny_prior("top")
        return [*TINY, *data]
    return ["--num=16"] if script == "sample" else []


@pytest.mark.parametrize("first", slow_cases(RUN, "README.md"))
def test_the_commands_of_the_documents(first, script, by_class, tmp_path):
    documents = RUN[first]
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (tmp_path / "my_images").mkdir()
    for number, name in enumerate(SMALL):
        noise = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "my_images" / name)
    if "docs/evaluation.md" in documents:
        for letter in "abx":
            shutil.copytree(by_class, tmp_path / "runs" / letter)
    done = set()
    for name, least in documents.items():
        known = [command for line in lines(ROOT / name) if (command := short_command(line))]
        assert len(known) >= least, name
        for command, *arguments in known:
            if (command, *arguments) in done:
                continue
            done.add((command, *arguments))
            result = script(command, *arguments, *small(command, arguments), cwd=tmp_path)
            assert result.status == 0, f"{name}: {command} {arguments}\n{result.errors}"


def short_command(line):
    """The script and the arguments of a line that can be made to take seconds, if it is one."""
    match = SCRIPT.fullmatch(line)
    # Those that take long have tests of their own: several processes in
    # tests/training/test_processes.py, samples, which are judged by a classifier that is to be
    # trained first, in test_sample_quality.py, lists of runs in test_compare.py. The codes of
    # digits stand for those of Fashion-MNIST, which has 60,000 images to encode.
    if not match or any(part in line for part in LONG):
        return None
    needs_data = re.search(r"cifar10|fashion", line)
    if needs_data and not os.environ.get("TFDS_DATA_DIR"):
        return None
    return match[1] or match[2], *shlex.split(match[3], comments=True)
