"""Residual codes in everything that is done with a run: a prior, one file, compression."""

import jax
import numpy as np
import pytest

import pixelprior as pp

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["moving_average", "loss"])
def runs(request):
    """A tokenizer with six codes at each position, and a prior over them."""
    tokenizer = pp.fit(
        "digits:vqvae",
        tokenizer={"features": 8, "residual_features": 4},
        quantizer={
            "features": 4,
            "codebook_size": 5,
            "num_codebooks": 2,
            "depth": 3,
            "gradient": "rotation",
            "learning": request.param,
        },
        num_steps=30,
        progress=False,
    )
    prior = pp.fit(
        "digits:prior",
        tokenizer=tokenizer,
        models={"top": {"features": 8, "num_layers": 2, "head_features": 8}},
        num_steps=5,
        progress=False,
    )
    return tokenizer, prior


def test_codes_are_channels_of_the_grid_of_the_prior(runs):
    tokenizer, prior = runs
    (grid,) = tokenizer.model.code_grids
    assert grid.shape == (4, 4, 6) and grid.levels == 5
    assert list(prior.model.grids) == [grid]
    # Every code is learned: the codebooks of all depths are in use.
    counts = np.asarray(prior.data["code_counts"][0])
    assert counts.shape == (6, 5) and (counts > 0).sum(axis=1).min() > 1
    assert pp.evaluate(prior)["bits_per_code"] > 0
    images = pp.sample(prior, jax.random.key(0), 3)
    assert [np.shape(level) for level in images] == [(3, 4, 4, 6)]
    grid.check(images[0])


def test_deeper_codes_explain_less(runs):
    # From k-means on remainders, each codebook is smaller than that of the depth before it.
    (codebook,) = runs[0].model.codebook
    sizes = np.linalg.norm(np.asarray(codebook), axis=-1).reshape(3, -1).mean(axis=1)
    assert sizes[0] > sizes[1] > sizes[2]


def test_one_file_gives_the_same_codes_and_images(runs, tmp_path):
    tokenizer, _ = runs
    pp.export(tokenizer, tmp_path / "codes.safetensors")
    loaded = pp.load_trained(tmp_path / "codes.safetensors")
    assert loaded.config["quantizer"] == tokenizer.config["quantizer"]
    pixels = np.random.default_rng(0).uniform(size=(5, 8, 8, 1)).astype(np.float32)
    codes = pp.encode(tokenizer, pixels)
    np.testing.assert_array_equal(pp.encode(loaded, pixels)[0], codes[0])
    np.testing.assert_array_equal(pp.decode(loaded, codes), pp.decode(tokenizer, codes))
    np.testing.assert_array_equal(pp.decode(loaded, codes), pp.reconstruct(loaded, pixels))


def test_codes_are_compressed_and_restored(runs):
    tokenizer, prior = runs
    pixels = np.random.default_rng(1).uniform(size=(7, 8, 8, 1)).astype(np.float32)
    codes = pp.encode(tokenizer, pixels)
    labels = np.arange(7) % 10
    data = pp.compress(prior, codes, label=labels)
    restored = pp.decompress(prior, data)
    np.testing.assert_array_equal(restored[0], codes[0])
