"""`pp.compress` and `pp.decompress`: round trips, blocks, damage, and refusals."""

import base64
import io

import jax
import numpy as np
import pytest
from flax import nnx

import pixelprior as pp
from pixelprior.coding import codec
from pixelprior.coding.compressed import CompressedReader, Images, write_images
from pixelprior.coding.container import ContainerReader, ContainerWriter, DamagedFileError
from tests.release import BEFORE_A_RELEASE

GRID = pp.Grid(4, 5, 1, 3)
SIZES = dict(features=4, num_layers=1, embedding_features=3, head_features=6)


@pytest.fixture(scope="module")
def model():
    return pp.GatedPixelCNN(GRID, rngs=nnx.Rngs(0), **SIZES)


def grids(num, seed=0):
    return np.random.default_rng(seed).integers(0, 3, (num, *GRID.shape))


@pytest.mark.parametrize("settings", [{}, {"batch_size": 4}, {"batch_size": 9, "verify": False}])
def test_a_round_trip(model, settings):
    x = grids(9)
    data = pp.compress(model, x, **settings)
    np.testing.assert_array_equal(pp.decompress(model, data), x)
    # JAX arrays and small types are symbols too.
    assert pp.compress(model, jax.numpy.asarray(x, "uint8"), **settings) == data


def test_labels():
    own = pp.PixelCNN(GRID, rngs=nnx.Rngs(0), num_classes=2, null_class=True, **SIZES)
    x = grids(3)
    sizes = set()
    for label in (None, 1, [0, 1, 1]):
        data = pp.compress(own, x, label)
        np.testing.assert_array_equal(pp.decompress(own, data), x)
        sizes.add(data)
    assert len(sizes) == 3
    with pytest.raises(pp.InputError, match="label"):
        pp.compress(own, x, 2)
    with pytest.raises(pp.InputError, match="2 classes, but no label was given; give label"):
        pp.compress(pp.PixelCNN(GRID, rngs=nnx.Rngs(0), num_classes=2, **SIZES), x)


def test_vectors_keep_every_bit():
    sizes = {"num_classes": 2, "vector_features": 3, "null_class": True}
    own = pp.PixelCNN(GRID, rngs=nnx.Rngs(0), **sizes, **SIZES)
    x, rng = pp.sample(own, jax.random.key(0), 90), np.random.default_rng(0)
    vectors = rng.normal(size=(90, 3)).astype(np.float32) * 10.0 ** rng.integers(-30, 8, (90, 3))
    data = pp.compress(own, x, 1, vector=vectors)
    np.testing.assert_array_equal(pp.decompress(own, data), x)
    blocks = CompressedReader(io.BytesIO(data), "x").blocks(codec.Codec(own))
    kept = np.concatenate([block.context.vector for block in blocks])
    np.testing.assert_array_equal(kept, vectors.astype(np.float32))
    assert data != pp.compress(own, x, 1, vector=vectors[::-1])
    # Neither class nor vector.
    np.testing.assert_array_equal(pp.decompress(own, pp.compress(own, x)), x)
    for given, message in (
        ({"label": 1}, "no vector was given, and it takes both or neither"),
        ({"label": 1, "vector": [1.0, 2.0]}, "vector must be 3 real numbers, or 90 rows"),
        ({"label": 1, "vector": [1.0, 2.0, np.nan]}, "vector must hold finite numbers"),
    ):
        with pytest.raises(pp.InputError, match=message):
            pp.compress(own, x, **given)
    other = pp.PixelCNN(GRID, rngs=nnx.Rngs(0), **sizes | {"vector_features": 2}, **SIZES)
    with pytest.raises(pp.InputError, match=r"another size of vectors \(3 there, 2 here\)"):
        pp.decompress(other, data, force=True)


