"""Help, the version, completion and wrong flags import none of the large libraries."""

import subprocess
import sys

import pytest

from pixelprior.cli.commands import COMMANDS
from tests.cli.conftest import ROOT

SLOW = {
    *("array_record", "flax", "grain", "jax", "matplotlib", "numpy", "optax", "orbax", "PIL"),
    *("scipy", "sklearn", "tensorboardX", "tensorflow_datasets", "tqdm"),
}
IMPORTED = """
import sys
from pixelprior.__main__ import main
try:
    main()
except SystemExit:
    pass
print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--version"],
        ["configs"],
        ["completion", "bash"],
        ["sample", "--no_such_flag"],
        ["train", "--config=digits", "--config.no_such_key=3"],
        ["__complete", "train", "--config=dig"],
        ["__complete", "sample", "--workdir="],
        *(["help", name] for name in COMMANDS),
    ],
    ids=" ".join,
)
def test_what_is_fast_imports_no_large_library(arguments):
    command = [sys.executable, "-c", IMPORTED, *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    imported = set(ended.stderr.splitlines()[-1].split())
    assert "pixelprior" in imported and not imported & SLOW


@pytest.mark.parametrize("name", ["train", "sample", "evaluate", "export"])
def test_so_do_the_scripts(name):
    command = [sys.executable, "-X", "importtime", f"{name}.py", "--help"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "pixelprior.cli.app" in imported and not imported & SLOW
