"""Learned codebook of the VQ-VAE: each vector becomes the nearest of k codes.

Legend: n any leading axes, p pieces of a vector (side by side), g codebooks, k codes of each, d
features of a code. Each of the ``depth`` codes of a piece has its own codebook: g is p times depth.

References:
    van den Oord, Vinyals and Kavukcuoglu 2017, "Neural Discrete Representation Learning".
    Yu et al. 2022, "Vector-quantized Image Modeling with Improved VQGAN", section 3.2: codes
    compared at unit length.
    Lee et al. 2022, "Autoregressive Image Generation using Residual Quantization", section 3.1.
    Zeghidour et al. 2021, "SoundStream: An End-to-End Neural Audio Codec", section III-C.
"""

from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from pixelprior.errors import InputError
from pixelprior.nn.initializers import uniform, zeros
from pixelprior.sizes import check_shares, check_sizes, check_weights
from pixelprior.tokenizers.gradients import GRADIENTS
from pixelprior.tokenizers.nearest import k_means, nearest_codes
from pixelprior.tokenizers.quantizer import (
    CodeStatistics,
    Quantized,
    Quantizer,
    code_statistics,
    gather_codes,
)
from pixelprior.tokenizers.unit_length import unit_length

Learning = Literal["moving_average", "loss"]


class CodebookVariable(nnx.Variable):
    """Codes that are moving averages. No `nnx.Param`, so that no optimizer changes them."""


class CodeCounts(nnx.Variable):
    """Moving average of the number of vectors per batch that choose each code."""


