"""Rows as they come: compiled once, nothing done that is not asked for, refusals at once."""

import jax
import numpy as np
import pytest
from flax import nnx

from pixelprior import Grid, PixelCNN, sample
from pixelprior.errors import InputError
from pixelprior.sampling import UNKNOWN, Temperature, rows, sample_rows
from tests.compilations import compilations

GRID = Grid(4, 5, 1, 7)
KEY = jax.random.key(0)


def make():
    return PixelCNN(GRID, features=8, num_layers=1, head_features=8, rngs=nnx.Rngs(0))


def test_every_row_is_the_same_program():
    model = make()
    list(sample_rows(model, KEY, 3, strategy=Temperature(0.5)))
    # Other weights, keys, numbers of images and temperatures.
    other = jax.tree.map(lambda x: x + 1, nnx.state(model, nnx.Param))
    nnx.update(model, other)
    key = jax.random.key(1)
    with compilations() as compiled:
        list(sample_rows(model, key, 3, strategy=Temperature(2.0), first_image=9))
    assert not compiled


def test_who_asks_for_no_more_rows_pays_for_no_more(monkeypatch):
    drawn = []
    draw_row = rows._draw_row

    def counted(*arguments, **options):
        drawn.append(arguments)
        return draw_row(*arguments, **options)

    monkeypatch.setattr(rows, "_draw_row", counted)
    filling = sample_rows(make(), KEY, 2)
    assert not drawn
    first = next(filling)
    assert len(drawn) == 1
    whole = sample(make(), KEY, 2)
    np.testing.assert_array_equal(first[:, 0], whole[:, 0])
    assert (np.asarray(first[:, 1:]) == UNKNOWN).all()


@pytest.mark.parametrize(
    ("num", "options", "message"),
    [
        (0, {}, "num must be at least 1, got 0"),
        (2, {"known": np.zeros((2, 4, 4, 1), int)}, "known must be integers of shape"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_the_first_row(num, options, message):
    with pytest.raises(InputError, match=message):
        sample_rows(make(), KEY, num, **options)
