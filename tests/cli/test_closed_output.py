"""A command whose reader has ended, as ``head`` does, ends without a message."""

import os
import signal
import subprocess
import sys

import pytest

from tests.cli.conftest import ROOT

UNREAD = 128 + signal.SIGPIPE


def status_and_errors(*command, closed="stdout"):
    """Run a command with an output that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as unread:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, closed: unread}
        ended = subprocess.run([sys.executable, *command], cwd=ROOT, text=True, **streams)
    return ended.returncode, (ended.stdout or "") + (ended.stderr or "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["configs"],
        ["train", "--help"],
        ["completion", "bash"],
        ["__complete", ""],
    ],
    ids=" ".join,
)
def test_printed_text(arguments):
    assert status_and_errors("-m", "pixelprior", *arguments) == (UNREAD, "")


@pytest.mark.parametrize("arguments", [["no_such_command"], ["sample", "--no_such_flag"]])
def test_errors(arguments):
    assert status_and_errors("-m", "pixelprior", *arguments, closed="stderr") == (UNREAD, "")


def test_a_script():
    assert status_and_errors("train.py", "--help") == (UNREAD, "")


@pytest.mark.slow
def test_results_and_messages(tmp_path):
    evaluate = ["evaluate.py", "--workdir=digits", "--nobaselines"]
    status, errors = status_and_errors(*evaluate)
    assert status == UNREAD and "Error" not in errors and "Exception" not in errors
    sample = ["sample.py", "--workdir=digits", "--num=1", f"--out={tmp_path / 'x.png'}"]
    assert status_and_errors(*sample, closed="stderr") == (UNREAD, "")


def test_another_pipe_that_breaks_is_an_error():
    text = (
        "from pixelprior.cli.closed_output import ending_with_reader\n"
        "with ending_with_reader():\n    raise BrokenPipeError('of a service')\n"
    )
    ended = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1 and "of a service" in ended.stderr
