"""Small models, made once for all tests of the verbs."""

import pytest
from flax import nnx

import pixelprior as pp
from tests.verbs.models import GRID, SMALL


@pytest.fixture(scope="session")
def model():
    return pp.GatedPixelCNN(GRID, **SMALL, num_classes=3, null_class=True, rngs=nnx.Rngs(0))


@pytest.fixture(scope="session")
def plain():
    return pp.PixelCNN(GRID, **SMALL, rngs=nnx.Rngs(0))


@pytest.fixture(scope="session")
def tokenizer():
    return pp.VQVAE2(
        pp.Grid(height=8, width=8, channels=1, levels=17),
        strides=(2, 2),
        features=4,
        residual_features=2,
        num_residual_blocks=1,
        quantizer=lambda rngs: pp.VectorQuantizer(4, codebook_size=8, rngs=rngs),
        rngs=nnx.Rngs(0),
    )


@pytest.fixture(scope="session")
def prior(tokenizer):
    def make(grid, **settings):
        return pp.PixelCNN(grid, **SMALL, **settings)

    return pp.Prior(
        tokenizer.code_grids, [make, make], num_classes=3, context_features=4, rngs=nnx.Rngs(1)
    )
