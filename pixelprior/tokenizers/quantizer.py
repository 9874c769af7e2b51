"""Quantizers turn vectors of features into indices of codes, and codes back into vectors.

Legend: n any leading axes, p pieces of a vector (side by side), g codebooks, k codes of each, d
features of a code. Each of the ``depth`` codes of a piece has its own codebook: g is p times depth.
"""

import abc
import functools
import operator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, Key

from pixelprior.errors import InputError
from pixelprior.nn.image_keys import image_keys


class CodeStatistics(NamedTuple):
    """Statistics of one batch from which a codebook learns, in float32.

    They are plain sums over the batch. Under a sharded ``jax.jit`` they are sums over all devices,
    so every device continues with the same codebook.

    Attributes:
        counts: number of vectors that chose each code.
        sums: sum of those vectors.
        candidates: vectors drawn from the batch, one per code, from which dead codes may restart.
            None if there was no key to draw them with.
        priorities: random priority of each candidate. Of several parts of a batch, a code's
            candidate is the one with the highest priority.
    """

    counts: Float[Array, "g k"]
    sums: Float[Array, "g k d"]
    candidates: Float[Array, "g k d"] | None
    priorities: Float[Array, "g k"] | None = None


class Quantized(NamedTuple):
    """Result of quantizing.

    Attributes:
        vectors: chosen codes, added up for each piece, in the type of the input. Their gradient
            goes to the input, see `pixelprior.tokenizers.gradients`.
        indices: indices of the chosen codes, int32 in ``[0, k)``.
        commitment_loss: loss that pulls the encoder to its codes; already times its weight. Its
            gradient flows to the input alone.
        codebook_loss: loss that pulls the codes to the vectors that chose them. Its gradient flows
            to the codebook alone. It is 0 if the codebook learns in another way, or not at all.
        statistics: input of `Quantizer.update`.
    """

    vectors: Float[Array, "*n p*d"]
    indices: Int[Array, "*n g"]
    commitment_loss: Float[Array, ""]
    codebook_loss: Float[Array, ""]
    statistics: CodeStatistics


class Quantizer(nnx.Module, metaclass=abc.ABCMeta):
    """Map of vectors to codes, and back.

    Each vector is cut into ``p`` pieces of equal length. Each piece becomes a code of its codebook,
    or the sum of ``depth`` codes. The codes of a vector are in the order of their depth: first
    those of all pieces at depth 0.

    Quantizing changes nothing in the quantizer: it only *returns* statistics. `start` and `update`
    are separate steps, outside the gradient. Results therefore always come from the codebook before
    its update. Distances, losses and statistics are float32 for every type of input.

    Attributes:
        features: length ``p * d`` of the vectors, in and out.
        num_codebooks: number of codebooks side by side, ``p``.
        depth: number of codes that add up to a piece.
        codebook_size: number of codes in each codebook, ``k``.
    """

    features: int
    num_codebooks: int
    depth: int = 1
    codebook_size: int

    @property
    def codes_per_vector(self) -> int:
        """Number of codes of a vector, ``g``: the channels of a map of codes."""
        return self.depth * self.num_codebooks

    @property
    @abc.abstractmethod
    def codebook(self) -> Float[Array, "g k d"]:
        """All codes as `lookup` adds them up, float32."""

    @abc.abstractmethod
    def __call__(self, z: Float[Array, "*n p*d"], key: Array | None = None) -> Quantized:
        """Quantize vectors; with a key, also draw candidates for dead codes from them.

        Raises:
            InputError: if ``z`` is not a non-empty floating-point array ``[..., features]``.
        """

    def lookup(self, indices: Int[Array, "*n g"]) -> Float[Array, "*n p*d"]:
        """Return the vectors of codes, float32: the sum for each piece, piece after piece.

        Under a JAX transformation the values of the indices are unknown and not checked.

        Raises:
            InputError: if ``indices`` is not an integer array ``[..., codes_per_vector]``, or holds
                an index outside ``[0, codebook_size)``.
        """
        if indices.ndim < 1 or indices.shape[-1] != self.codes_per_vector:
            raise InputError(
                f"expected indices of shape [..., {self.codes_per_vector}], one per codebook, "
                f"got {indices.shape}"
            )
        if not jnp.issubdtype(indices.dtype, jnp.integer):
            raise InputError(
                f"expected integer indices in [0, {self.codebook_size}), got {indices.dtype}; "
                "look up the indices that quantizing gave"
            )
        if not isinstance(indices, jax.core.Tracer) and indices.size > 0:
            # With NumPy: a concrete array met while tracing must not become part of the trace.
            values = np.asarray(indices)
            low, high = int(values.min()), int(values.max())
            if low < 0 or high >= self.codebook_size:
                raise InputError(
                    f"expected indices in [0, {self.codebook_size}), got values from {low} to "
                    f"{high}; they come from a quantizer with another codebook_size"
                )
        codes = gather_codes(self.codebook, indices)
        by_depth = jnp.split(codes, self.depth, axis=-2)
        # In the order of quantizing, so that the sum is the same to the last bit.
        total = functools.reduce(operator.add, by_depth)
        return total.reshape(*indices.shape[:-1], self.features)

    # Defaults for a quantizer that learns nothing.

    def start(self, z: Float[Array, "*n p*d"], key: Array) -> None:
        """Set the codebook from data, before training; does nothing unless overridden."""
        del z, key

    def update(self, statistics: CodeStatistics) -> None:
        """Update the codebook from one batch; does nothing unless overridden.

        It sets `nnx.Variable` s. Inside a jitted function, call it on a module merged there, and
        return the state split off afterwards. Otherwise the update is lost.
        """
        del statistics

    def _pieces(self, z: Float[Array, "*n p*d"]) -> Float[Array, "*n p d"]:
        """Check vectors, and cut them into the float32 pieces of the codebooks."""
        if z.ndim < 1 or z.shape[-1] != self.features or z.size == 0:
            raise InputError(
                f"expected vectors of shape [..., {self.features}], at least one, got {z.shape}"
            )
        if not jnp.issubdtype(z.dtype, jnp.floating):
            raise InputError(f"expected floating-point vectors, got {z.dtype}; convert them first")
        return jnp.asarray(z, jnp.float32).reshape(*z.shape[:-1], self.num_codebooks, -1)


