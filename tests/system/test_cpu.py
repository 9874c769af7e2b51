"""Facts about the CPU, from Linux's list."""

import builtins
import io
import platform

import pytest

from pixelprior.system.cpu import cpu_fact, cpu_name

LIST = "processor\t: 0\nmodel name\t: A CPU @ 2: GHz\nflags\t\t: sse avx\n\nmodel name\t: B\n"


@pytest.fixture
def listed(monkeypatch):
    monkeypatch.setattr(builtins, "open", lambda *_: io.StringIO(LIST))


def test_the_first_fact_of_a_name_counts(listed):
    assert cpu_name() == "A CPU @ 2: GHz"
    assert cpu_fact("Features", "flags") == "sse avx"
    assert cpu_fact("model") == ""


def test_without_a_list(monkeypatch):
    def missing(*_):
        raise FileNotFoundError

    monkeypatch.setattr(builtins, "open", missing)
    assert cpu_fact("flags") == ""
    assert cpu_name() == (platform.processor() or platform.machine()) != ""
