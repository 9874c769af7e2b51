"""Pixels to symbols and back, by hand-computed values and by counting."""

import numpy as np
import pytest

from pixelprior.data import DataError, Symbols, to_pixels

BYTES = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)


def _symbols(symbols, pixels, native_levels=256, *, split="train", indices=None, fresh=None):
    indices = range(len(pixels)) if indices is None else indices
    return symbols.to_symbols(pixels, native_levels, split=split, indices=indices, fresh=fresh)


@pytest.mark.parametrize("bits", range(1, 9))
def test_powers_of_two_drop_the_lowest_bits(bits):
    out = _symbols(Symbols(2**bits, "none"), BYTES)
    assert out.dtype == np.int32
    np.testing.assert_array_equal(out, BYTES.astype(np.int32) >> (8 - bits))


def test_other_levels_by_hand():
    pixels = np.arange(17, dtype=np.uint8).reshape(1, 1, 17, 1)
    np.testing.assert_array_equal(_symbols(Symbols(17, "none"), pixels, 17), pixels)
    # floor(x * 5 / 17)
    assert _symbols(Symbols(5, "none"), pixels, 17).ravel().tolist() == [
        0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4,
    ]  # fmt: skip


def test_threshold_by_hand():
    threshold = Symbols(2, "threshold")
    np.testing.assert_array_equal(_symbols(threshold, BYTES).ravel(), [0] * 128 + [1] * 128)
    pixels = np.arange(17, dtype=np.uint8).reshape(1, 1, 17, 1)  # half of 0 .. 16 is 8
    assert _symbols(threshold, pixels, 17).ravel().tolist() == [0] * 8 + [1] * 9


@pytest.mark.parametrize("native_levels", [17, 256])
def test_draws_have_the_mean_of_the_pixels(native_levels):
    brightest = native_levels - 1
    values = np.linspace(0, brightest, 5).astype(np.uint8)
    pixels = np.broadcast_to(values[:, None, None, None], (5, 100, 100, 1))
    for symbols, fresh in ((Symbols(2, "static"), None), (Symbols(2, "dynamic"), (3, 4))):
        draws = _symbols(symbols, pixels, native_levels, fresh=fresh)
        assert set(np.unique(draws)) == {0, 1}
        # The standard error of a mean of 10,000 draws is at most 0.005; 0.025 is five of them.
        np.testing.assert_allclose(draws.mean((1, 2, 3)), values / brightest, rtol=0, atol=0.025)
        assert not draws[0].any() and draws[-1].all()  # black and white are certain


def test_static_draws_depend_on_split_and_index_alone():
    pixels = np.full((3, 12, 11, 1), 128, np.uint8)
    static = Symbols(2, "static")
    batch = _symbols(static, pixels, indices=[7, 8, 9])
    np.testing.assert_array_equal(batch, _symbols(static, pixels, indices=[7, 8, 9]))
    np.testing.assert_array_equal(batch[2:], _symbols(static, pixels[:1], indices=[9]))
    np.testing.assert_array_equal(batch, _symbols(static, pixels, indices=[7, 8, 9], fresh=(0, 1)))
    assert (batch[0] != batch[1]).any()
    assert (batch != _symbols(static, pixels, indices=[7, 8, 9], split="test")).any()


def test_dynamic_draws_are_fresh_for_seed_step_and_place():
    pixels = np.full((2, 12, 11, 1), 128, np.uint8)
    dynamic = Symbols(2, "dynamic")
    draws = {fresh: _symbols(dynamic, pixels, fresh=fresh) for fresh in ((0, 0), (0, 1), (1, 0))}
    np.testing.assert_array_equal(draws[0, 0], _symbols(dynamic, pixels, fresh=(0, 0)))
    assert (draws[0, 0] != draws[0, 1]).any()
    assert (draws[0, 0] != draws[1, 0]).any()
    assert (draws[0, 1] != draws[1, 0]).any()
    assert (draws[0, 0][0] != draws[0, 0][1]).any()


def test_dynamic_keeps_the_static_draw_where_nothing_is_trained():
    pixels = np.full((2, 12, 11, 1), 128, np.uint8)
    np.testing.assert_array_equal(
        _symbols(Symbols(2, "dynamic"), pixels, split="test"),
        _symbols(Symbols(2, "static"), pixels, split="test"),
    )


@pytest.mark.parametrize(
    ("symbols", "split", "words"),
    [
        (Symbols(256, "none"), "test", "256 levels (8 bits)"),
        (Symbols(2, "none"), "train", "2 levels (1 bit)"),
        (Symbols(17, "none"), "test", "17 levels"),
        (Symbols(2, "threshold"), "test", "binarised at half intensity"),
        (Symbols(2, "static"), "train", "statically binarised"),
        (Symbols(2, "dynamic"), "train", "dynamically binarised"),
        (Symbols(2, "dynamic"), "test", "dynamically binarised in training, one fixed draw here"),
    ],
)
def test_the_words_beside_a_result(symbols, split, words):
    assert symbols.describe(split) == words


@pytest.mark.parametrize(
    ("levels", "binarisation", "message"),
    [
        (1, "none", "levels from 2 to 256, got 1"),
        (257, "none", "levels from 2 to 256, got 257"),
        (2, "Static", "one of none, threshold, static, dynamic, got 'Static'"),
        (256, "dynamic", "gives 2 levels, but levels is 256"),
    ],
)
def test_what_symbols_cannot_be(levels, binarisation, message):
    with pytest.raises(DataError, match=message):
        Symbols(levels, binarisation)


def test_more_levels_than_the_pixels_have():
    with pytest.raises(DataError, match="at most the 17 levels .*got levels=256"):
        _symbols(Symbols(256, "none"), BYTES, 17)


def test_to_pixels():
    pixels = to_pixels(np.array([0, 1, 3, 4]).reshape(1, 2, 2, 1), 5)
    assert pixels.dtype == np.float32
    assert pixels.ravel().tolist() == [0.0, 0.25, 0.75, 1.0]
