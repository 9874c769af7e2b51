"""The coder of a model: batches, blocks, labels, types, and damage."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import pixelprior as pp
from pixelprior.coding import codec as module
from pixelprior.coding.codec import Codec, DamagedStreamError
from pixelprior.coding.scan import num_lanes
from tests.several_devices import run_on_devices

GRID = pp.Grid(4, 5, 1, 3)
SIZES = dict(features=4, num_layers=1, embedding_features=3, head_features=6)


@functools.cache
def model(**settings):
    return pp.GatedPixelCNN(GRID, rngs=nnx.Rngs(0), **SIZES, **settings)


def grids(num, grid=GRID, seed=0):
    return np.random.default_rng(seed).integers(0, grid.levels, (num, *grid.shape))


@pytest.mark.parametrize("batch, num", [(1, 3), (7, 20), (8, 8), (12, 5), (64, 65)])
def test_batches_of_every_size(batch, num):
    codec, x = Codec(model(), batch_size=batch), grids(num)
    (again,) = codec.read(codec.write([x], None), num, None)
    np.testing.assert_array_equal(again, x)
    assert again.dtype == np.int32


def test_the_number_of_lanes():
    assert [num_lanes(batch) for batch in (1, 7, 8, 12, 13, 64)] == [1, 7, 8, 6, 1, 8]


def test_it_compiles_once_for_writing_and_reading(monkeypatch):
    code, x = module._code.__wrapped__, grids(9)
    counted = chex.assert_max_traces(code, n=1)
    chex.clear_trace_counter()
    jitted = jax.jit(counted, static_argnames="graph")
    monkeypatch.setattr(module, "_code", jitted)
    for seed in (0, 1):
        own = pp.GatedPixelCNN(GRID, rngs=nnx.Rngs(seed), **SIZES)
        codec = Codec(own, batch_size=4)
        (again,) = codec.read(codec.write([x], None), 9, None)
        np.testing.assert_array_equal(again, x)


@pytest.mark.parametrize("head", ["softmax", "logistic_mixture"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_types_and_heads(head, dtype):
    grid = pp.Grid(3, 4, 3, 256)
    own = pp.GatedPixelCNN(grid, rngs=nnx.Rngs(0), head=head, dtype=dtype, num_mixtures=2, **SIZES)
    codec, x = Codec(own, batch_size=4), grids(6, grid)
    (again,) = codec.read(codec.write([x], None), 6, None)
    np.testing.assert_array_equal(again, x)


def test_labels_change_the_bits_and_must_be_the_same():
    own = model(num_classes=2, null_class=True)
    codec, labels = Codec(own, batch_size=4), np.asarray([0, 1, 2, 1, 0])
    x, context = grids(5), pp.Context(label=labels)
    stream = codec.write([x], context)
    np.testing.assert_array_equal(codec.read(stream, 5, context)[0], x)
    assert stream != codec.write([x], pp.Context(label=np.zeros(5, int)))
    # Labels of any type run the same program.
    assert stream == codec.write([x], pp.Context(label=jnp.asarray(labels, jnp.uint8)))
    for wrong, message in (
        (labels[:4], r"one integer label per grid, shape \(5,\), got int64 \(4,\)"),
        (labels + 1, r"expected labels in \[0, 2\), got 1 to 3"),
    ):
        with pytest.raises(pp.InputError, match=message):
            codec.write([x], pp.Context(label=wrong))
    with pytest.raises(pp.InputError, match="2 classes, but no label was given; give label"):
        Codec(model(num_classes=2), batch_size=4).write([x], None)
    with pytest.raises(pp.InputError, match="this model has no classes"):
        Codec(model(), batch_size=4).write([x], context)


def test_symbols_that_do_not_fit():
    codec = Codec(model(), batch_size=4)
    for wrong, message in (
        (grids(2) + 1, r"expected symbols in \[0, 3\)"),
        (grids(2)[:, :3], "expected symbols of shape"),
        (grids(2).astype(float), "expected integer symbols"),
    ):
        with pytest.raises(pp.InputError, match=message):
            codec.write([wrong], None)
    with pytest.raises(pp.InputError, match="expected 1 maps of codes"):
        codec.write([], None)
    with pytest.raises(pp.InputError, match="at least one image"):
        codec.write([grids(0)], None)
    for batch_size, message in ((0, "batch_size"), (10**6, "batch_size must be at most 65,536")):
        with pytest.raises(pp.InputError, match=message):
            Codec(model(), batch_size=batch_size)
    large = pp.PixelCNN(pp.Grid(999, 999, 3, 2), rngs=nnx.Rngs(0), **SIZES)
    with pytest.raises(pp.InputError, match="a batch must have at most 33,554,432 symbols"):
        Codec(large, batch_size=64)
    many = pp.PixelCNN(pp.Grid(1, 1, 1, 2**16 + 1), rngs=nnx.Rngs(0), **SIZES)
    with pytest.raises(pp.InputError, match="at most 65,536 values"):
        Codec(many)


def test_a_damaged_stream_ends_and_is_never_a_crash():
    codec, x = Codec(model(), batch_size=4), grids(8)
    stream, rng = codec.write([x], None), np.random.default_rng(0)
    refused = 0
    for number in range(60):
        damaged = bytearray(stream)
        place = rng.integers(len(damaged))
        damaged[place] ^= 1 << rng.integers(8)
        if number % 3 == 0:
            damaged = damaged[: rng.integers(len(damaged))]
        try:
            (again,) = codec.read(bytes(damaged), 8, None)
        except DamagedStreamError:
            refused += 1
        else:
            GRID.check(again)
            assert (again != x).any()
    assert refused >= 59


def test_a_prior_of_two_levels():
    tokenizer_grids = [pp.Grid(2, 2, 1, 8), pp.Grid(4, 4, 1, 5)]
    make = functools.partial(pp.GatedPixelCNN, **SIZES)
    prior = pp.Prior(tokenizer_grids, [make, make], num_classes=3, rngs=nnx.Rngs(0))
    codec = Codec(prior, batch_size=4)
    maps = [grids(9, grid, seed) for seed, grid in enumerate(tokenizer_grids)]
    context = pp.Context(label=np.arange(9) % 4)  # 3 is the null class
    stream = codec.write(maps, context)
    for again, level in zip(codec.read(stream, 9, context), maps, strict=True):
        np.testing.assert_array_equal(again, level)
    bits = -float(prior.log_prob([jnp.asarray(m) for m in maps], context).sum())
    assert 8 * len(stream) <= bits / np.log(2) * 1.001 + 48 * codec.lanes + 16


def test_blocks_bound_the_memory():
    codec = Codec(model(), batch_size=8)
    assert codec.images_per_block % 8 == 0
    assert codec.images_per_block * GRID.size <= module.BLOCK_SYMBOLS
    large = Codec(pp.PixelCNN(pp.Grid(999, 999, 3, 2), rngs=nnx.Rngs(0), **SIZES), batch_size=4)
    assert large.images_per_block == 4


@pytest.mark.slow
def test_the_number_of_devices_changes_nothing():
    assert run_on_devices(2, __file__) == run_on_devices(1, __file__)


if __name__ == "__main__":
    print(Codec(model(), batch_size=4).write([grids(9)], None).hex())
