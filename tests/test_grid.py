"""Grids say what they are, and refuse what they are not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pixelprior import Grid
from pixelprior.errors import InputError

GRID = Grid(2, 3, 1, 4)


def test_shape_and_size():
    assert Grid(2, 3, 4, 5).shape == (2, 3, 4)
    assert Grid(2, 3, 4, 5).size == 24


@pytest.mark.parametrize("field", ["height", "width", "channels", "levels"])
@pytest.mark.parametrize("value", [0, -1, 2.0, "3", None])
def test_sizes_that_are_no_positive_integers_are_refused(field, value):
    sizes = {"height": 2, "width": 3, "channels": 1, "levels": 4} | {field: value}
    with pytest.raises(InputError, match=rf"Grid\.{field} must be an integer.*got {value!r}"):
        Grid(**sizes)


def test_one_level_is_no_symbol():
    with pytest.raises(InputError, match=r"Grid\.levels must be an integer of at least 2, got 1"):
        Grid(1, 1, 1, 1)
    assert Grid(1, 1, 1, 2).size == 1


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_grids_pass(array, dtype):
    GRID.check(array(np.arange(6, dtype=dtype).reshape(1, 2, 3, 1) % 4))
    GRID.check(array(np.zeros((0, 2, 3, 1), dtype)))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 3, 1), int), r"\[batch, 2, 3, 1\], got \(2, 3, 1\)"),
        (np.zeros((1, 3, 2, 1), int), r"\[batch, 2, 3, 1\], got \(1, 3, 2, 1\)"),
        (np.zeros((1, 2, 3, 3), int), r"\[batch, 2, 3, 1\], got \(1, 2, 3, 3\)"),
        (np.zeros((1, 2, 3, 1), np.float32), r"integer symbols in \[0, 4\), got float32"),
        (np.zeros((1, 2, 3, 1), bool), r"integer symbols in \[0, 4\), got bool"),
        (np.full((1, 2, 3, 1), 4), r"in \[0, 4\), got values from 4 to 4"),
        (np.arange(6).reshape(1, 2, 3, 1) - 1, r"in \[0, 4\), got values from -1 to 4"),
    ],
)
def test_what_is_no_batch_of_grids_is_refused(x, message):
    with pytest.raises(InputError, match=message):
        GRID.check(x)


def test_while_tracing_shapes_and_types_are_checked():
    def check(x):
        GRID.check(x)
        return x

    jax.jit(check)(jnp.full((1, 2, 3, 1), 9))  # the values are not known there
    with pytest.raises(InputError, match="expected symbols of shape"):
        jax.jit(check)(jnp.zeros((1, 3, 2, 1), int))
    with pytest.raises(InputError, match="expected integer symbols"):
        jax.jit(check)(jnp.zeros((1, 2, 3, 1)))


def test_a_concrete_grid_met_while_tracing_is_checked():
    x = jnp.full((1, 2, 3, 1), 9)

    def closed_over(y):
        GRID.check(x)
        return y

    with pytest.raises(InputError, match="got values from 9 to 9"):
        jax.jit(closed_over)(1.0)
