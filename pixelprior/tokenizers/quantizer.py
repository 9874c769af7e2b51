"""Quantizers: vectors of features become indices of codes, and codes become vectors again.

Legend: n any leading axes, g codebooks (side by side), k codes of each, d features of a code.
"""

import abc
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.errors import InputError


class CodeStatistics(NamedTuple):
    """What a codebook learns from one batch, in float32.

    They are plain sums over the batch, so under a sharded ``jax.jit`` they are sums over all
    devices, and every device goes on with the same codebook.

    Attributes:
        counts: how many vectors chose each code.
        sums: the sum of those vectors.
        candidates: vectors drawn from the batch, one per code, for dead codes to restart from;
            None if there was no key to draw them with.
    """

    counts: Float[Array, "g k"]
    sums: Float[Array, "g k d"]
    candidates: Float[Array, "g k d"] | None


class Quantized(NamedTuple):
    """What a quantizer gives.

    Attributes:
        vectors: the chosen codes, codebook after codebook, in the type of what came in. Their
            gradient goes straight to the input, as if nothing had been rounded.
        indices: which codes they are, int32 in ``[0, k)``.
        commitment_loss: pulls the encoder to its codes; already times its weight. Its gradient is
            the input's alone.
        codebook_loss: pulls the codes to what chose them. Its gradient is the codebook's alone;
            0 where the codebook learns otherwise, or not at all.
        statistics: what `Quantizer.update` wants.
    """

    vectors: Float[Array, "*n g*d"]
    indices: Int[Array, "*n g"]
    commitment_loss: Float[Array, ""]
    codebook_loss: Float[Array, ""]
    statistics: CodeStatistics


class Quantizer(nnx.Module, metaclass=abc.ABCMeta):
    """Each vector is cut into ``g`` pieces of equal length; each becomes a code of its codebook.

    Quantizing changes nothing in the quantizer: it only *returns* statistics. `start` and `update`
    are steps of their own, outside the gradient, so what comes out was always made with the
    codebook as it was. Distances, losses and statistics are float32, whatever the input is.

    Attributes:
        features: the length ``g * d`` of the vectors taken and given.
        num_codebooks: how many codebooks, ``g``.
        codebook_size: how many codes each of them has, ``k``.
    """

    features: int
    num_codebooks: int
    codebook_size: int

    @property
    @abc.abstractmethod
    def codebook(self) -> Float[Array, "g k d"]:
        """All codes as `lookup` gives them, float32."""

    @abc.abstractmethod
    def __call__(self, z: Float[Array, "*n g*d"], key: Array | None = None) -> Quantized:
        """Quantizes vectors; with a key, candidates for dead codes are drawn from them as well.

        Raises:
            InputError: if ``z`` is not a non-empty floating-point array ``[..., features]``.
        """

    def lookup(self, indices: Int[Array, "*n g"]) -> Float[Array, "*n g*d"]:
        """The codes of indices, codebook after codebook, float32.

        Under a JAX transformation the values of the indices are not known and not checked.

        Raises:
            InputError: if ``indices`` is not an integer array ``[..., num_codebooks]``, or holds
                an index outside ``[0, codebook_size)``.
        """
        if indices.ndim < 1 or indices.shape[-1] != self.num_codebooks:
            raise InputError(
                f"expected indices of shape [..., {self.num_codebooks}], one per codebook, "
                f"got {indices.shape}"
            )
        if not jnp.issubdtype(indices.dtype, jnp.integer):
            raise InputError(
                f"expected integer indices in [0, {self.codebook_size}), got {indices.dtype}; "
                "look up the indices that quantizing gave"
            )
        if not isinstance(indices, jax.core.Tracer) and indices.size > 0:
            # Through NumPy: a concrete array met while tracing must not become part of the trace.
            values = np.asarray(indices)
            low, high = int(values.min()), int(values.max())
            if low < 0 or high >= self.codebook_size:
                raise InputError(
                    f"expected indices in [0, {self.codebook_size}), got values from {low} to "
                    f"{high}; they come from a quantizer with another codebook_size"
                )
        vectors = gather_codes(self.codebook, indices)
        return vectors.reshape(*indices.shape[:-1], self.features)

    # What a quantizer that learns nothing does with data: nothing.

    def start(self, z: Float[Array, "*n g*d"], key: Array) -> None:
        """Sets the codebook from data, before training; does nothing unless overridden."""
        del z, key

    def update(self, statistics: CodeStatistics) -> None:
        """Lets the codebook learn from one batch; does nothing unless overridden.

        It sets `nnx.Variable` s. Inside a jitted function, call it on a module merged there and
        return the state split off afterwards, or what it did is lost.
        """
        del statistics

    def _pieces(self, z: Float[Array, "*n g*d"]) -> Float[Array, "*n g d"]:
        """Checks vectors, and gives what each codebook sees of them, float32."""
        if z.ndim < 1 or z.shape[-1] != self.features or z.size == 0:
            raise InputError(
                f"expected vectors of shape [..., {self.features}], at least one, got {z.shape}"
            )
        if not jnp.issubdtype(z.dtype, jnp.floating):
            raise InputError(f"expected floating-point vectors, got {z.dtype}; convert them first")
        return jnp.asarray(z, jnp.float32).reshape(*z.shape[:-1], self.num_codebooks, -1)


