"""Orders of pixels, against permutations by hand and by NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pixelprior import Grid
from pixelprior.nn.order_stem import EMPTY, neighbours_before
from pixelprior.nn.orders import (
    inverse,
    order_around,
    random_orders,
    raster_order,
    rearrange,
    training_orders,
)
from tests.goodness_of_fit import chi_square_p_value

GRID = Grid(2, 3, 1, 4)


def test_an_order_and_its_sequence_by_hand():
    order = jnp.array([[[5, 0, 3], [1, 4, 2]]])
    x = jnp.arange(6).reshape(1, 2, 3)
    # Pixel 1 is first, then 3, 5, 2, 4 and 0.
    positions = inverse(order)
    np.testing.assert_array_equal(positions[0], [[1, 3, 5], [2, 4, 0]])
    sequence = rearrange(x, positions)
    np.testing.assert_array_equal(sequence[0], [[1, 3, 5], [2, 4, 0]])
    np.testing.assert_array_equal(rearrange(sequence, order), x)


def test_the_raster_order_changes_nothing():
    x = np.random.default_rng(0).normal(size=(3, 2, 3, 5))
    order = raster_order(3, GRID)
    np.testing.assert_array_equal(order, inverse(order))
    np.testing.assert_array_equal(rearrange(jnp.asarray(x), order), jnp.asarray(x))


def test_known_pixels_come_first_and_both_groups_stay_in_order():
    rng = np.random.default_rng(1)
    orders = np.stack([rng.permutation(6).reshape(2, 3) for _ in range(40)])
    known = rng.random(orders.shape) < 0.5
    found = np.asarray(order_around(jnp.asarray(orders), jnp.asarray(known)))
    for order, mask, new in zip(orders, known, found, strict=True):
        places = sorted(np.ndindex(2, 3), key=lambda p, o=order, m=mask: (not m[p], o[p]))
        assert [new[place] for place in places] == list(range(6))


def test_random_orders_are_uniform_and_one_for_each_key():
    grid = Grid(1, 3, 1, 2)
    keys = jax.random.split(jax.random.key(0), 6000)
    orders = np.asarray(random_orders(keys, grid)).reshape(-1, 3)
    counts = np.bincount(orders @ [9, 3, 1], minlength=27)
    counts = counts[counts > 0]
    assert len(counts) == 6
    assert chi_square_p_value(counts, np.full(6, 1 / 6)) > 1e-3
    np.testing.assert_array_equal(random_orders(keys[7:8], grid).ravel(), orders[7])


def test_training_orders_are_random_or_end_in_rectangles_and_shares_of_pixels():
    grid = Grid(6, 7, 1, 2)
    keys = jax.random.split(jax.random.key(4), 3000)
    orders = np.asarray(training_orders(keys, grid))
    assert (np.sort(orders.reshape(-1, 42)) == np.arange(42)).all()
    np.testing.assert_array_equal(training_orders(keys[5:6], grid)[0], orders[5])
    lasts = []
    for order in orders:
        positions = np.argsort(order.reshape(-1))
        starts = np.flatnonzero(np.diff(positions) < 0) + 1
        # Both parts in raster order make one descent; 42 random pixels make about 20.
        if len(starts) <= 1:
            lasts.append(positions[starts[0] :] if len(starts) else positions)
        else:
            assert len(starts) > 8
    # Of 3,000 draws; the standard deviations of these shares are below 0.01.
    assert abs(len(lasts) / len(orders) - 2 / 3) < 0.04
    boxes = [len(set(part // 7)) * len(set(part % 7)) == len(part) for part in lasts]
    # Small shares of pixels may be rectangles too.
    assert 0.29 < sum(boxes) / len(orders) < 0.43
    others = [len(part) for part, box in zip(lasts, boxes, strict=True) if not box]
    assert abs(np.mean(others) - 21) < 3 and max(others) > 36 and min(others) < 6


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_neighbours_are_those_in_the_square_that_come_before(kernel_size):
    grid = Grid(4, 5, 1, 2)
    orders = random_orders(jax.random.split(jax.random.key(2), 3), grid)
    found = np.asarray(neighbours_before(orders, kernel_size))
    assert found.shape == (3, 4, 5, kernel_size**2 - 1)
    half = kernel_size // 2
    for order, slots in zip(np.asarray(orders), found, strict=True):
        for i, j in np.ndindex(4, 5):
            expected = []
            for m in range(i - half, i + half + 1):
                for n in range(j - half, j + half + 1):
                    if (m, n) == (i, j):
                        continue
                    before = 0 <= m < 4 and 0 <= n < 5 and order[m, n] < order[i, j]
                    expected.append(order[m, n] + 1 if before else EMPTY)
            place = divmod(int(order[i, j]), 5)
            np.testing.assert_array_equal(slots[place], expected)
