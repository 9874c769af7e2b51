"""Jitted functions by structure: compiled once, dropped when mappings run out, compiled again."""

from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pixelprior as pp
from pixelprior.system import programs
from pixelprior.system.programs import jit_by_structure
from tests.compilations import compilations, mappings

pytestmark = pytest.mark.skipif(not programs.MAPS.exists(), reason="only Linux tells the mappings")

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
TINY = {
    "num_steps": 2,
    "batch_size": 8,
    "num_samples": 2,
    "levels": 4,
    "model": {"num_layers": 1, "embedding_features": 4, "head_features": 8},
}


@jit_by_structure()
def powers(x, *, exponent, times):
    return times * x**exponent


def test_each_structure_compiles_once():
    x = jnp.arange(7.0)
    with compilations() as compiled:
        for _ in range(3):
            np.testing.assert_array_equal(powers(x, exponent=2, times=3), 3 * np.arange(7.0) ** 2)
            np.testing.assert_array_equal(powers(x, exponent=3, times=3), 3 * np.arange(7.0) ** 3)
    assert len(compiled) == 2


@pytest.fixture
def no_collection(monkeypatch):
    """A collection of everything that tests have left takes a second."""
    monkeypatch.setattr(programs.gc, "collect", lambda: 0)


def test_a_dropped_function_is_compiled_again(no_collection, monkeypatch):
    x = jnp.arange(5.0)
    expected = powers(x, exponent=4, times=2)
    monkeypatch.setattr(programs, "SHARE", 0)
    # Each new structure drops the older half, at least one.
    for times in range(10, 20):
        powers(x, exponent=4, times=times)
    with compilations() as compiled:
        np.testing.assert_array_equal(powers(x, exponent=4, times=2), expected)
    assert len(compiled) == 1


def test_threads_share_programs(no_collection, monkeypatch):
    monkeypatch.setattr(programs, "SHARE", 0)

    def work(number):
        return [float(powers(jnp.float32(2), exponent=3, times=(number + k) % 3)) for k in range(9)]

    with ThreadPoolExecutor(4) as pool:
        for number, results in enumerate(pool.map(work, range(4))):
            assert results == [8.0 * ((number + k) % 3) for k in range(9)]


@pytest.mark.release
@pytest.mark.slow
def test_trainings_of_different_models_stay_within_the_mappings(tmp_path, monkeypatch):
    """As in a search for settings: every training has another width and another learning rate."""
    counts = []
    for number in range(8):
        run = pp.fit(
            "digits",
            IMAGES,
            workdir=tmp_path / str(number) if number % 2 else None,
            learning_rate=0.001 * (1 + number),
            progress=False,
            **{**TINY, "model": TINY["model"] | {"features": 4 + 2 * number}},
        )
        pp.sample(run.model, jax.random.key(0), 2)
        counts.append(mappings())
        if number == 1:
            # Half of the mappings are taken now, as after hundreds of trainings.
            limit = int(programs.LIMIT.read_text())
            monkeypatch.setattr(programs, "SHARE", (counts[-1] + 1) / limit)
    # The first two took this many for libraries and for their own programs.
    assert max(counts[2:]) < counts[1] + 400
