"""Facts of a process: what changes results is among them, and what does not is not."""

import jax
import pytest

from pixelprior.coding.machine import MACHINE, differences, this_machine


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        ("", ""),
        ("--xla_force_host_platform_device_count=8", ""),
        ("--xla_dump_to=/x --xla_cpu_max_isa=AVX2", "--xla_cpu_max_isa=AVX2"),
        ("--xla_b --xla_a", "--xla_a --xla_b"),
    ],
)
def test_flags(monkeypatch, flags, kept):
    monkeypatch.setenv("XLA_FLAGS", flags)
    found = this_machine()
    assert found["flags"].replace("jax_disable_most_optimizations", "").strip() == kept
    assert MACHINE.fits(found)


def test_settings_of_jax():
    before = this_machine()
    with jax.default_matmul_precision("highest"):
        named = differences(before, this_machine())
    assert named == ["precision ('default' there, 'highest' here)"]
    assert differences(before, this_machine()) == []
