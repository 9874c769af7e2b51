"""How many evaluations samplers take, in which blocks, and what they do with known symbols."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior import Grid, sample
from pixelprior.errors import InputError
from pixelprior.sampling import (
    UNKNOWN,
    Greedy,
    InColumns,
    MinP,
    Naive,
    TopK,
    WholeGrids,
    sample_and_count,
)
from pixelprior.sampling.draw import grid_noise
from pixelprior.sampling.methods import METHODS, fastest, name_of, sampler_of
from pixelprior.sampling.sampler import Drawn, Inputs
from tests.models.catalogue import MODELS

GRID = Grid(4, 6, 1, 3)
KEY = jax.random.key(0)


@functools.cache
def make(name, scale=0.5):
    graph, shapes = nnx.split(nnx.eval_shape(lambda: MODELS[name].make(GRID, rngs=nnx.Rngs(0))))
    rng = np.random.default_rng(0)
    return nnx.merge(
        graph,
        jax.tree.map(lambda s: jnp.asarray(scale * rng.normal(size=s.shape), s.dtype), shapes),
    )


def drawn(name, sampler, scale=0.5, num=1):
    graph, weights = nnx.split(make(name, scale))
    noise = grid_noise(KEY, jnp.arange(num), GRID)
    draw = jax.jit(lambda weights: sampler(nnx.merge(graph, weights), Inputs(noise)))
    result = draw(weights)
    (evaluations,) = set(np.asarray(result.evaluations).tolist())
    return Drawn(np.asarray(result.grids), evaluations)


@pytest.mark.parametrize("columns", [1, 2, 4, 6, 7, None])
def test_blocks_of_any_size_give_the_same_grids_in_fewer_evaluations(columns):
    expected, actual = (
        drawn("gated_pixel_cnn", Naive()),
        drawn("gated_pixel_cnn", InColumns(columns)),
    )
    np.testing.assert_array_equal(actual.grids, expected.grids)
    width = min(columns or 6, 6)
    blocks = 4 * -(-6 // width)
    # At least once for each block, and never more often than there are columns in it.
    assert blocks <= actual.evaluations <= 24
    assert expected.evaluations == 24
    if columns == 1:
        assert actual.evaluations == 24


def test_whole_grids_take_no_more_evaluations_than_there_are_pixels():
    expected, actual = drawn("gated_pixel_cnn", Naive()), drawn("gated_pixel_cnn", WholeGrids())
    np.testing.assert_array_equal(actual.grids, expected.grids)
    assert 1 < actual.evaluations <= 24


def test_symbols_that_hang_on_no_other_take_two_evaluations_a_row():
    # Weights of zero: whatever the guess, the first evaluation is right, and the second one says so
    # (the first, if the guess was).
    result = drawn("gated_pixel_cnn", InColumns(), scale=0.0)
    assert 4 <= result.evaluations <= 8
    np.testing.assert_array_equal(result.grids, drawn("gated_pixel_cnn", Naive(), 0.0).grids)
    assert drawn("gated_pixel_cnn", WholeGrids(), scale=0.0).evaluations == 2


@pytest.mark.parametrize(("name", "columns"), [("pixel_cnn", 0), ("pixel_cnn", -1)])
def test_no_columns_are_refused(name, columns):
    with pytest.raises(
        InputError, match=f"at 1, all 6, or a multiple of 1 columns .*got {columns}"
    ):
        sample(make(name), KEY, 2, method=InColumns(columns))


def test_blocks_that_begin_between_columns_of_a_coarser_grid_are_refused():
    model = make("pixel_cnn_pp")
    multiple = model.column_multiple
    assert multiple > 1
    with pytest.raises(InputError, match=f"all 6, or a multiple of {multiple} columns .*got 3"):
        sample(model, KEY, 2, method=InColumns(3))


# Beside those that the laws' samples are drawn with.
@pytest.mark.parametrize("strategy", [TopK(2), MinP(0.5), Greedy()], ids=str)
def test_samplers_agree_whatever_the_strategy(strategy):
    model = make("gated_pixel_cnn")
    expected, guessed = (
        np.asarray(sample(model, KEY, 4, strategy=strategy, method=method))
        for method in ("naive", "fixed_point")
    )
    np.testing.assert_array_equal(guessed, expected)
    # It does something: these are not the model's own samples.
    assert (expected != np.asarray(sample(model, KEY, 4))).any()


def test_evaluations_are_counted_for_each_image():
    model = make("gated_pixel_cnn")
    grids, evaluations = sample_and_count(model, KEY, 4, method="fixed_point")
    np.testing.assert_array_equal(grids, sample(model, KEY, 4))
    assert evaluations.shape == (4,) and (4 <= evaluations).all() and (evaluations <= 24).all()
    assert (sample_and_count(model, KEY, 4, method="cached").evaluations == 24).all()


def test_a_method_may_be_a_sampler():
    model = make("pixel_cnn")
    np.testing.assert_array_equal(
        sample(model, KEY, 4, method=InColumns(4)), sample(model, KEY, 4, method="cached")
    )


# Known symbols.


@pytest.mark.parametrize("method", ["cached", "fixed_point", "whole_grids", "naive"])
@pytest.mark.parametrize("name", ["gated_pixel_cnn", "multi_scale"])
def test_known_symbols_stay_and_what_comes_before_them_does_not_change(name, method):
    model = make(name)
    free = np.asarray(sample(model, KEY, 4))
    known = np.full(free.shape, UNKNOWN)
    known[:, 2:, 3] = (free[:, 2:, 3] + 1) % 3
    kept = np.asarray(sample(model, KEY, 4, known=known, method=method))
    np.testing.assert_array_equal(kept[:, 2:, 3], known[:, 2:, 3])
    if name == "gated_pixel_cnn":
        np.testing.assert_array_equal(kept[:, :2], free[:, :2])
        np.testing.assert_array_equal(kept[:, 2, :3], free[:, 2, :3])
    assert (kept[:, 2:] != np.where(known == UNKNOWN, free, known)[:, 2:]).any()
    # What the model would have drawn all the same changes nothing.
    known[:, 2:, 3] = free[:, 2:, 3]
    np.testing.assert_array_equal(sample(model, KEY, 4, known=known, method=method), free)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (np.zeros((4, 4, 6), int), r"integers of shape \[2, 4, 6, 1\], got int64 \[4, 4, 6\]"),
        (np.zeros((2, 4, 6, 1)), "must be integers"),
        (
            np.full((2, 4, 6, 1), 3),
            r"in \[0, 3\), or -1 where there are none, got values from 3 to 3",
        ),
        (np.full((2, 4, 6, 1), -2), "got values from -2 to -2"),
    ],
)
def test_known_symbols_that_do_not_fit_are_refused(known, message):
    with pytest.raises(InputError, match=message):
        sample(make("pixel_cnn"), KEY, 2, known=known)


# Which one is the fastest.


def test_guessing_pays_for_few_binary_images_on_a_cpu():
    binary = nnx.eval_shape(lambda: MODELS["pixel_cnn"].make(Grid(4, 6, 1, 2), rngs=nnx.Rngs(0)))
    assert fastest(binary, 2) == METHODS["fixed_point"]
    assert fastest(binary, 3) == METHODS["cached"]
    assert fastest(make("pixel_cnn"), 1) == METHODS["cached"]
    # And it is what is taken unless another one is asked for.
    assert sampler_of("auto", binary, 1) == fastest(binary, 1)


@pytest.mark.parametrize(
    ("levels", "num", "name"),
    [
        (2, 1, "fixed_point"),
        (16, 4096 // 28, "fixed_point"),
        (16, 4096 // 28 + 1, "cached"),
        (256, 1, "cached"),
    ],
)
def test_guessing_pays_on_an_accelerator_while_latency_decides(monkeypatch, levels, num, name):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    grid = Grid(28, 28, 1, levels)
    model = nnx.eval_shape(lambda: MODELS["pixel_cnn"].make(grid, rngs=nnx.Rngs(0)))
    assert name_of(fastest(model, num)) == name