class Residuals(NamedTuple):
    """Codes of the pieces of vectors, chosen depth by depth.

    Attributes:
        left: what the codes before left of each piece: the vectors that chose a code.
        indices: indices of the chosen codes.
        codes: the chosen codes.
        total: sum of the codes of each piece.
    """

    left: Float[Array, "*n g d"]
    indices: Int[Array, "*n g"]
    codes: Float[Array, "*n g d"]
    total: Float[Array, "*n p d"]


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
    losses, the sums and the gradient then apply to the vectors at unit length.

    With a ``depth`` above 1 this is residual quantization (Lee et al.). The first code of a vector
    is its nearest code. Each further code is the nearest one to what the codes before it left. The
    vector becomes the sum of its codes. Both losses are sums over the depths. Each depth has a
    codebook of its own, as in SoundStream. Lee et al. share one codebook instead. Remainders shrink
    with depth, so a shared codebook would divide its codes among the depths. Own codebooks give
    every depth ``codebook_size`` codes for the same bits, and the use of each depth is measured.

    Args:
        features: length of a vector; a multiple of ``num_codebooks``.
        codebook_size: number of codes per codebook.
        num_codebooks: number of codebooks side by side, each for its share of the features. With
            ``depth``, there are as many for each depth.
        learning: method by which the codebook learns, see above.
        decay: decay of the moving averages, per update; in [0, 1).
        commitment: beta, the weight of the commitment loss.
        epsilon: number added to each count in the divisor (Laplace smoothing), in vectors per
            batch.
        dead_share: a code is dead if its count is below this share of the mean count of its
            codebook. In [0, 1); 0 for never.
        k_means_iterations: number of Lloyd iterations that `start` makes.
        cosine: True if only directions count. It needs a depth of 1, since remainders have lengths.
        depth: number of codes of a vector for each codebook, see above.
        gradient: "straight_through", or "rotation": the gradient of a code is rotated and scaled on
            its way to the vector (Fifty et al. 2024), see `pixelprior.tokenizers.gradients`.
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
        depth: int = 1,
        gradient: str = "straight_through",
        rngs: nnx.Rngs,
    ):
        check_sizes(features=features, codebook_size=codebook_size, num_codebooks=num_codebooks)
        check_sizes(depth=depth)
        check_sizes(0, k_means_iterations=k_means_iterations)
        check_shares(decay=decay, dead_share=dead_share)
        if features % num_codebooks:
            raise InputError(
                f"features must be a multiple of num_codebooks={num_codebooks}, got {features}"
            )
        if learning not in get_args(Learning):
            raise InputError(f"learning must be one of {get_args(Learning)}, got {learning!r}")
        if gradient not in GRADIENTS:
            raise InputError(f"gradient must be one of {', '.join(GRADIENTS)}, got {gradient!r}")
        if cosine and depth > 1:
            raise InputError(
                f"depth must be 1 with cosine, which ignores the lengths of remainders, got {depth}"
            )
        check_weights(commitment=commitment, epsilon=epsilon)
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
        self.depth = depth
        self.gradient = gradient
        # Small, as in the authors' code: lengths then hardly matter, and a vector chooses by
        # direction. If random codes were long, the shortest would be nearest to almost everything.
        shape = (self.codes_per_vector, codebook_size, features // num_codebooks)
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

    def __call__(self, z: Float[Array, "*n p*d"], key: Array | None = None) -> Quantized:
        """See `Quantizer.__call__`. Losses are means over all features, and sums over depths."""
        pieces = self._vectors(z)
        chosen = self._choose(pieces)
        fixed = lax.stop_gradient(chosen.left)
        codebook_loss = jnp.zeros((), jnp.float32)
        if self.learning == "loss":
            codebook_loss = self.depth * jnp.mean((fixed - chosen.codes) ** 2)
        distance = jnp.mean((chosen.left - lax.stop_gradient(chosen.codes)) ** 2)
        vectors = GRADIENTS[self.gradient](pieces, chosen.total)
        return Quantized(
            vectors=vectors.reshape(z.shape).astype(z.dtype),
            indices=chosen.indices,
            commitment_loss=self.commitment * self.depth * distance,
            codebook_loss=codebook_loss,
            statistics=code_statistics(fixed, chosen.indices, self.codebook_size, key),
        )

    def start(self, z: Float[Array, "*n p*d"], key: Array) -> None:
        """Set the codes by k-means on some vectors, and the counts to the sizes of the clusters.

        The first codes are vectors drawn without replacement, if there are enough. A code that no
        vector chooses stays unchanged. Each depth starts from what the codes before it left.

        Raises:
            InputError: if ``z`` is not a non-empty floating-point array ``[..., features]``.
        """
        left = self._vectors(z)
        starts = []
        for keys in jnp.split(jax.random.split(key, self.codes_per_vector), self.depth):
            codes, counts = k_means(
                left,
                keys,
                codebook_size=self.codebook_size,
                iterations=self.k_means_iterations,
                cosine=self.cosine,
            )
            starts.append((codes, counts))
            left = left - gather_codes(codes, nearest_codes(left, codes))
        codes, counts = map(jnp.concatenate, zip(*starts, strict=True))
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

    def _choose(self, pieces: Float[Array, "*n p d"]) -> Residuals:
        """Choose the codes of every depth. The gradient goes to the vectors and to the codes."""
        depths: list[tuple[Array, Array, Array]] = []
        left: Any = pieces
        total: Any = None
        for codebook in jnp.split(self.codebook, self.depth):
            indices = nearest_codes(lax.stop_gradient(left), lax.stop_gradient(codebook))
            codes = gather_codes(codebook, indices)
            depths.append((left, indices[..., None], codes))
            total = codes if total is None else total + codes
            left = pieces - lax.stop_gradient(total)
        left, indices, codes = (jnp.concatenate(x, axis=-2) for x in zip(*depths, strict=True))
        return Residuals(left, indices[..., 0], codes, total)

    def _vectors(self, z: Float[Array, "*n p*d"]) -> Float[Array, "*n p d"]:
        """Return the vectors that each codebook compares."""
        pieces = self._pieces(z)
        return unit_length(pieces) if self.cosine else pieces
