"""Messages and progress: bars in a terminal, whole and rare lines in a log."""

import fcntl
import io
import os
import pty
import struct
import termios

import pytest

from pixelprior.progress import Advance, Caution, Finished, Message
from pixelprior.system.console import Terminal, say, show
from pixelprior.system.progress_log import SECONDS, ProgressLog
from pixelprior.system.terminal import fitted

LONG = "done: best step 600, test NLL 77.932 nats, 1.7568 bits/dim; all is in runs/digits"


class Screen(io.StringIO):
    """A terminal whose width is unknown."""

    def isatty(self):
        return True

    def fileno(self):
        raise OSError


def work(terminal):
    for done in range(4):
        terminal(Advance("images", done, 3, "image", f"{done} nats"))
        terminal(Message(LONG))
    terminal(Caution("it is late"))
    terminal(Finished("images"))


def test_a_log_has_whole_lines(capsys):
    work(Terminal())
    told = capsys.readouterr()
    assert not told.out and told.err.splitlines() == [LONG] * 4 + ["warning: it is late"]


def test_a_terminal_has_a_bar_below_the_lines(monkeypatch):
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    work(Terminal())
    lines = screen.getvalue().split("\n")
    # The last state of each line: what a carriage return leaves.
    shown = [line.rpartition("\r")[2] for line in lines]
    assert any("3/3" in line for line in shown) and all(len(line) <= 80 for line in shown)
    assert [line for line in shown if line.startswith("warning")] == ["warning: it is late"]


def test_a_line_is_broken_between_words_in_a_terminal_alone(monkeypatch, capsys):
    show([LONG])
    say(LONG)
    told = capsys.readouterr()
    assert told.out == told.err == f"{LONG}\n"
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    show([LONG, "x" * 80, "", "a " * 39])
    first, second, *others = screen.getvalue().splitlines()
    assert f"{first} {second.strip()}" == LONG and second.startswith("  ") and len(first) <= 80
    assert others == ["x" * 80, "", "a " * 39]


def test_the_width_is_that_of_the_terminal():
    near, far = pty.openpty()
    with open(near, "rb", closefd=True), open(far, "w") as stream:
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 44, 0, 0))
        assert os.get_terminal_size(far).columns == 44
        lines = fitted(LONG, stream).splitlines()
    assert 36 < max(map(len, lines)) <= 44


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def log(now):
    return ProgressLog(Advance("training", 100, 400, "step"), clock=lambda: now[0])


def test_a_short_job_has_no_line_in_a_log(log, now):
    now[0] += SECONDS - 1
    assert log.line(Advance("training", 400, 400, "step")) is None
    assert log.last_line() is None


def test_lines_of_a_log_are_rare(log, now):
    lines = []
    for done in range(101, 401):
        now[0] += 1
        lines.append(log.line(Advance("training", done, 400, "step", f"{done / 100} b/d")))
    told = [line for line in lines if line]
    assert len(told) == 5
    assert told[0] == "training: 160 of 400 steps, 0:01:00 elapsed, 0:04:00 left, 1.6 b/d"
    now[0] += 3723
    assert log.last_line() == "training: 400 of 400 steps, 1:07:03 elapsed, 4.0 b/d"
