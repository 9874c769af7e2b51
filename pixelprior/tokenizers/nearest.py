"""Nearest codes of vectors, and codes that are near to vectors: k-means.

Legend: n any leading axes, g codebooks, k codes of each, d features of a code.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key

from pixelprior.tokenizers.quantizer import CodeStatistics, code_statistics
from pixelprior.tokenizers.unit_length import unit_length


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
    z: Float[Array, "*n g d"],
    keys: Key[Array, " g"],
    *,
    codebook_size: int,
    iterations: int,
    cosine: bool,
) -> tuple[Float[Array, "g k d"], Float[Array, "g k"]]:
    """Run Lloyd's iterations from vectors drawn at random, by the key of each codebook.

    Returns:
        The codes, and the number of vectors that chose each of them in the end.
    """
    g, d = z.shape[-2:]
    z = z.reshape(-1, g, d)
    # Vectors with different numbers in the batch, if there are enough.
    draw = functools.partial(
        jax.random.choice, a=z.shape[0], shape=(codebook_size,), replace=z.shape[0] < codebook_size
    )
    drawn = jax.vmap(draw)(keys)
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
