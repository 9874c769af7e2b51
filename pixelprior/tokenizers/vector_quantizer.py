"""Learned codebook of the VQ-VAE: each vector becomes the nearest of k codes.

Legend: n vectors of a batch, g codebooks (side by side), k codes of each, d features of a code.

References:
    van den Oord, Vinyals and Kavukcuoglu 2017, "Neural Discrete Representation Learning".
    Yu et al. 2022, "Vector-quantized Image Modeling with Improved VQGAN", section 3.2: codes
    compared at unit length.
"""

import functools
import math
import numbers
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from pixelprior.errors import InputError
from pixelprior.nn.initializers import uniform, zeros
from pixelprior.sizes import check_shares, check_sizes
from pixelprior.tokenizers.quantizer import (
    CodeStatistics,
    Quantized,
    Quantizer,
    code_statistics,
    gather_codes,
    straight_through,
)

Learning = Literal["moving_average", "loss"]


class CodebookVariable(nnx.Variable):
    """Codes that are moving averages. No `nnx.Param`, so that no optimizer changes them."""


class CodeCounts(nnx.Variable):
    """Moving average of the number of vectors per batch that choose each code."""


def unit_length(x: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
    """Scale vectors to length 1. A zero vector stays zero, and its gradient is finite."""
    # The largest entry is divided out first, so that no square overflows or vanishes. It is
    # treated as a constant, since the result does not depend on it.
    peak = lax.stop_gradient(jnp.abs(x).max(axis=-1, keepdims=True))
    is_zero = peak < jnp.finfo(jnp.float32).tiny
    scaled = x / jnp.where(is_zero, 1.0, peak)
    squared = jnp.where(is_zero, 1.0, (scaled**2).sum(axis=-1, keepdims=True))
    return scaled * lax.rsqrt(squared)


def nearest_codes(z: Float[Array, "*n g d"], codebook: Float[Array, "g k d"]) -> Int[Array, "*n g"]:
    """Find the code with the least squared distance to each vector; on a tie, the lowest index."""
    g, _, d = codebook.shape
    # |z - e|^2 without |z|^2, which is the same for all codes. It needs one product, and no array
    # with a difference for each vector and code.
    product = jnp.einsum("ngd,gkd->ngk", z.reshape(-1, g, d), codebook, precision="highest")
    nearest = jnp.argmin((codebook**2).sum(axis=-1) - 2.0 * product, axis=-1)
    return nearest.astype(jnp.int32).reshape(z.shape[:-1])


@functools.partial(jax.jit, static_argnames=("codebook_size", "iterations", "cosine"))
def k_means(
    z: Float[Array, "*n g d"], key: Array, *, codebook_size: int, iterations: int, cosine: bool
) -> tuple[Float[Array, "g k d"], Float[Array, "g k"]]:
    """Run Lloyd's iterations from vectors drawn at random.

    Returns:
        The codes, and the number of vectors that chose each of them in the end.
    """
    g, d = z.shape[-2:]
    z = z.reshape(-1, g, d)
    # Vectors with different numbers in the batch, if there are enough.
    draw = functools.partial(
        jax.random.choice, a=z.shape[0], shape=(codebook_size,), replace=z.shape[0] < codebook_size
    )
    drawn = jax.vmap(draw)(jax.random.split(key, g))
    codes = z[drawn, jnp.arange(g)[:, None]]

    def assign(codes: Float[Array, "g k d"]) -> CodeStatistics:
        return code_statistics(z, nearest_codes(z, codes), codebook_size)

    def iterate(_: int, codes: Float[Array, "g k d"]) -> Float[Array, "g k d"]:
        chosen = assign(codes)
        means = chosen.sums / jnp.maximum(chosen.counts, 1.0)[..., None]
        means = unit_length(means) if cosine else means
        return jnp.where(chosen.counts[..., None] > 0, means, codes)

    codes = lax.fori_loop(0, iterations, iterate, codes)
    return codes, assign(codes).counts


class VectorQuantizer(Quantizer):
    """Nearest code of a learned codebook (van den Oord et al. 2017, section 3, equation 3).

    The codebook learns in one of two ways:

    - ``"moving_average"`` (appendix A.1): `update` moves each code towards the mean of the vectors
      that chose it. The paper keeps running averages N of the counts and m of the sums, and its
      codes are m / N. This class keeps N and the codes themselves, which move by
      ``(1 - decay) * (sum - count * code) / N``. The update is the same, since m = N * code. Only
      one variable defines a code. A code set by `start` or by a restart therefore stays there until
      vectors choose it. Running sums would pull it back to its old place. The paper's smoothing of
      N affects only the step, and pulls no code towards zero.

    - ``"loss"`` (equation 3): the codebook is an ordinary parameter, with a loss of its own.

    `update` also restarts dead codes at a vector of the batch. Dead codes are chosen too rarely to
    be of use. Call `update` once per step in both cases. With ``"loss"``, call it after the
    optimizer, which would overwrite it otherwise.

    With ``cosine``, vectors and codes are compared and returned at unit length per codebook. The
    losses, the sums and the straight-through gradient then apply to the vectors at unit length.

    Args:
        features: length of a vector; a multiple of ``num_codebooks``.
        codebook_size: number of codes per codebook.
        num_codebooks: number of codebooks side by side, each for its share of the features.
        learning: method by which the codebook learns, see above.
        decay: decay of the moving averages, per update; in [0, 1).
        commitment: beta, the weight of the commitment loss.
        epsilon: number added to each count in the divisor (Laplace smoothing), in vectors per
            batch.
        dead_share: a code is dead if its count is below this share of the mean count of its
            codebook. In [0, 1); 0 for never.
        k_means_iterations: number of Lloyd iterations that `start` makes.
        cosine: True if only directions count.
        rngs: source of the first codes, by its stream ``params``.

    Raises:
        InputError: if a setting is not as described.
    """

    def __init__(
        self,
        features: int,
        *,
        codebook_size: int = 256,
        num_codebooks: int = 1,
        learning: Learning = "moving_average",
        decay: float = 0.99,
        commitment: float = 0.25,
        epsilon: float = 1e-5,
        dead_share: float = 0.03,
        k_means_iterations: int = 10,
        cosine: bool = False,
        rngs: nnx.Rngs,
    ):
        check_sizes(features=features, codebook_size=codebook_size, num_codebooks=num_codebooks)
        check_sizes(0, k_means_iterations=k_means_iterations)
        check_shares(decay=decay, dead_share=dead_share)
        if features % num_codebooks:
            raise InputError(
                f"features must be a multiple of num_codebooks={num_codebooks}, got {features}"
            )
        if learning not in get_args(Learning):
            raise InputError(f"learning must be one of {get_args(Learning)}, got {learning!r}")
        for name, weight in (("commitment", commitment), ("epsilon", epsilon)):
            if not isinstance(weight, numbers.Real) or not 0 <= weight < math.inf:
                raise InputError(f"{name} must be a number of at least 0, got {weight!r}")
        self.features = features
        self.codebook_size = codebook_size
        self.num_codebooks = num_codebooks
        self.learning = learning
        self.decay = decay
        self.commitment = commitment
        self.epsilon = epsilon
        self.dead_share = dead_share
        self.k_means_iterations = k_means_iterations
        self.cosine = cosine
        # Small, as in the authors' code: lengths then hardly matter, and a vector chooses by
        # direction. If random codes were long, the shortest would be nearest to almost everything.
        shape = (num_codebooks, codebook_size, features // num_codebooks)
        codes = uniform(rngs.params(), shape, bound=1.0 / codebook_size)
        kind = CodebookVariable if learning == "moving_average" else nnx.Param
        self.codebook_vectors = kind(unit_length(codes) if cosine else codes)
        # From zero, the first update moves a code fully to the mean of the vectors that chose it.
        self.counts = CodeCounts(zeros(*shape[:2]))

    @property
    def codebook(self) -> Float[Array, "g k d"]:
        """See `Quantizer.codebook`; at unit length with ``cosine``."""
        codes = self.codebook_vectors[...]
        return unit_length(codes) if self.cosine else codes

    def __call__(self, z: Float[Array, "*n g*d"], key: Array | None = None) -> Quantized:
        """See `Quantizer.__call__`. Losses are means over all features of all vectors."""
        pieces, codebook = self._vectors(z), self.codebook
        fixed = lax.stop_gradient(pieces)
        indices = nearest_codes(fixed, lax.stop_gradient(codebook))
        codes = gather_codes(codebook, indices)
        codebook_loss = jnp.zeros((), jnp.float32)
        if self.learning == "loss":
            codebook_loss = jnp.mean((fixed - codes) ** 2)
        return Quantized(
            vectors=straight_through(pieces, codes).reshape(z.shape).astype(z.dtype),
            indices=indices,
            commitment_loss=self.commitment * jnp.mean((pieces - lax.stop_gradient(codes)) ** 2),
            codebook_loss=codebook_loss,
            statistics=code_statistics(fixed, indices, self.codebook_size, key),
        )

    def start(self, z: Float[Array, "*n g*d"], key: Array) -> None:
        """Set the codes by k-means on some vectors, and the counts to the sizes of the clusters.

        The first codes are vectors drawn without replacement, if there are enough. A code that no
        vector chooses stays unchanged.

        Raises:
            InputError: if ``z`` is not a non-empty floating-point array ``[..., features]``.
        """
        codes, counts = k_means(
            self._vectors(z),
            key,
            codebook_size=self.codebook_size,
            iterations=self.k_means_iterations,
            cosine=self.cosine,
        )
        self.codebook_vectors[...] = codes
        self.counts[...] = counts

    def update(self, statistics: CodeStatistics) -> None:
        """Update the counts and, if they are moving averages, the codes; then restart dead codes.

        A code restarts at its candidate, with the mean count of its codebook. Without candidates no
        code restarts. See `Quantizer.update` for where to call it.
        """
        codes = self.codebook_vectors[...]
        counts = self.decay * self.counts[...] + (1.0 - self.decay) * statistics.counts
        if self.learning == "moving_average":
            codes = self._moved(codes, counts, statistics)
        if self.dead_share > 0 and statistics.candidates is not None:
            mean = counts.mean(axis=-1, keepdims=True)
            dead = counts < self.dead_share * mean
            codes = jnp.where(dead[..., None], statistics.candidates, codes)
            counts = jnp.where(dead, mean, counts)
        self.codebook_vectors[...] = codes
        self.counts[...] = counts

    def _moved(
        self,
        codes: Float[Array, "g k d"],
        counts: Float[Array, "g k"],
        statistics: CodeStatistics,
    ) -> Float[Array, "g k d"]:
        """Move the codes one step towards the means, given the updated counts."""
        total = counts.sum(axis=-1, keepdims=True)
        smoothed = (counts + self.epsilon) / (total + self.codebook_size * self.epsilon) * total
        chosen = statistics.counts[..., None]
        distance = statistics.sums - chosen * codes
        # A code that no vector chose does not move at all. Its count may be zero and cannot be a
        # divisor. With `cosine`, even rescaling it to its own length would round it.
        step = (1.0 - self.decay) / jnp.where(statistics.counts > 0, smoothed, 1.0)
        moved = codes + step[..., None] * distance
        return jnp.where(chosen > 0, unit_length(moved) if self.cosine else moved, codes)

    def _vectors(self, z: Float[Array, "*n g*d"]) -> Float[Array, "*n g d"]:
        """Return the vectors that each codebook compares."""
        pieces = self._pieces(z)
        return unit_length(pieces) if self.cosine else pieces
