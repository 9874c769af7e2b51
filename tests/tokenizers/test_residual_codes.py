"""Residual quantization: each code of a vector is for what the codes before it left."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.errors import InputError
from pixelprior.tokenizers.vector_quantizer import VectorQuantizer

KEY = jax.random.key(3)
R, P, K, D = 3, 2, 5, 4


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def make(**settings):
    """Codes that get smaller with depth, as remainders do."""
    settings = {"codebook_size": K, "num_codebooks": P, "depth": R} | settings
    quantizer = VectorQuantizer(P * D, **settings, rngs=nnx.Rngs(0))
    shape = quantizer.codebook_vectors[...].shape
    sizes = 2.0 ** -np.repeat(np.arange(settings["depth"]), settings["num_codebooks"])
    quantizer.codebook_vectors[...] = jnp.asarray(sizes[:, None, None] * normal(0, *shape))
    return quantizer


def numpy_residuals(z, codebook, depth=R, pieces=P):
    """Indices, remaining vectors and codes ``[n, depth * pieces, ...]``, and sums, in float64."""
    left = np.float64(z).reshape(len(z), pieces, -1)
    codebook = np.float64(codebook).reshape(depth, pieces, -1, left.shape[-1])
    total, steps = np.zeros_like(left), []
    for level in codebook:
        distances = ((left[:, :, None] - level) ** 2).sum(axis=-1)
        nearest = np.sort(distances, axis=-1)
        # No two codes so alike that a rounding of float32 could decide.
        assert (nearest[..., 1] - nearest[..., 0]).min() > 1e-6
        indices = distances.argmin(axis=-1)
        codes = level[np.arange(pieces), indices]
        steps.append((indices, left, codes))
        total, left = total + codes, left - codes
    indices, lefts, codes = (np.concatenate(x, axis=1) for x in zip(*steps, strict=True))
    return indices, lefts, codes, total.reshape(len(z), -1)


@pytest.mark.parametrize("learning", ["moving_average", "loss"])
def test_codes_losses_and_statistics_against_float64(learning):
    quantizer, z = make(learning=learning, commitment=0.3), normal(1, 60, P * D)
    result = quantizer(jnp.asarray(z))
    indices, lefts, codes, total = numpy_residuals(z, quantizer.codebook)
    assert result.indices.shape == (60, R * P) and result.indices.dtype == jnp.int32
    np.testing.assert_array_equal(result.indices, indices)
    np.testing.assert_allclose(result.vectors, total, rtol=1e-5, atol=1e-6)
    # Lee et al.: the sum over depths of the distance that remains there.
    squares = ((lefts - codes) ** 2).reshape(60, R, P * D).mean(axis=(0, 2))
    np.testing.assert_allclose(result.commitment_loss, 0.3 * squares.sum(), rtol=1e-5)
    expected = squares.sum() if learning == "loss" else 0.0
    np.testing.assert_allclose(result.codebook_loss, expected, rtol=1e-5)
    one_hot = indices[..., None] == np.arange(K)
    np.testing.assert_array_equal(result.statistics.counts, one_hot.sum(axis=0))
    sums = np.einsum("ngk,ngd->gkd", one_hot, lefts)
    np.testing.assert_allclose(result.statistics.sums, sums, rtol=1e-5, atol=1e-5)


def test_looking_codes_up_gives_the_vectors_to_the_last_bit():
    quantizer, z = make(), jnp.asarray(normal(1, 500, P * D))
    result = quantizer(z)
    np.testing.assert_array_equal(quantizer.lookup(result.indices), result.vectors)
    assert quantizer.codes_per_vector == R * P and quantizer.num_codebooks == P
    with pytest.raises(InputError, match=r"indices of shape \[\.\.\., 6\].*got \(500, 2\)"):
        quantizer.lookup(result.indices[:, :P])


def test_codes_of_a_depth_are_those_of_a_quantizer_with_less_depth():
    deep, z = make(), jnp.asarray(normal(1, 50, P * D))
    for depth in (1, 2):
        shallow = make(depth=depth)
        shallow.codebook_vectors[...] = deep.codebook[: depth * P]
        np.testing.assert_array_equal(shallow(z).indices, deep(z).indices[:, : depth * P])


@pytest.mark.slow
def test_every_code_lowers_the_error_of_data_that_it_started_from():
    z = jnp.asarray(normal(1, 4000, D))
    errors = []
    for depth in (1, 2, 3):
        quantizer = VectorQuantizer(D, codebook_size=16, depth=depth, rngs=nnx.Rngs(0))
        quantizer.start(z, KEY)
        errors.append(float(((quantizer(z).vectors - z) ** 2).mean()))
    assert errors[0] < 0.5 and errors[1] < 0.6 * errors[0] and errors[2] < 0.6 * errors[1]


def test_the_start_is_k_means_of_what_each_depth_leaves():
    z = normal(1, 200, P * D)
    quantizer = make(k_means_iterations=4)
    quantizer.start(jnp.asarray(z), KEY)
    left = z
    keys = jax.random.split(KEY, R * P).reshape(R, P)
    for depth in range(R):
        here = make(depth=1, k_means_iterations=4)
        part = slice(depth * P, (depth + 1) * P)
        # The key of a quantizer of depth 1 is split for its codebooks alone; here they are given.
        codes, counts = k_means_by(left, keys[depth])
        np.testing.assert_allclose(quantizer.codebook[part], codes, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(quantizer.counts[...][part], counts)
        here.codebook_vectors[...] = codes
        left = left - np.asarray(here(jnp.asarray(left)).vectors)


def k_means_by(z, keys, iterations=4):
    """Lloyd's algorithm in float64, from vectors drawn for each codebook."""
    pieces = np.float64(z).reshape(len(z), P, D)
    codes, counts = np.zeros((P, K, D)), np.zeros((P, K))
    for n in range(P):
        drawn = np.asarray(jax.random.choice(keys[n], len(z), (K,), replace=False))
        here = pieces[drawn, n]
        for step in range(iterations + 1):
            nearest = ((pieces[:, n, None] - here) ** 2).sum(axis=-1).argmin(axis=-1)
            one_hot = nearest[:, None] == np.arange(K)
            counts[n] = one_hot.sum(axis=0)
            assert counts[n].min() > 0
            if step < iterations:
                here = one_hot.T @ pieces[:, n] / counts[n][:, None]
        codes[n] = here
    return codes, counts


