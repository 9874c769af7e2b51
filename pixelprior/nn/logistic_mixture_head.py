"""A head for intensities: a mixture of discretised logistics (in the making)."""

from flax import nnx

from pixelprior.grid import Grid
from pixelprior.nn.head import Head


class LogisticMixtureHead(Head):
    """In the making."""

    def __init__(
        self, grid: Grid, d: int, *, hidden_features: int, num_mixtures: int, rngs: nnx.Rngs
    ):
        raise NotImplementedError
