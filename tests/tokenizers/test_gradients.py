"""Gradients through quantizing, against explicit matrices in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.tokenizers.gradients import GRADIENTS, SHORTEST, rotation
from pixelprior.tokenizers.vector_quantizer import VectorQuantizer


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def jacobian(z, code):
    return np.asarray(jax.jacrev(rotation)(jnp.asarray(z), jnp.asarray(code)))


def numpy_rotation(z, code):
    """The rotation in the plane of both directions, written by its angle; the identity elsewhere.

    Not the product of reflections of the paper, but the same map.
    """
    z, code = np.float64(z), np.float64(code)
    a, b = z / np.linalg.norm(z), code / np.linalg.norm(code)
    cos = a @ b
    across = b - cos * a
    sin = np.linalg.norm(across)
    if sin < 1e-12:
        return np.eye(len(z))
    across /= sin
    plane = np.outer(a, a) + np.outer(across, across)
    turned = cos * plane + sin * (np.outer(across, a) - np.outer(a, across))
    return np.eye(len(z)) - plane + turned


@pytest.mark.parametrize("d", [2, 3, 16])
@pytest.mark.parametrize("seed", range(4))
def test_the_jacobian_is_the_scaled_rotation_of_the_vector_to_its_code(d, seed):
    z, code = normal(seed, d), 3 * normal(seed + 10, d)
    found = jacobian(z, code)
    scale = np.linalg.norm(np.float64(code)) / np.linalg.norm(np.float64(z))
    # Products of some numbers of size `scale`, each rounded once.
    tolerance = dict(rtol=0, atol=1e-5 * scale)
    np.testing.assert_allclose(found, scale * numpy_rotation(z, code), **tolerance)
    # So it is orthogonal without the scale, turns without mirroring, and maps z to the code.
    turn = found / scale
    np.testing.assert_allclose(turn @ turn.T, np.eye(d), rtol=0, atol=1e-5)
    assert np.linalg.det(np.float64(turn)) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(found @ z, code, **tolerance)


def test_angles_between_vectors_and_gradients_are_kept():
    z, code, upstream = normal(0, 8), normal(1, 8), normal(2, 8)
    _, back = jax.vjp(lambda z: rotation(z, jnp.asarray(code)), jnp.asarray(z))
    (gradient,) = back(jnp.asarray(upstream))

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    assert cosine(np.asarray(gradient), z) == pytest.approx(cosine(upstream, code), abs=1e-5)
    # Straight through, the angle is another one.
    assert abs(cosine(upstream, z) - cosine(upstream, code)) > 0.1


@pytest.mark.parametrize("name", GRADIENTS)
def test_values_are_the_codes_to_the_last_bit(name):
    for size in (1e-20, 1.0, 1e15):
        z, codes = size * normal(0, 50, 4), normal(1, 50, 4)
        found = GRADIENTS[name](jnp.asarray(z), jnp.asarray(codes))
        np.testing.assert_array_equal(found, codes)


def test_special_vectors():
    code = np.float32([0.0, 2.0, 0.0])
    zero = np.zeros(3, np.float32)
    # The scale of a zero vector has no bound, so it goes straight through, and so does its code.
    np.testing.assert_array_equal(jacobian(zero, code), np.eye(3))
    np.testing.assert_array_equal(jacobian(zero, zero), np.eye(3))
    np.testing.assert_array_equal(jacobian(0.5 * SHORTEST * code, code), np.eye(3))
    # A vector that is longer than that turns, by up to 1 / SHORTEST.
    np.testing.assert_allclose(
        jacobian(2 * SHORTEST * code, code), np.eye(3) / (2 * SHORTEST), rtol=1e-5
    )
    # A scale of zero.
    np.testing.assert_array_equal(jacobian(code, zero), np.zeros((3, 3)))
    # Opposite directions have no one rotation between them: the axis is mirrored.
    np.testing.assert_allclose(jacobian(code, -2 * code), np.diag([2, -2, 2]), atol=1e-6)
    # Equal vectors.
    np.testing.assert_allclose(jacobian(code, code), np.eye(3), atol=1e-6)


@pytest.mark.parametrize("size", [0.0, 1e-38, 1e-30, 1e-3, 1e18, 1e30])
@pytest.mark.parametrize("code_size", [0.0, 1e-30, 1.0, 1e18])
def test_gradients_are_finite(size, code_size):
    z, codes = np.float32(size) * normal(0, 20, 4), np.float32(code_size) * normal(1, 20, 4)
    gradient = jax.grad(lambda z: rotation(z, jnp.asarray(codes)).sum())(jnp.asarray(z))
    assert np.isfinite(np.asarray(gradient)).all()


def quantizer(p, k, d, **settings):
    made = VectorQuantizer(
        p * d, codebook_size=k, num_codebooks=p, gradient="rotation", rngs=nnx.Rngs(0), **settings
    )
    made.codebook_vectors[...] = jnp.asarray(normal(3, *made.codebook_vectors[...].shape))
    return made


@pytest.mark.slow
def test_every_piece_of_a_vector_turns_to_its_own_code():
    p, d = 3, 2
    made, z = quantizer(p, 5, d), normal(0, p * d)
    indices = np.asarray(made(jnp.asarray(z)).indices)
    found = jax.jacrev(lambda z: made(z).vectors)(jnp.asarray(z))
    expected = np.zeros((p * d, p * d))
    for n, index in enumerate(indices):
        part = slice(n * d, (n + 1) * d)
        code = np.asarray(made.codebook)[n, index]
        scale = np.linalg.norm(code) / np.linalg.norm(z[part])
        expected[part, part] = scale * numpy_rotation(z[part], code)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_with_cosine_the_vector_at_unit_length_turns():
    made, z = quantizer(1, 5, 3, cosine=True), normal(0, 3)
    code = np.asarray(made.codebook)[0, int(made(jnp.asarray(z)).indices[0])]
    found = jax.jacrev(lambda z: made(z).vectors)(jnp.asarray(z))
    length = np.linalg.norm(z)
    # Both have length 1, so nothing is scaled but by the derivative of the unit length.
    of_unit_length = (np.eye(3) - np.outer(z, z) / length**2) / length
    np.testing.assert_allclose(found, numpy_rotation(z, code) @ of_unit_length, atol=1e-5)
    zero = jax.jacrev(lambda z: made(z).vectors)(jnp.zeros(3))
    assert np.isfinite(np.asarray(zero)).all()


def test_a_sum_of_codes_is_one_code_to_turn_to():
    made, z = quantizer(1, 4, 3, depth=3), normal(0, 3)
    result = made(jnp.asarray(z))
    total = np.asarray(made.codebook)[np.arange(3), result.indices].sum(axis=0)
    found = jax.jacrev(lambda z: made(z).vectors)(jnp.asarray(z))
    scale = np.linalg.norm(total) / np.linalg.norm(z)
    np.testing.assert_allclose(found, scale * numpy_rotation(z, total), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("learning", ["moving_average", "loss"])
def test_only_the_gradient_of_the_vectors_is_another_one(learning):
    made = quantizer(2, 5, 3, learning=learning)
    z = jnp.asarray(normal(0, 40, 6))
    graph, state = nnx.split(made)

    def of(gradient):
        here = nnx.merge(graph, jax.tree.map(jnp.copy, state))
        here.gradient = gradient
        part = nnx.split(here)
        result = here(z, jax.random.key(0))
        losses = jax.grad(
            lambda s, z: sum(nnx.merge(part[0], s)(z)[2:4]), argnums=(0, 1), allow_int=True
        )(part[1], z)
        return jax.tree.leaves((result, losses))

    for rotated, straight in zip(of("rotation"), of("straight_through"), strict=True):
        np.testing.assert_array_equal(rotated, straight)
