"""Compiling is most of what the tests do: how they compile, and how they share what they have."""

import gc
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.warm_start import WarmStart
from tests.xla_flags import SIMPLE_FUSIONS, xla_flags

CACHE = "JAX_COMPILATION_CACHE_DIR"
CACHES, OURS = "XDG_CACHE_HOME", "PIXELPRIOR_TEST_CACHES"
LESS_OPTIMIZED = "JAX_DISABLE_MOST_OPTIMIZATIONS"
MAPPINGS, MANY_MAPPINGS = Path("/proc/self/maps"), 40_000


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
    # Slow tests compile as users do: it is they who would see an optimization go wrong.
    if config.option.markexpr == "not slow" and LESS_OPTIMIZED not in os.environ:
        os.environ[LESS_OPTIMIZED] = "1"  # twice as fast to compile
        os.environ |= xla_flags(*SIMPLE_FUSIONS)
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
    if MAPPINGS.exists():
        with open(MAPPINGS, "rb") as mappings:
            if sum(1 for _ in mappings) < MANY_MAPPINGS:
                return
        import jax  # after `pytest_configure`

        jax.clear_caches()
        gc.collect()


@pytest.fixture
def compiled_in_less_time():
    """Compiles in half the time, to slower programs: for slow tests that mostly compile."""
    import jax

    jax.config.update(LESS_OPTIMIZED.lower(), True)
    yield
    jax.config.update(LESS_OPTIMIZED.lower(), LESS_OPTIMIZED in os.environ)


@pytest.fixture(scope="session")
def warm_start():
    """Starts scripts in processes that have imported the package already."""
    # Programs of scripts are small, and there are many processes.
    scripts = WarmStart(os.environ | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"})
    yield scripts
    scripts.close()