def gather_codes(
    codebook: Float[Array, "g k d"], indices: Int[Array, "*n g"]
) -> Float[Array, "*n g d"]:
    """Gather the code of each index. One-hot vectors would be ``k / d`` times as large."""
    return codebook[jnp.arange(codebook.shape[0]), indices]


def code_statistics(
    z: Float[Array, "*n g d"],
    indices: Int[Array, "*n g"],
    codebook_size: int,
    key: Array | None = None,
) -> CodeStatistics:
    """Count and sum the vectors that chose each code; with a key, also draw candidates.

    Candidates are drawn uniformly, with replacement, for each codebook separately. Each image draws
    a vector of its own for each code, and a random priority. The highest priority wins. The draws
    of an image depend on its key alone. Parts of a batch and its layout on devices do not matter.

    Args:
        z: vectors; the first axis is that of images.
        indices: their codes.
        codebook_size: number of codes, ``k``.
        key: one key, or one for each image.
    """
    g, d = z.shape[-2:]
    images = jax.lax.stop_gradient(z).reshape(z.shape[0] if z.ndim > 2 else 1, -1, g, d)
    z, indices = images.reshape(-1, g, d), indices.reshape(-1, g)
    # A scatter is some 40 times as fast on CPUs as a product with one-hot vectors. It also needs
    # no array of the size of all distances.
    place = (jnp.arange(g), indices)
    counts = jnp.zeros((g, codebook_size), jnp.float32).at[place].add(1.0)
    sums = jnp.zeros((g, codebook_size, d), jnp.float32).at[place].add(z)
    keys = image_keys(key, len(images))
    if keys is None:
        return CodeStatistics(counts, sums, None)

    def draw(key: Key[Array, ""]) -> tuple[Float[Array, "g k"], Int[Array, "g k"]]:
        priority_key, place_key = jax.random.split(key)
        shape = (g, codebook_size)
        drawn = jax.random.randint(place_key, shape, 0, images.shape[1])
        return jax.random.uniform(priority_key, shape), drawn

    priorities, drawn = jax.vmap(draw)(keys)
    first = priorities.argmax(axis=0)
    codebook, code = jnp.indices(first.shape)
    candidates = images[first, drawn[first, codebook, code], codebook]
    return CodeStatistics(counts, sums, candidates, priorities.max(axis=0))


def merge_statistics(parts: CodeStatistics) -> CodeStatistics:
    """Merge the statistics of equally large parts of a batch into those of the batch.

    Args:
        parts: statistics, stacked along a leading axis.
    """
    counts, sums = parts.counts.sum(axis=0), parts.sums.sum(axis=0)
    if parts.candidates is None or parts.priorities is None:
        return CodeStatistics(counts, sums, None)
    first = parts.priorities.argmax(axis=0)
    candidates = jnp.take_along_axis(parts.candidates, first[None, ..., None], axis=0)[0]
    return CodeStatistics(counts, sums, candidates, parts.priorities.max(axis=0))