@pytest.mark.parametrize("learning", ["moving_average", "loss"])
def test_gradients(learning):
    quantizer, z = make(learning=learning, commitment=0.5), normal(1, 30, P * D)
    graph, state = nnx.split(quantizer)
    indices, lefts, codes, _ = numpy_residuals(z, quantizer.codebook)

    def gradients(which):
        of_state, of_z = jax.grad(
            lambda s, z: getattr(nnx.merge(graph, s)(z), which), argnums=(0, 1)
        )(state, jnp.asarray(z))
        return np.asarray(of_state["codebook_vectors"][...]), np.asarray(of_z)

    of_codes, of_z = gradients("commitment_loss")
    expected = 0.5 * 2 * (lefts - codes).reshape(30, R, P * D).sum(axis=1) / z.size
    np.testing.assert_allclose(of_z, expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_array_equal(of_codes, np.zeros_like(of_codes))

    of_codes, of_z = gradients("codebook_loss")
    one_hot = indices[..., None] == np.arange(K)
    # Each depth learns from its own remainders; no gradient passes to an earlier depth.
    expected = 2 * np.einsum("ngk,ngd->gkd", one_hot, codes - lefts) / z.size
    expected = expected if learning == "loss" else np.zeros_like(expected)
    np.testing.assert_allclose(of_codes, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(of_z, np.zeros_like(z))

    jacobian = jax.jacrev(lambda z: nnx.merge(graph, state)(z).vectors)(jnp.asarray(z[:2]))
    np.testing.assert_array_equal(jacobian.reshape(2 * P * D, -1), np.eye(2 * P * D))


@pytest.mark.slow
def test_moving_averages_and_restarts_of_every_depth():
    quantizer, z = make(decay=0.5, dead_share=0.7, epsilon=0.0), jnp.asarray(normal(1, 80, P * D))
    counts = np.random.default_rng(2).uniform(0, 30, (R * P, K)).astype(np.float32)
    quantizer.counts[...] = jnp.asarray(counts)
    before = np.float64(quantizer.codebook)
    result = quantizer(z, KEY)
    quantizer.update(result.statistics)
    indices, lefts, _, _ = numpy_residuals(np.asarray(z), before)
    one_hot = indices[..., None] == np.arange(K)
    sums = np.einsum("ngk,ngd->gkd", one_hot, lefts)
    new = 0.5 * counts + 0.5 * one_hot.sum(axis=0)
    moved = (0.5 * counts[..., None] * before + 0.5 * sums) / np.maximum(new, 1e-9)[..., None]
    dead = new < 0.7 * new.mean(axis=-1, keepdims=True)
    # Codes of every depth died, and restart at a remainder of their own depth.
    assert dead.reshape(R, -1).any(axis=1).all()
    np.testing.assert_allclose(np.asarray(quantizer.codebook)[~dead], moved[~dead], atol=1e-5)
    for g, k in np.argwhere(dead):
        distances = np.abs(lefts[:, g] - np.asarray(quantizer.codebook)[g, k]).max(axis=-1)
        assert distances.min() < 1e-6


@functools.cache
def trained_error(depth, codebook_size):
    """Error of a codebook after some updates on fixed vectors."""
    z = jnp.asarray(normal(1, 2000, D))
    quantizer = VectorQuantizer(
        D, codebook_size=codebook_size, depth=depth, decay=0.8, rngs=nnx.Rngs(0)
    )
    quantizer.start(z, KEY)
    for _ in range(20):
        quantizer.update(quantizer(z, KEY).statistics)
    return float(((quantizer(z).vectors - z) ** 2).mean())


@pytest.mark.slow
def test_error_at_equal_bits_is_between_fewer_and_more_codes():
    # 6 bits as one code of 64 or two of 8: the sum of two is a special case of 64 free codes.
    assert trained_error(1, 64) < trained_error(2, 8) < trained_error(1, 8)


def test_bfloat16_and_one_compilation():
    quantizer = make()
    z = jnp.asarray(normal(1, 40, P * D), jnp.bfloat16)
    result = jax.jit(lambda z: quantizer(z))(z)
    assert result.vectors.dtype == jnp.bfloat16
    assert {x.dtype for x in jax.tree.leaves(result[2:])} == {jnp.dtype(jnp.float32)}


def test_settings_that_are_refused():
    for depth in (0, 1.5, True):
        with pytest.raises(InputError, match="depth must be an integer of at least 1"):
            make(depth=depth)
    with pytest.raises(InputError, match="depth must be 1 with cosine.*got 3"):
        make(cosine=True)
    with pytest.raises(InputError, match="gradient must be one of straight_through, rotation, got"):
        make(gradient="straight")