def rewritten(data, header=lambda header: header, facts=lambda number, facts: facts):
    """The same file with other facts, and with digests that fit."""
    container, file = ContainerReader(io.BytesIO(data), "x"), io.BytesIO()
    writer = ContainerWriter(file, header(dict(container.header)))
    for number, block in enumerate(container.blocks()):
        writer.add(block._replace(facts=facts(number, dict(block.facts))))
    writer.finish()
    return file.getvalue()


@pytest.mark.parametrize(
    "vectors",
    [
        "",
        "AAAA",  # three bytes
        "no base64",
        base64.b64encode(np.zeros(3, "<f4")).decode(),
        base64.b64encode(np.zeros(6, "<f4")).decode(),
        base64.b64encode(np.full(4, np.inf, "<f4")).decode(),
    ],
)
def test_vectors_that_do_not_fit_are_damage(vectors):
    own = pp.PixelCNN(GRID, rngs=nnx.Rngs(0), vector_features=2, **SIZES)
    data = pp.compress(own, grids(2), vector=[[0.0, 1.0], [2.0, 3.0]])
    broken = rewritten(data, facts=lambda _, facts: facts | {"vectors": vectors})
    with pytest.raises(DamagedFileError, match="the conditions in block 1 of the data do not fit"):
        pp.decompress(own, broken)


def test_blocks_have_the_same_conditions(monkeypatch):
    monkeypatch.setattr(codec, "BLOCK_SYMBOLS", 4 * GRID.size)
    own = pp.PixelCNN(GRID, rngs=nnx.Rngs(0), vector_features=1, null_class=True, **SIZES)
    with_, without = (pp.compress(own, grids(8), vector=v, batch_size=4) for v in ([0.5], None))
    # The first block of one file, and the second one of the other.
    first, second = (ContainerReader(io.BytesIO(data), "x") for data in (with_, without))
    file = io.BytesIO()
    writer = ContainerWriter(file, first.header)
    writer.add(next(first.blocks()))
    writer.add(list(second.blocks())[1])
    writer.finish()
    with pytest.raises(DamagedFileError, match="block 2 of the data has other conditions than"):
        pp.decompress(own, file.getvalue())


def test_only_a_file_with_vectors_tells_their_size(model):
    data = pp.compress(model, grids(3))
    assert "vector_features" not in CompressedReader(io.BytesIO(data), "x").header
    other = rewritten(data, header=lambda header: header | {"vector_features": 2})
    with pytest.raises(pp.InputError, match=r"another size of vectors \(2 there, 0 here\)"):
        pp.decompress(model, other, force=True)


def test_blocks_bound_the_numbers_of_vectors(monkeypatch):
    own = pp.PixelCNN(GRID, rngs=nnx.Rngs(0), vector_features=100, **SIZES)
    assert codec.Codec(own, batch_size=64).images_per_block == 4_194_304 // 100 // 64 * 64
    monkeypatch.setattr(codec, "BLOCK_NUMBERS", 3000)
    assert codec.Codec(own, batch_size=8).images_per_block == 24
    with pytest.raises(pp.InputError, match="at most 3,000 numbers, got 31 vectors of 100; give"):
        codec.Codec(own, batch_size=31)


def test_a_file_keeps_no_other_conditions():
    own = pp.PixelCNN(GRID, rngs=nnx.Rngs(0), turns=True, **SIZES)
    block = Images([grids(2)], pp.Context(turn=np.arange(2)))
    with pytest.raises(pp.InputError, match="keeps the fields label and vector .*, got turn too"):
        write_images(io.BytesIO(), codec.Codec(own, batch_size=2), [block], 2)


def test_a_prior():
    places = [pp.Grid(2, 2, 1, 8), pp.Grid(4, 4, 1, 5)]

    def make(grid, **settings):
        return pp.GatedPixelCNN(grid, **SIZES, **settings)

    prior = pp.Prior(places, [make, make], rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, grid.levels, (5, *grid.shape)) for grid in places]
    for again, level in zip(pp.decompress(prior, pp.compress(prior, maps)), maps, strict=True):
        np.testing.assert_array_equal(again, level)


