"""The command that starts the demo, up to the start of the server."""

import importlib.util
import sys

import pytest

from pixelprior.cli import demo


@pytest.fixture
def started(monkeypatch):
    """The command lines of servers that would have replaced this process."""
    lines = []

    def execv(path, arguments):
        lines.append(arguments)
        raise SystemExit(0)

    monkeypatch.setattr(demo.os, "execv", execv)
    # No server starts, so Streamlit need not be installed.
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    return lines


def run(monkeypatch, *flags):
    monkeypatch.setattr(sys, "argv", ["pixelprior demo", *flags])
    with pytest.raises(SystemExit) as exit:
        demo.run()
    return exit.value.code


def test_the_page_is_for_this_machine_alone_by_default(monkeypatch, started):
    assert run(monkeypatch, "--runs=~/my runs", "--port=8600") == 0
    (line,) = started
    assert "--server.address=localhost" in line and "--server.port=8600" in line
    assert line[line.index("--") + 1].startswith("--runs=/") and line[-1].endswith("/my runs")
    # Nothing is asked in the terminal, and nothing is sent.
    assert {"--server.showEmailPrompt=false", "--browser.gatherUsageStats=false"} <= set(line)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--port=0", "--port must be from 1 to 65535, got 0"),
        ("--port=70000", "--port must be from 1 to 65535, got 70000"),
        ("--address=", "--address is empty"),
        ("--address=no such host", "--address=no such host is not known"),
        ("--port=abc", "--port must be an integer, got 'abc'"),
        ("--runs=", "it is empty; give a path"),
        ("runs", "arguments are given as --flag=value"),
    ],
)
def test_wrong_flags_are_refused(monkeypatch, started, capsys, flag, message):
    assert run(monkeypatch, flag) == 2
    assert message in capsys.readouterr().err and not started


def test_a_missing_streamlit_is_named_with_its_extra(monkeypatch, started, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert run(monkeypatch) == 2
    assert 'pip install "pixelprior[demo]"' in capsys.readouterr().err and not started


def test_a_deleted_working_folder_is_named(monkeypatch, started, capsys, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert run(monkeypatch, "--runs=/tmp") == 2
    assert "the working folder was deleted" in capsys.readouterr().err and not started
