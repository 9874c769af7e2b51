"""What a tokenizer keeps of a split, against float64 over all of its images at once."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.data import Split, Symbols
from pixelprior.data.decode_once import DecodeOnce
from pixelprior.evaluation.reconstruction import code_bits, evaluate_reconstruction
from pixelprior.grid import Grid
from pixelprior.system.devices import data_mesh
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.vector_quantizer import VectorQuantizer

GRID = Grid(4, 8, 1, 5)
VARIANCE = 0.2


class Images:
    def __init__(self, count):
        rng = np.random.default_rng(0)
        # Some dark and some bright, so that it is seen which ones count.
        self.images = np.minimum(
            rng.integers(0, 3, (count, *GRID.shape)) + rng.integers(0, 3, (count, 1, 1, 1)), 4
        ).astype(np.uint8)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {"image": self.images[index], "label": 0}


@functools.cache
def tokenizer(likelihood):
    """Two levels, two codebooks each; only traced, then filled."""

    def make():
        return VQVAE(
            GRID,
            strides=(2, 2),
            quantizer=lambda rngs: VectorQuantizer(4, codebook_size=6, num_codebooks=2, rngs=rngs),
            features=4,
            residual_features=3,
            num_residual_blocks=1,
            likelihood=likelihood,
            rngs=nnx.Rngs(0),
        )

    graph, shapes = nnx.split(nnx.eval_shape(make))
    rng = np.random.default_rng(1)
    return nnx.merge(
        graph, jax.tree.map(lambda s: jnp.asarray(0.4 * rng.normal(size=s.shape), s.dtype), shapes)
    )


def evaluate(likelihood, images, batch_size):
    split = Split("test", DecodeOnce(images, GRID.shape), 5, "all of it")
    return evaluate_reconstruction(
        tokenizer(likelihood),
        split,
        Symbols(5, "none"),
        variance=VARIANCE,
        batch_size=batch_size,
        mesh=data_mesh(),
    )


@functools.cache
def everything(likelihood, count):
    """Of all images as one batch: pixels, what they become, codes, and nats."""
    model, x = tokenizer(likelihood), jnp.asarray(Images(count).images, jnp.int32)

    @jax.jit
    def run(pixels):
        encoded = model.quantize(pixels)
        parameters = model.decode_parameters([level.vectors for level in encoded])
        reconstructed = model.reconstruct(pixels)
        return reconstructed, parameters, [level.indices for level in encoded]

    pixels = np.asarray(x) / 4.0
    reconstructed, parameters, codes = run(jnp.asarray(pixels, jnp.float32))
    nats = None
    if likelihood == "discretized_logistic":
        nats = -np.asarray(model.likelihood.log_prob(parameters, x), np.float64)
    error = ((np.float64(reconstructed) - pixels) ** 2).mean(axis=(1, 2, 3))
    return error, nats, [np.asarray(level) for level in codes]


def numpy_use(codes):
    perplexities, used = [], []
    for g in range(codes.shape[-1]):
        counts = np.bincount(codes[..., g].ravel(), minlength=6)
        p = counts[counts > 0] / counts.sum()
        perplexities.append(np.exp(-(p * np.log(p)).sum()))
        used.append((counts > 0).mean())
    return np.mean(perplexities), np.mean(used)


# A last batch that is filled up by 1, and one larger than the split.
@pytest.mark.parametrize(
    ("likelihood", "batch_size"),
    [("gaussian", 4), ("gaussian", 16), ("discretized_logistic", 4)],
)
def test_every_image_counts_once(likelihood, batch_size):
    error, nats, codes = everything(likelihood, 11)
    # An image counted twice, or left out, would be seen.
    assert error.std() > 0.1 * error.mean()
    result = evaluate(likelihood, Images(11), batch_size)
    assert (result.num_images, result.num_dims) == (11, 32)
    np.testing.assert_allclose(result.squared_error, error.mean(), rtol=1e-5)
    wanted = math.sqrt(((error - error.mean()) ** 2).sum() / 10) / math.sqrt(11)
    np.testing.assert_allclose(result.squared_error_error, wanted, rtol=1e-4)
    np.testing.assert_allclose(result.psnr, 10 * math.log10(1 / error.mean()), rtol=1e-5)

    assert len(result.use) == 2
    for use, level in zip(result.use, codes, strict=True):
        perplexity, used = numpy_use(level)
        assert perplexity > 1.2
        np.testing.assert_allclose(use.perplexity, perplexity, rtol=1e-9)
        np.testing.assert_allclose(use.used, used, rtol=1e-9)

    # 1 x 2 and 2 x 4 codes of two codebooks with six codes each.
    np.testing.assert_allclose(result.code_bits, 2 * (2 + 8) * math.log2(6))
    assert result.code_bits == code_bits(tokenizer(likelihood))
    metrics = result.metrics()
    names = {"loss", "squared_error", "psnr"} | {
        f"{level}_{what}" for level in ("top", "bottom") for what in ("perplexity", "codes_used")
    }
    if likelihood == "gaussian":
        np.testing.assert_allclose(result.loss, error.mean() / VARIANCE, rtol=1e-5)
        assert result.bits_per_dim is None and result.decoder_bits_per_dim is None
        assert "bits/dim" not in result.words()
    else:
        decoder = nats.mean() / 32 / math.log(2)
        np.testing.assert_allclose(result.loss, nats.mean() / 32, rtol=1e-5)
        np.testing.assert_allclose(result.decoder_bits_per_dim, decoder, rtol=1e-5)
        bound = decoder + 20 * math.log2(6) / 32
        np.testing.assert_allclose(result.bits_per_dim, bound, rtol=1e-5)
        assert f"{bound:.4f} bits/dim" in result.words()
        names |= {"bits_per_dim"}
    assert set(metrics) == names
    assert metrics["top_perplexity"] == result.use[0].perplexity
    assert metrics["bottom_codes_used"] == result.use[1].used
    assert f"MSE {error.mean():.5f} (" in result.words()


def test_one_image_has_no_standard_error():
    result = evaluate("gaussian", Images(1), 4)
    assert math.isnan(result.squared_error_error) and result.num_images == 1


def test_a_perfect_reconstruction_has_a_finite_signal_to_noise_ratio():
    result = evaluate("gaussian", Images(1), 4)._replace(squared_error=0.0)
    np.testing.assert_allclose(result.psnr, 120)