def check_whole_numbers(**settings: int) -> None:
    """Raises an InputError unless each setting is an integer of at least 1."""
    for name, value in settings.items():
        if not isinstance(value, int) or value < 1:
            raise InputError(f"{name} must be an integer of at least 1, got {value!r}")


def gather_codes(
    codebook: Float[Array, "g k d"], indices: Int[Array, "*n g"]
) -> Float[Array, "*n g d"]:
    """The code of each index. A gather: one-hot vectors would be ``k / d`` times as large."""
    return codebook[jnp.arange(codebook.shape[0]), indices]


def straight_through(
    z: Float[Array, "*shape"], rounded: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """``rounded``, with the gradient of ``z`` (van den Oord et al. 2017, section 3.2).

    The values are exactly those of ``rounded``. The usual ``z + stop_gradient(rounded - z)`` is off
    by a rounding, so that decoding a picture and decoding its codes would not quite agree.
    """
    return jax.lax.stop_gradient(rounded) + (z - jax.lax.stop_gradient(z))


def code_statistics(
    z: Float[Array, "*n g d"],
    indices: Int[Array, "*n g"],
    codebook_size: int,
    key: Array | None = None,
) -> CodeStatistics:
    """Counts and sums of the vectors that chose each code; candidates too if there is a key.

    Candidates are drawn uniformly, with replacement, by their number within the whole batch and
    for each codebook by itself, so it does not matter how the batch lies on the devices.
    """
    g, d = z.shape[-2:]
    z, indices = jax.lax.stop_gradient(z).reshape(-1, g, d), indices.reshape(-1, g)
    # A scatter: on CPUs some 40 times as fast as a product with one-hot vectors, and without an
    # array of the size of all distances.
    place = (jnp.arange(g), indices)
    counts = jnp.zeros((g, codebook_size), jnp.float32).at[place].add(1.0)
    sums = jnp.zeros((g, codebook_size, d), jnp.float32).at[place].add(z)
    candidates = None
    if key is not None:
        drawn = jax.random.randint(key, (g, codebook_size), 0, z.shape[0])
        candidates = z[drawn, jnp.arange(g)[:, None]]
    return CodeStatistics(counts, sums, candidates)


def merge_statistics(parts: CodeStatistics) -> CodeStatistics:
    """What a codebook learns from a batch, from what it learns from parts of it of equal size.

    Args:
        parts: stacked along a leading axis. Code after code takes its candidate from the next part,
            so that a candidate is still any vector of the batch.
    """
    candidates = parts.candidates
    if candidates is not None:
        codes = jnp.arange(candidates.shape[2])
        candidates = jnp.moveaxis(candidates[codes % len(candidates), :, codes], 0, 1)
    return CodeStatistics(parts.counts.sum(axis=0), parts.sums.sum(axis=0), candidates)
