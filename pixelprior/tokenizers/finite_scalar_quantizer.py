"""Finite scalar quantization: a codebook that cannot collapse, since it is a fixed grid of points.

Legend: n any leading axes, g codebooks (side by side), k codes of each, d features of a code.

References:
    Mentzer, Minnen, Agustsson and Tschannen 2023, "Finite Scalar Quantization: VQ-VAE Made Simple",
    section 3 and the appendix's code.
"""

import math

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.errors import InputError
from pixelprior.sizes import check_sizes
from pixelprior.tokenizers.gradients import straight_through
from pixelprior.tokenizers.quantizer import (
    Quantized,
    Quantizer,
    code_statistics,
    gather_codes,
)


class FiniteScalarQuantizer(Quantizer):
    """Quantizer that bounds each feature to (-1, 1) by tanh, then rounds it to one of a few values.

    Value l of L is ``2 l / (L - 1) - 1``, so the values are spread evenly from -1 to 1. For odd L
    these are the paper's values. For even L the paper shifts inside tanh and back outside, so that
    zero is a value. Its values are then asymmetric, its scale needs a small constant, and L = 2 is
    impossible. Here the values for even L are symmetric: the two middle ones are half a step from
    zero.

    Codes are values after tanh. Quantizing the output of quantizing may therefore give other codes.

    There are no weights and nothing is learned here: losses are 0, and `start` and `update` do
    nothing. The sums in the statistics are sums of the bounded features.

    Args:
        levels: number of values of each feature of a code, each at least 2. A codebook has as many
            codes as their product; the first feature runs fastest.
        num_codebooks: number of such codebooks side by side.
        rngs: unused; present so that all quantizers are built alike.

    Raises:
        InputError: if a setting is not as described, or int32 cannot count the codes.
    """

    def __init__(
        self, levels: tuple[int, ...], *, num_codebooks: int = 1, rngs: nnx.Rngs | None = None
    ):
        del rngs
        several = isinstance(levels, list | tuple)
        if not levels or not several or any(not isinstance(n, int) or n < 2 for n in levels):
            raise InputError(
                "levels must be integers of at least 2, one for each feature of a code, such as "
                f"(8, 5, 5), got {levels!r}"
            )
        levels = tuple(levels)
        if math.prod(levels) > np.iinfo(np.int32).max:
            raise InputError(
                f"levels must multiply to less than 2^31, got {math.prod(levels)}; use fewer, or "
                "several codebooks"
            )
        check_sizes(num_codebooks=num_codebooks)
        self.levels = levels
        self.num_codebooks = num_codebooks
        self.features = num_codebooks * len(levels)
        self.codebook_size = math.prod(levels)

    @property
    def codebook(self) -> Float[Array, "g k d"]:
        """See `Quantizer.codebook`: a table, computed on use."""
        places = np.arange(self.codebook_size)[:, None] // self._strides % self.levels
        codes = 2.0 * places / self._steps - 1.0
        table = np.broadcast_to(codes.astype(np.float32), (self.num_codebooks, *codes.shape))
        return jnp.asarray(table)

    def __call__(self, z: Float[Array, "*n g*d"], key: Array | None = None) -> Quantized:
        """See `Quantizer.__call__`. The key is unused: no code is ever dead."""
        del key
        bounded = jnp.tanh(self._pieces(z))
        places = jnp.round(0.5 * (bounded + 1.0) * self._steps).astype(jnp.int32)
        indices: Int[Array, "*n g"] = (places * self._strides).sum(axis=-1)
        codes = gather_codes(self.codebook, indices)
        zero = jnp.zeros((), jnp.float32)
        return Quantized(
            vectors=straight_through(bounded, codes).reshape(z.shape).astype(z.dtype),
            indices=indices,
            commitment_loss=zero,
            codebook_loss=zero,
            statistics=code_statistics(bounded, indices, self.codebook_size),
        )

    # NumPy arrays, computed on use: arrays kept on a module would become state.

    @property
    def _steps(self) -> np.ndarray:
        """Number of steps from the first value to the last, for each feature."""
        return np.asarray(self.levels, np.float32) - 1.0

    @property
    def _strides(self) -> np.ndarray:
        """Difference of index from one value of a feature to the next, for each feature."""
        return np.cumprod((1, *self.levels[:-1])).astype(np.int32)
