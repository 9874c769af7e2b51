"""Programs that were compiled for one process serve the next, and never a wrong one."""

import os
import subprocess
import sys

import jaxlib
import pytest

from pixelprior.system.compilation_cache import fingerprint
from pixelprior.training.metrics import read_metrics
from tests.training.conftest import ROOT
from tests.training.restarts import CLOCK
from tests.training.small_configs import CONFIG, write_config

ASK = """
import jax
from pixelprior.system.compilation_cache import keep_compiled_programs

keep_compiled_programs()
print(jax.config.jax_compilation_cache_dir)
"""


def without_cache():
    return {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}


def folder_of(**variables):
    """Where a process with these variables keeps what it compiles."""
    result = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=ROOT,
        env=without_cache() | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.strip()


def test_programs_are_kept_in_the_users_folder_for_caches(tmp_path):
    expected = tmp_path / "pixelprior" / "compiled" / fingerprint()
    assert folder_of(XDG_CACHE_HOME=str(tmp_path)) == str(expected)


def test_what_the_user_has_said_stays(tmp_path):
    given = {"XDG_CACHE_HOME": str(tmp_path / "caches")}
    assert folder_of(**given, JAX_COMPILATION_CACHE_DIR="elsewhere") == "elsewhere"
    assert folder_of(**given, JAX_ENABLE_COMPILATION_CACHE="false") == "None"
    assert not (tmp_path / "caches").exists()


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "file").touch()
    assert folder_of(XDG_CACHE_HOME=str(tmp_path / "file")) == "None"


@pytest.mark.parametrize("what", ["version", "processor"])
def test_another_version_or_processor_has_a_folder_of_its_own(monkeypatch, what):
    here = fingerprint()
    assert here == fingerprint()
    if what == "version":
        monkeypatch.setattr(jaxlib, "__version__", "0.0.1")
    else:
        monkeypatch.setattr("pixelprior.system.compilation_cache._cpu_features", lambda: ["sse2"])
    assert fingerprint() != here


@pytest.mark.slow
def test_a_second_run_compiles_nothing_and_damage_does_no_harm(tmp_path):
    config = write_config(tmp_path, CONFIG)
    environment = without_cache() | {
        "XDG_CACHE_HOME": str(tmp_path / "caches"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }

    def entries():
        kept = (tmp_path / "caches" / "pixelprior").rglob("*-cache")
        return {path: path.read_bytes() for path in kept}

    def run(name):
        command = [sys.executable, ROOT / "train.py", f"--config={config}"]
        command.append(f"--workdir={tmp_path / name}")
        subprocess.run(command, env=environment, check=True)
        return [
            {key: value for key, value in record.items() if key not in CLOCK}
            for record in read_metrics(tmp_path / name / "metrics.jsonl")
        ]

    first = run("first")
    kept = entries()
    assert len(kept) > 3
    assert run("second") == first
    assert entries() == kept
    for path in kept:
        path.write_bytes(path.read_bytes()[:100])
    assert run("third") == first