@pytest.fixture
def in_blocks(model, monkeypatch):
    """Data of three blocks of eight images, and the images."""
    monkeypatch.setattr(codec, "BLOCK_SYMBOLS", 8 * GRID.size)
    return pp.compress(model, grids(20), batch_size=4), grids(20)


def test_blocks_before_the_damage_are_still_there(model, in_blocks):
    data, x = in_blocks
    reader = CompressedReader(io.BytesIO(data[: int(0.7 * len(data))]), "x")
    found = []
    with pytest.raises(DamagedFileError, match="x is cut.* block 3|x is cut .*in block 2"):
        for block in reader.blocks(codec.Codec(model, batch_size=4)):
            found.append(block.maps[0])
    assert found and len(found) < 3
    again = np.concatenate(found)
    np.testing.assert_array_equal(again, x[: len(again)])


def damaged(data, others, rng):
    """Flip a bit, cut, insert, repeat, or splice in a part of another file."""
    place, end = sorted(rng.integers(0, len(data), 2))
    kind = rng.integers(5)
    if kind == 0:
        flipped = bytearray(data)
        flipped[place] ^= 1 << rng.integers(8)
        return bytes(flipped)
    if kind == 1:
        return data[:place]
    if kind == 2:
        return data[:place] + rng.bytes(rng.integers(1, 40)) + data[end:]
    if kind == 3:
        return data[:end] + data[place:]
    other = others[rng.integers(len(others))]
    return data[:place] + other[place:end] + data[end:]


@pytest.mark.parametrize("num", [150, pytest.param(2000, marks=BEFORE_A_RELEASE)])
def test_damage_is_an_error_or_harmless(model, in_blocks, num):
    data, x = in_blocks
    others = [pp.compress(model, grids(20, seed), batch_size=4) for seed in (1, 2)]
    rng, refused = np.random.default_rng(num), 0
    for _ in range(num):
        broken = damaged(data, others, rng)
        try:
            again = pp.decompress(model, broken, force=bool(rng.integers(2)))
        except pp.InputError:
            refused += 1
        else:
            assert broken == data
            np.testing.assert_array_equal(again, x)
    assert refused > 0.9 * num


def test_what_is_refused(model):
    x = grids(2)
    for symbols, message in (
        (x[0], "symbols must be arrays"),
        (x[:0], "symbols must be arrays"),
        ("x", "symbols must be arrays"),
        (x + 1, r"expected symbols in \[0, 3\)"),
        (x.astype(float), "expected integer symbols"),
    ):
        with pytest.raises(pp.InputError, match=message):
            pp.compress(model, symbols)
    with pytest.raises(pp.InputError, match="this model has no classes"):
        pp.compress(model, x, 1)
    with pytest.raises(pp.InputError, match="batch_size must"):
        pp.compress(model, x, batch_size=0)
    with pytest.raises(pp.InputError, match="data must be the bytes"):
        pp.decompress(model, "x.ppz")
    with pytest.raises(pp.InputError, match="batch_size must be at most 65,536"):
        pp.compress(model, x, batch_size=10**30)
    prior = pp.Prior([GRID], [pp.PixelCNN], rngs=nnx.Rngs(0))
    for symbols in (5, None, [], x):
        with pytest.raises(pp.InputError, match="a prior needs a list of maps"):
            pp.compress(prior, symbols)
    data = pp.compress(model, x)
    other = pp.GatedPixelCNN(GRID, rngs=nnx.Rngs(1), **SIZES)
    with pytest.raises(pp.InputError, match="another fingerprint of the model"):
        pp.decompress(other, data)
    with pytest.raises(pp.InputError, match="block 1 of the data cannot be read back"):
        pp.decompress(other, data, force=True)
    large = pp.GatedPixelCNN(pp.Grid(4, 6, 1, 3), rngs=nnx.Rngs(0), **SIZES)
    with pytest.raises(pp.InputError, match="another grid"):
        pp.decompress(large, data, force=True)
