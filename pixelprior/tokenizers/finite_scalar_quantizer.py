"""The codebook that cannot collapse: a grid of fixed points.

Legend: n any leading axes, g codebooks (side by side), k codes of each, d features of a code.

References:
    Mentzer, Minnen, Agustsson and Tschannen 2023, "Finite Scalar Quantization: VQ-VAE Made
    Simple", section 3 and the appendix's code.
"""

import math

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.errors import InputError
from pixelprior.tokenizers.quantizer import (
    Quantized,
    Quantizer,
    check_whole_numbers,
    code_statistics,
    gather_codes,
    straight_through,
)


class FiniteScalarQuantizer(Quantizer):
    """Each feature is bounded to (-1, 1) by tanh, then rounded to one of its few levels.

    Level l of L stands for ``2 l / (L - 1) - 1``, so the levels are spread evenly from -1 to 1.
    For odd L these are the paper's. For even L the paper shifts inside tanh and out again, so that
    zero is a level: its levels are lopsided, its scale needs a small constant, and L = 2 is out of
    its reach. Here they lie half a level off zero, to both sides of it alike.

    Codes live behind tanh: quantizing once more what quantizing gave may give other codes.

    There are no weights and nothing is learned here: losses are 0, `start` and `update` do
    nothing. The sums in the statistics are those of the bounded features.

    Args:
        levels: how many levels each feature of a code has, each at least 2. A codebook has as many
            codes as their product, the first feature running fastest.
        num_codebooks: how many such codes side by side.
        rngs: not used; there so that all quantizers are built alike.

    Raises:
        InputError: if a setting is not as described, or int32 cannot count the codes.
    """

    def __init__(
        self, levels: tuple[int, ...], *, num_codebooks: int = 1, rngs: nnx.Rngs | None = None
    ):
        del rngs
        levels = tuple(levels)
        if not levels or any(not isinstance(count, int) or count < 2 for count in levels):
            raise InputError(
                f"levels must be integers of at least 2, one for each feature of a code, "
                f"got {levels}"
            )
        if math.prod(levels) > np.iinfo(np.int32).max:
            raise InputError(
                f"levels must multiply to less than 2^31, got {math.prod(levels)}; use fewer, or "
                "several codebooks"
            )
        check_whole_numbers(num_codebooks=num_codebooks)
        self.levels = levels
        self.num_codebooks = num_codebooks
        self.features = num_codebooks * len(levels)
        self.codebook_size = math.prod(levels)

    @property
    def codebook(self) -> Float[Array, "g k d"]:
        """See `Quantizer.codebook`: a table, made where it is used."""
        places = np.arange(self.codebook_size)[:, None] // self._strides % self.levels
        codes = 2.0 * places / self._steps - 1.0
        table = np.broadcast_to(codes.astype(np.float32), (self.num_codebooks, *codes.shape))
        return jnp.asarray(table)

    def __call__(self, z: Float[Array, "*n g*d"], key: Array | None = None) -> Quantized:
        """See `Quantizer.__call__`. A key is not used: no code is ever dead."""
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

    # NumPy, and made where they are used: arrays kept on a module would become state.

    @property
    def _steps(self) -> np.ndarray:
        """From the first level to the last, for each feature."""
        return np.asarray(self.levels, np.float32) - 1.0

    @property
    def _strides(self) -> np.ndarray:
        """What one level of each feature adds to the index."""
        return np.cumprod((1, *self.levels[:-1])).astype(np.int32)
