"""Compiling is most of what the tests do: how they compile, and how they share what they have."""

import gc
import itertools
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.garbage import collect_less_often
from tests.warm_start import WarmStart
from tests.xla_flags import compile_in_less_time

CACHE = "JAX_COMPILATION_CACHE_DIR"
CACHES, OURS = "XDG_CACHE_HOME", "PIXELPRIOR_TEST_CACHES"
MAPPINGS, MANY_MAPPINGS = Path("/proc/self/maps"), 40_000
# To read that many mappings takes about as long as a short test.
TESTS, TESTS_BETWEEN_CHECKS = itertools.count(1), 20

# Here, since the `conftest` of a folder whose tests are asked for imports JAX before `configure`.
compile_in_less_time()
collect_less_often()


def pytest_configure(config):
    # JAX reads these when it is imported, and processes that are started inherit them: the workers
    # that share the tests, and the commands that tests run.
    if OURS not in os.environ:
        # Commands keep files for later ones, and Matplotlib its list of fonts: not in the user's
        # own folder, and not anew for each test that has a folder for caches.
        config.caches = tempfile.mkdtemp(prefix="pixelprior-caches-")
        os.environ[CACHES] = os.environ[OURS] = config.caches
        os.environ.setdefault("MPLCONFIGDIR", f"{config.caches}/matplotlib")
    if CACHE not in os.environ:
        # A program that one test has compiled is read by the others, wherever they run.
        config.compiled = os.environ[CACHE] = tempfile.mkdtemp(prefix="pixelprior-compiled-")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
    if hasattr(config, "workerinput") or not config.option.numprocesses:
        # The package of a clone hides an installed one, and has no configs within it.
        from pixelprior.experiment.recipes import make_importable

        make_importable()


def pytest_unconfigure(config):
    for folder in ("compiled", "caches"):
        shutil.rmtree(getattr(config, folder, ""), ignore_errors=True)


@pytest.fixture(autouse=True)
def _programs_are_let_go():
    """What was compiled for the tests so far, once it is much.

    A compiled program takes several mappings of memory, and Linux gives a process 65,530 of them:
    XLA crashes where there are no more.
    """
    yield
    if next(TESTS) % TESTS_BETWEEN_CHECKS == 0 and _num_mappings() >= MANY_MAPPINGS:
        import jax  # after `pytest_configure`

        jax.clear_caches()
        gc.collect()


def _num_mappings():
    """Their number in this process; 0 where Linux's file is not there."""
    if not MAPPINGS.exists():
        return 0
    with open(MAPPINGS, "rb") as mappings:
        return sum(1 for _ in mappings)


@pytest.fixture(scope="session")
def warm_start():
    """Starts scripts in processes that have imported the package already."""
    # Programs of scripts are small, and there are many processes.
    scripts = WarmStart(os.environ | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"})
    yield scripts
    scripts.close()
