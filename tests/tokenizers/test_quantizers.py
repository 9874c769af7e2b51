"""Both quantizers: values and gradients, learning and restarting, one device and several."""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from pixelprior.errors import InputError
from pixelprior.tokenizers.finite_scalar_quantizer import FiniteScalarQuantizer
from pixelprior.tokenizers.quantizer import CodeStatistics, merge_statistics
from pixelprior.tokenizers.vector_quantizer import CodebookVariable, CodeCounts, VectorQuantizer
from tests.several_devices import run_on_devices

KEY = jax.random.key(3)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def make(codes, counts=None, **settings):
    """A quantizer with these codes, [g, k, d]."""
    g, k, d = np.shape(codes)
    sizes = dict(codebook_size=k, num_codebooks=g)
    # Only traced, then filled: drawing first codes would compile every distinct shape.
    quantizer = nnx.eval_shape(
        lambda: VectorQuantizer(g * d, **sizes, **settings, rngs=nnx.Rngs(0))
    )
    graph, state = nnx.split(quantizer)
    state["codebook_vectors"].set_value(jnp.asarray(np.float32(codes)))
    state["counts"].set_value(
        jnp.asarray(np.float32(np.zeros((g, k)) if counts is None else counts))
    )
    return nnx.merge(graph, state)


# Compiled, since there are many small operations; once for all quantizers built alike.


@functools.partial(jax.jit, static_argnames="graph")
def quantize_state(graph, state, z, key):
    return nnx.merge(graph, state)(z, key)


def quantize(quantizer, z, key=None):
    return quantize_state(*nnx.split(quantizer), jnp.asarray(z), key)


@functools.partial(jax.jit, static_argnames="graph")
def update_state(graph, state, batch):
    quantizer = nnx.merge(graph, state)
    quantizer.update(batch)
    return nnx.state(quantizer)


def update(quantizer, batch):
    nnx.update(quantizer, update_state(*nnx.split(quantizer), batch))


def statistics(counts, sums, candidates=None):
    candidates = None if candidates is None else np.float32(candidates)
    return CodeStatistics(np.float32(counts), np.float32(sums), candidates)


def empty(quantizer, candidates=None):
    codes = quantizer.codebook
    return statistics(np.zeros(codes.shape[:2]), np.zeros(codes.shape), candidates)


def stored(quantizer):
    """Everything that a quantizer keeps, to compare bit for bit."""
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(nnx.state(quantizer))]


def in_pieces(z, codes):
    return np.reshape(z, (*np.shape(z)[:-1], codes.shape[0], codes.shape[2]))


def numpy_distances(z, codes):
    """Squared, [*n, g, k], in float64, from the differences."""
    z, codes = np.float64(in_pieces(z, codes)), np.float64(codes)
    return ((z[..., None, :] - codes) ** 2).sum(axis=-1)


def numpy_codes(codes, indices):
    chosen = np.asarray(codes)[np.arange(codes.shape[0]), indices]
    return chosen.reshape(*indices.shape[:-1], -1)


def numpy_statistics(z, indices, codes):
    g, k, d = codes.shape
    pieces, indices = np.float64(z).reshape(-1, g, d), np.reshape(indices, (-1, g))
    one_hot = indices[..., None] == np.arange(k)
    return one_hot.sum(axis=0), np.einsum("ngk,ngd->gkd", one_hot, pieces)


# The nearest code.


@pytest.mark.parametrize("learning", ["moving_average", "loss"])
@pytest.mark.parametrize(
    ("g", "k", "d", "leading"), [(1, 7, 3, (2, 3, 5)), (3, 16, 2, (4, 6)), (2, 1, 4, ())]
)
def test_nearest_codes_losses_and_statistics_against_float64(g, k, d, leading, learning):
    codes, z = normal(0, g, k, d), normal(1, *leading, g * d)
    quantizer = make(codes, learning=learning, commitment=0.3)
    result = quantize(quantizer, z)
    distances = numpy_distances(z, codes)
    indices = distances.argmin(axis=-1)
    np.testing.assert_array_equal(result.indices, indices)
    assert result.indices.dtype == jnp.int32 and result.indices.shape == (*leading, g)
    np.testing.assert_array_equal(result.vectors, numpy_codes(codes, indices))
    np.testing.assert_array_equal(quantizer.lookup(result.indices), result.vectors)

    mean = distances.min(axis=-1).sum() / z.size
    np.testing.assert_allclose(result.commitment_loss, 0.3 * mean, rtol=1e-5)
    expected = mean if learning == "loss" else 0.0
    np.testing.assert_allclose(result.codebook_loss, expected, rtol=1e-5)

    counts, sums = numpy_statistics(z, indices, codes)
    np.testing.assert_array_equal(result.statistics.counts, counts)
    np.testing.assert_allclose(result.statistics.sums, sums, rtol=1e-5, atol=1e-5)
    assert result.statistics.candidates is None


def test_the_lowest_index_wins_ties():
    # In whole numbers, so that equal distances are equal.
    codes = np.array([[[9, 9], [1, 0], [-1, 0], [1, 0], [0, 1]]])
    z = jnp.array([[0.0, 0.0], [1.0, 0.0], [-2.0, 0.0], [1.0, 1.0]])
    np.testing.assert_array_equal(quantize(make(codes), z).indices[:, 0], [1, 1, 2, 1])


def test_first_codes_are_all_different_and_small_enough_to_be_chosen_by_direction():
    quantizer = VectorQuantizer(64, rngs=nnx.Rngs(0))
    codes = np.asarray(quantizer.codebook)
    assert codes.shape == (1, 256, 64) and not np.asarray(quantizer.counts[...]).any()
    assert len(np.unique(codes[0], axis=0)) == 256
    chosen = np.asarray(quantize(quantizer, normal(0, 4096, 64)).indices)
    # Of 256 codes, about as long as the vectors, some ten would be chosen.
    assert len(np.unique(chosen)) > 200


def test_quantizing_moves_nothing_and_the_output_is_that_of_the_codebook_before():
    codes, z = normal(0, 2, 5, 3), jnp.asarray(normal(1, 40, 6))
    quantizer = make(codes)
    before = stored(quantizer)
    result = quantize(quantizer, z)
    # And not compiled, where nothing would be lost that was set.
    quantizer(z)
    assert stored(quantizer) == before
    np.testing.assert_array_equal(result.vectors, numpy_codes(codes, np.asarray(result.indices)))

    graph, state = nnx.split(quantizer)

    @jax.jit
    def step(state, z):
        merged = nnx.merge(graph, state)
        result = merged(z)
        merged.update(result.statistics)
        return result.vectors, merged.codebook

    vectors, moved = step(state, z)
    assert (np.asarray(moved) != codes).any()
    np.testing.assert_array_equal(vectors, result.vectors)
    assert stored(quantizer) == before


# Moving averages.


@pytest.mark.parametrize("decay", [0.0, 0.7, 0.99])
def test_moving_averages_are_the_papers_running_sums(decay):
    g, k, d = 2, 6, 3
    codes, counts = normal(0, g, k, d), np.random.default_rng(1).uniform(1, 9, (g, k))
    quantizer = make(codes, counts, decay=decay, epsilon=0.0)
    counts = np.float64(np.float32(counts))
    running = counts[..., None] * np.float64(codes)
    for seed in range(8):
        z = normal(seed, 60, g * d) * (1 + seed)
        result = quantize(quantizer, z)
        update(quantizer, result.statistics)
        batch_counts, batch_sums = numpy_statistics(z, result.indices, codes)
        counts = decay * counts + (1 - decay) * batch_counts
        running = decay * running + (1 - decay) * batch_sums
        alive = counts > 0
        expected = running[alive] / counts[alive][:, None]
        np.testing.assert_allclose(quantizer.counts[...], counts, rtol=1e-5)
        # Vectors as large as 20: some roundings in float32.
        np.testing.assert_allclose(
            np.asarray(quantizer.codebook)[alive], expected, rtol=1e-4, atol=2e-5
        )
        if decay == 0:
            break  # Codes not chosen have no running sum from then on.


def test_laplace_smoothing_by_hand():
    quantizer = make([[[1.0], [2.0], [5.0]]], [[4.0, 0.0, 4.0]], decay=0.5, epsilon=1.0)
    update(quantizer, statistics([[2, 2, 0]], [[[6], [0], [0]]]))
    # Counts 3, 1, 2 of 6; smoothed (3 + 1, 1 + 1, 2 + 1) * 6 / 9 = 8/3, 4/3, 2.
    np.testing.assert_allclose(quantizer.counts[...], [[3.0, 1.0, 2.0]], rtol=1e-6)
    expected = [1 + 0.5 * (6 - 2 * 1) / (8 / 3), 2 + 0.5 * (0 - 2 * 2) / (4 / 3), 5]
    np.testing.assert_allclose(np.ravel(quantizer.codebook), expected, rtol=1e-6)


def test_the_first_update_goes_all_the_way_to_the_means():
    z = normal(1, 400, 3)
    quantizer = make(normal(0, 1, 4, 3), epsilon=0.0)
    result = quantize(quantizer, z)
    update(quantizer, result.statistics)
    counts, sums = numpy_statistics(z, result.indices, quantizer.codebook)
    np.testing.assert_allclose(quantizer.codebook, sums / counts[..., None], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("epsilon", "cosine"), [(0.0, False), (1e-5, False), (0.0, True)])
def test_nothing_is_learned_from_nothing(epsilon, cosine):
    quantizer = make(normal(0, 1, 3, 4), epsilon=epsilon, cosine=cosine)
    before = stored(quantizer)
    candidates = normal(0, 1, 3, 4)
    for _ in range(3):
        update(quantizer, empty(quantizer, candidates))
    assert stored(quantizer) == before


@pytest.mark.parametrize("cosine", [False, True])
def test_an_empty_update_after_a_start_or_a_restart_moves_no_code(cosine):
    z = normal(1, 10, 12, 6)
    quantizer = make(normal(0, 2, 5, 3), cosine=cosine)

    def settled():
        codes = np.asarray(quantizer.codebook)
        for _ in range(3):
            update(quantizer, empty(quantizer))
            np.testing.assert_array_equal(quantizer.codebook, codes)

    quantizer.start(jnp.asarray(z), KEY)
    settled()
    # Code 2 falls silent and restarts: nothing pulls it back to where it was.
    spoken = np.float32([1, 1, 0, 1, 1])
    quantizer.counts[...] = jnp.asarray(np.asarray(quantizer.counts[...]) * spoken)
    result = quantize(quantizer, z, KEY)
    before = np.asarray(quantizer.codebook)
    silent = result.statistics._replace(
        counts=np.asarray(result.statistics.counts) * spoken,
        sums=np.asarray(result.statistics.sums) * spoken[:, None],
    )
    update(quantizer, silent)
    assert (np.asarray(quantizer.codebook)[:, 2] != before[:, 2]).any()
    settled()


# Dead codes.


@pytest.mark.parametrize("learning", ["moving_average", "loss"])
def test_dead_codes_restart_at_candidates_with_the_mean_count(learning):
    codes, candidates = normal(0, 2, 4, 3), normal(1, 2, 4, 3)
    history = [[10.0, 0.2, 6.0, 3.8], [5.0, 5.0, 5.0, 0.0]]
    settings = dict(learning=learning, decay=0.5, dead_share=0.05)
    with_candidates, without = (make(codes, history, **settings) for _ in range(2))
    batch_counts = np.array([[10, 0, 4, 6], [5, 5, 0, 0]])
    batch_sums = batch_counts[..., None] * (codes + 1)
    update(with_candidates, statistics(batch_counts, batch_sums, candidates))
    update(without, statistics(batch_counts, batch_sums))

    # Counts [10, .1, 5, 4.9], mean 5; and [5, 5, 2.5, 0], mean 3.125.
    dead = np.array([[False, True, False, False], [False, False, False, True]])
    expected = np.where(dead[..., None], candidates, without.codebook)
    np.testing.assert_array_equal(with_candidates.codebook, expected)
    np.testing.assert_allclose(
        with_candidates.counts[...], [[10, 5, 5, 4.9], [5, 5, 2.5, 3.125]], rtol=1e-6
    )
    # No candidates, no restart; and by itself a loss's codebook does not move at all.
    np.testing.assert_array_equal(np.asarray(without.codebook)[dead], codes[dead])
    np.testing.assert_allclose(without.counts[...], [[10, 0.1, 5, 4.9], [5, 5, 2.5, 0]], rtol=1e-6)
    moved = (np.asarray(without.codebook) != codes).any(axis=-1)
    np.testing.assert_array_equal(moved, (learning == "moving_average") & (batch_counts > 0))


def test_no_share_is_too_small_to_live_on_if_the_share_is_zero():
    quantizer = make(normal(0, 1, 3, 2), [[9.0, 0.0, 0.0]], dead_share=0.0)
    update(quantizer, empty(quantizer, normal(1, 1, 3, 2)))
    np.testing.assert_array_equal(quantizer.codebook, normal(0, 1, 3, 2))


def test_candidates_are_vectors_of_the_whole_batch_drawn_for_each_codebook():
    g, k, d = 2, 400, 3
    z = normal(0, 4, 3, 5, g * d)
    quantizer = make(np.zeros((g, k, d)))
    candidates = np.asarray(quantize(quantizer, z, KEY).statistics.candidates)
    pieces, numbers = z.reshape(-1, g, d), []
    for codebook in range(g):
        equal = (candidates[codebook][:, None] == pieces[:, codebook]).all(axis=-1)
        np.testing.assert_array_equal(equal.sum(axis=1), np.ones(k))
        numbers.append(equal.argmax(axis=1))
        # 400 draws of 60: each is left out with a probability of 0.1 %.
        assert len(np.unique(numbers[-1])) > 56
    # Equal by chance in 400 / 60 places.
    assert (numbers[0] == numbers[1]).sum() < 30
    again = quantize(quantizer, z, KEY).statistics.candidates
    other = quantize(quantizer, z, jax.random.key(4)).statistics.candidates
    np.testing.assert_array_equal(again, candidates)
    assert (np.asarray(other) != candidates).any()


# Gradients.


@pytest.mark.parametrize("learning", ["moving_average", "loss"])
def test_the_gradient_of_the_vectors_goes_straight_through(learning):
    quantizer = make(normal(0, 2, 5, 3), learning=learning)
    z = jnp.asarray(normal(1, 4, 6))
    jacobian = jax.jacrev(lambda z: quantize(quantizer, z).vectors)(z)
    np.testing.assert_array_equal(jacobian.reshape(24, 24), np.eye(24))


def loss_gradients(codes, z, which, **settings):
    """The gradients of one loss for the vectors and for everything the quantizer keeps."""
    quantizer = make(codes, **settings)
    graph, state = nnx.split(quantizer)
    of_z, of_state = jax.grad(
        lambda z, state: getattr(nnx.merge(graph, state)(z), which), argnums=(0, 1)
    )(jnp.asarray(z), state)
    return np.asarray(of_z), np.asarray(of_state["codebook_vectors"][...])


@pytest.mark.parametrize("learning", ["moving_average", "loss"])
def test_the_gradients_of_the_losses(learning):
    codes, z = normal(0, 2, 5, 3), normal(1, 40, 6)
    indices = numpy_distances(z, codes).argmin(axis=-1)
    counts, sums = numpy_statistics(z, indices, codes)
    for commitment in (0.0, 0.25, 2.0):
        settings = dict(learning=learning, commitment=commitment)
        of_z, of_codes = loss_gradients(codes, z, "commitment_loss", **settings)
        expected = commitment * 2 * (z - numpy_codes(codes, indices)) / z.size
        np.testing.assert_allclose(of_z, expected, rtol=1e-5, atol=1e-8)
        np.testing.assert_array_equal(of_codes, np.zeros_like(codes))

        of_z, of_codes = loss_gradients(codes, z, "codebook_loss", **settings)
        expected = 2 * (counts[..., None] * codes - sums) / z.size
        expected = expected if learning == "loss" else np.zeros_like(codes)
        np.testing.assert_allclose(of_codes, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(of_z, np.zeros_like(z))


def test_what_an_optimizer_sees():
    moving = make(normal(0, 1, 4, 2))
    assert not jax.tree.leaves(nnx.state(moving, nnx.Param))
    assert len(jax.tree.leaves(nnx.state(moving, (CodebookVariable, CodeCounts)))) == 2
    learned = make(normal(0, 1, 4, 2), learning="loss")
    (codes,) = jax.tree.leaves(nnx.state(learned, nnx.Param))
    np.testing.assert_array_equal(codes, normal(0, 1, 4, 2))
    assert not jax.tree.leaves(nnx.state(FiniteScalarQuantizer((3, 4))))


# The start.


@pytest.mark.parametrize("learning", ["moving_average", "loss"])
@pytest.mark.parametrize("cosine", [False, True])
def test_start_is_lloyds_algorithm(learning, cosine):
    g, k, d, iterations = 2, 5, 3, 10
    z = normal(1, 10, 12, g * d)
    settings = dict(learning=learning, cosine=cosine)
    drawn, quantizer = (
        make(np.ones((g, k, d)), k_means_iterations=n, **settings) for n in (0, iterations)
    )
    drawn.start(jnp.asarray(z), KEY)
    quantizer.start(jnp.asarray(z), KEY)

    def unit(x):
        return x / np.linalg.norm(x, axis=-1, keepdims=True) if cosine else x

    pieces = unit(np.float64(z).reshape(-1, g, d))
    codes = np.float64(drawn.codebook)
    for codebook in range(g):
        first = np.isclose(codes[codebook][:, None], pieces[:, codebook], atol=1e-6).all(axis=-1)
        # Vectors of the batch, no two of them the same.
        np.testing.assert_array_equal(first.sum(axis=1), np.ones(k))
        assert len(np.unique(first.argmax(axis=1))) == k
    for _ in range(iterations):
        indices = numpy_distances(pieces.reshape(-1, g * d), codes).argmin(axis=-1)
        counts, sums = numpy_statistics(pieces, indices, codes)
        assert counts.min() > 0
        codes = unit(sums / counts[..., None])
    np.testing.assert_allclose(quantizer.codebook, codes, rtol=1e-5, atol=1e-5)
    indices = numpy_distances(pieces.reshape(-1, g * d), codes).argmin(axis=-1)
    np.testing.assert_array_equal(
        quantizer.counts[...], numpy_statistics(pieces, indices, codes)[0]
    )


def test_start_finds_clusters_and_keeps_codes_that_nothing_chose():
    # Whole numbers: the means of equal vectors are exact.
    z = np.repeat(np.array([[0.0, 8.0], [8.0, 0.0]], np.float32), 5, axis=0)
    quantizer = VectorQuantizer(2, codebook_size=4, rngs=nnx.Rngs(0))
    quantizer.start(jnp.asarray(z), KEY)
    codes = np.asarray(quantizer.codebook[0])
    assert {tuple(code) for code in codes} == {(0.0, 8.0), (8.0, 0.0)}
    assert sorted(np.asarray(quantizer.counts[0])) == [0, 0, 5, 5]


def test_start_with_fewer_vectors_than_codes():
    z = normal(0, 3, 2)
    quantizer = VectorQuantizer(2, codebook_size=8, rngs=nnx.Rngs(0))
    quantizer.start(jnp.asarray(z), KEY)
    near = numpy_distances(z, np.asarray(quantizer.codebook))
    assert quantizer.counts[...].sum() == 3 and np.isfinite(near).all()
    # Each code is a vector, or, where one was not drawn, the mean of those that share it.
    assert near.min(axis=-1).min() < 1e-10


# Other numbers.


def test_bfloat16_vectors_choose_the_codes_that_float32_chooses():
    # The noise is as large as the codes are: each vector has another's code within reach, and some
    # per cent leave the code they were drawn around, so the nearest is not obvious. The rounding of
    # a vector shifts the difference between two squared distances by at most `bound`, and where
    # the two nearest are further apart than that, and only there, nothing at all may change.
    k, d = 64, 32
    codes = normal(0, 1, k, d)
    drawn = np.random.default_rng(1).integers(0, k, 20_000)
    z = codes[0][drawn] + 1.2 * normal(2, len(drawn), d)
    quantizer = make(codes)
    half = jnp.asarray(z, jnp.bfloat16)
    wanted = np.asarray(quantize(quantizer, z).indices)[:, 0]
    result = quantize(quantizer, half)
    distances = numpy_distances(z, codes)[:, 0]
    shift = np.abs(z - np.float32(half))
    bound = np.einsum("nd,nkd->nk", 2 * shift, np.abs(codes - codes[0][wanted][:, None]))
    bound += 1e-4
    gap = distances - distances.min(axis=1, keepdims=True)
    clear = (gap > bound).sum(axis=1) == k - 1
    same = np.asarray(result.indices)[:, 0] == wanted
    assert 0.01 < (wanted != drawn).mean() < 0.2
    assert same[clear].all() and clear.mean() > 0.99
    assert same.mean() >= 0.999, same.mean()
    for x in jax.tree.leaves(result):
        assert np.isfinite(np.asarray(x, np.float32)).all()
    assert result.vectors.dtype == jnp.bfloat16
    assert {x.dtype for x in jax.tree.leaves(result[2:])} == {jnp.dtype(jnp.float32)}
    # The claim says something: were the distances bfloat16 too, even clear ones would change.
    careless = np.float32(jnp.asarray(distances, jnp.bfloat16)).argmin(axis=-1)
    assert (careless != wanted)[clear].any()


@pytest.mark.parametrize(
    ("dtype", "settings"),
    [(jnp.float32, {}), (jnp.bfloat16, {"cosine": True}), (jnp.bfloat16, {"learning": "loss"})],
)
def test_huge_vectors_stay_finite(dtype, settings):
    z = jnp.asarray(1e4 * normal(0, 64, 8), dtype)
    quantizer = make(normal(1, 1, 16, 8), **settings)
    for _ in range(3):
        result = quantize(quantizer, z)
        update(quantizer, result.statistics)
        gradient = jax.grad(lambda z: quantize(quantizer, z).commitment_loss)(z)
        for x in jax.tree.leaves((result, gradient, nnx.state(quantizer))):
            assert np.isfinite(np.asarray(x, np.float32)).all()


# Directions only.


def test_with_cosine_lengths_do_not_matter_and_everything_has_length_one():
    codes, z = normal(0, 2, 5, 3) * 7, normal(1, 50, 6)
    quantizer = make(codes, cosine=True, dead_share=0.9)
    result = quantize(quantizer, z, KEY)
    unit_codes = codes / np.linalg.norm(codes, axis=-1, keepdims=True)
    pieces = in_pieces(z, codes)
    unit = pieces / np.linalg.norm(pieces, axis=-1, keepdims=True)
    indices = np.einsum("ngd,gkd->ngk", unit, unit_codes).argmax(axis=-1)
    np.testing.assert_array_equal(result.indices, indices)
    np.testing.assert_allclose(result.vectors, numpy_codes(unit_codes, indices), rtol=1e-6)
    np.testing.assert_allclose(quantizer.lookup(result.indices), result.vectors, rtol=1e-6)
    mean = ((unit.reshape(50, 6) - numpy_codes(unit_codes, indices)) ** 2).mean()
    np.testing.assert_allclose(result.commitment_loss, 0.25 * mean, rtol=1e-5)

    # Powers of two, so that not even a rounding differs; one with squares beyond float32.
    for size in (0.5, 2.0**70, 2.0**-70):
        scaled = quantize(quantizer, z * size, KEY)
        for x, y in zip(jax.tree.leaves(scaled), jax.tree.leaves(result), strict=True):
            np.testing.assert_array_equal(x, y)

    for _ in range(3):
        update(quantizer, quantize(quantizer, z, KEY).statistics)
        for codes in (quantizer.codebook, quantizer.codebook_vectors[...]):
            np.testing.assert_allclose(np.linalg.norm(codes, axis=-1), 1.0, rtol=1e-6)


def test_the_gradient_with_cosine_is_that_of_the_vectors_at_unit_length():
    quantizer = make(normal(0, 1, 5, 3), cosine=True)
    z = normal(1, 3)
    jacobian = jax.jacrev(lambda z: quantize(quantizer, z).vectors)(jnp.asarray(z))
    length = np.linalg.norm(z)
    expected = (np.eye(3) - np.outer(z, z) / length**2) / length
    np.testing.assert_allclose(jacobian, expected, rtol=1e-5, atol=1e-6)


def test_a_zero_vector_with_cosine_is_finite_and_so_is_its_gradient():
    quantizer = make(normal(0, 1, 5, 3), cosine=True)
    z = jnp.zeros((2, 3))
    result, gradient = (
        quantize(quantizer, z),
        jax.grad(lambda z: quantize(quantizer, z).commitment_loss)(z),
    )
    vectors_gradient = jax.grad(lambda z: quantize(quantizer, z).vectors.sum())(z)
    for x in jax.tree.leaves((result, gradient, vectors_gradient)):
        assert np.isfinite(np.asarray(x)).all()


# Fixed levels.


def numpy_finite_scalar(z, levels, g):
    """Vectors, indices and bounded features in float64: the nearest of the levels themselves."""
    bounded = np.tanh(np.float64(z)).reshape(*z.shape[:-1], g, len(levels))
    vectors, indices, radix = np.zeros_like(bounded), 0, 1
    for feature, count in enumerate(levels):
        grid = np.linspace(-1, 1, count)
        place = np.abs(bounded[..., feature, None] - grid).argmin(axis=-1)
        vectors[..., feature], indices, radix = grid[place], indices + radix * place, radix * count
    return vectors.reshape(z.shape), indices, bounded


LEVELS = [(2,), (3, 5), (8, 6, 5), (2, 4, 3)]


@pytest.mark.parametrize(("levels", "g"), list(zip(LEVELS, (2, 1, 2, 1), strict=True)))
def test_finite_scalars_against_float64(levels, g):
    quantizer = FiniteScalarQuantizer(levels, num_codebooks=g)
    z = 1.5 * normal(0, 4, 30, quantizer.features)
    result = quantize(quantizer, z, KEY)
    vectors, indices, bounded = numpy_finite_scalar(z, levels, g)
    np.testing.assert_array_equal(result.indices, indices)
    assert result.indices.dtype == jnp.int32
    np.testing.assert_allclose(result.vectors, vectors, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(quantizer.lookup(result.indices), result.vectors)
    counts, sums = numpy_statistics(bounded.reshape(z.shape), indices, quantizer.codebook)
    np.testing.assert_array_equal(result.statistics.counts, counts)
    np.testing.assert_allclose(result.statistics.sums, sums, rtol=1e-5, atol=1e-5)
    assert result.statistics.candidates is None
    assert result.commitment_loss == result.codebook_loss == 0.0


@pytest.mark.parametrize("levels", LEVELS)
def test_every_finite_scalar_code_is_one_of_its_own_and_comes_back(levels):
    quantizer = FiniteScalarQuantizer(levels, num_codebooks=2, rngs=nnx.Rngs(0))
    size = int(np.prod(levels))
    assert quantizer.codebook_size == size and quantizer.features == 2 * len(levels)
    assert quantizer.codebook.shape == (2, size, len(levels))
    indices = np.stack([np.arange(size), np.arange(size)[::-1]], axis=-1)
    codes = np.asarray(quantizer.lookup(jnp.asarray(indices)))
    assert len(np.unique(codes, axis=0)) == size and np.abs(codes).max() == 1.0
    # Codes lie behind tanh. What leads to an outermost one may be as far out as it likes.
    with np.errstate(divide="ignore"):
        before_tanh = np.clip(np.arctanh(codes), -50, 50)
    result = quantize(quantizer, before_tanh)
    np.testing.assert_array_equal(result.indices, indices)
    np.testing.assert_array_equal(result.vectors, codes)
    # The first feature runs fastest.
    assert codes[0, 0] == -1 and codes[1, 0] > -1
    np.testing.assert_array_equal(codes[0, 1 : len(levels)], codes[1, 1 : len(levels)])


def test_the_gradient_of_finite_scalars_is_that_of_tanh():
    quantizer = FiniteScalarQuantizer((5, 4))
    z = jnp.asarray(normal(0, 30, 2))
    gradient = jax.grad(lambda z: quantize(quantizer, z).vectors.sum())(z)
    np.testing.assert_allclose(gradient, 1 - np.tanh(np.float64(z)) ** 2, rtol=1e-4)
    assert (gradient != 0).all()


def test_finite_scalars_learn_nothing_and_take_any_float():
    quantizer = FiniteScalarQuantizer((5, 4))
    z = jnp.asarray(1e4 * normal(0, 30, 2), jnp.bfloat16)
    codes = np.asarray(quantizer.codebook)
    quantizer.start(jnp.asarray(z), KEY)
    result = quantize(quantizer, z)
    update(quantizer, result.statistics)
    np.testing.assert_array_equal(quantizer.codebook, codes)
    assert result.vectors.dtype == jnp.bfloat16
    assert np.isfinite(np.asarray(result.vectors, np.float32)).all()


# What cannot be used.


@pytest.mark.parametrize(
    "quantizer",
    [make(normal(0, 2, 6, 1)), FiniteScalarQuantizer((3, 2), num_codebooks=1)],
    ids=["vector", "finite"],
)
def test_arrays_that_cannot_be_used(quantizer):
    g = quantizer.num_codebooks
    for low, high in [(0, 6), (-1, 5), (-3, 17)]:
        indices = np.resize(np.array([low, high], np.int32), (4, g))
        with pytest.raises(InputError, match=rf"\[0, 6\), got values from {low} to {high}"):
            quantizer.lookup(indices)
        with pytest.raises(InputError, match=f"from {low} to {high}"):
            quantizer.lookup(jnp.asarray(indices))
    with pytest.raises(InputError, match=rf"\[\.\.\., {g}\].*got \(4, 3\)"):
        quantizer.lookup(np.zeros((4, 3), np.int32))
    with pytest.raises(InputError, match="float32"):
        quantizer.lookup(np.zeros((4, g), np.float32))
    for shape in [(4, 3), (0, 2), ()]:
        with pytest.raises(InputError, match=r"\[\.\.\., 2\], at least one, got"):
            quantizer(jnp.zeros(shape))
    with pytest.raises(InputError, match="int32"):
        quantizer(jnp.zeros((4, 2), jnp.int32))
    # Traced indices are looked up all the same, and a concrete one met meanwhile is checked.
    good = np.resize(np.array([0, 5], np.int32), (4, g))
    np.testing.assert_array_equal(jax.jit(quantizer.lookup)(good), quantizer.lookup(good))
    with pytest.raises(InputError, match="from 0 to 6"):
        jax.jit(lambda: quantizer.lookup(np.resize(np.array([0, 6], np.int32), (4, g))))()


def test_start_refuses_what_quantizing_refuses():
    with pytest.raises(InputError, match=r"got \(4, 3\)"):
        make(normal(0, 2, 6, 1)).start(jnp.zeros((4, 3)), KEY)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("features", 0),
        ("features", 7),
        ("features", 4.0),
        ("codebook_size", 0),
        ("codebook_size", 2.5),
        ("num_codebooks", 0),
        ("learning", "gradient"),
        ("decay", 1.0),
        ("decay", -0.1),
        ("decay", float("nan")),
        ("commitment", -0.25),
        ("commitment", float("inf")),
        ("epsilon", -1e-5),
        ("dead_share", 1.0),
        ("dead_share", -0.03),
        ("k_means_iterations", -1),
        ("k_means_iterations", 1.5),
    ],
)
def test_bad_settings_of_a_vector_quantizer(setting, value):
    settings = {"features": 4, "num_codebooks": 2, setting: value}
    with pytest.raises(InputError, match=rf"{setting} must be .*got .*{value}"):
        VectorQuantizer(settings.pop("features"), **settings, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("levels", [(), (1,), (5, 0), (2.0,), (2,) * 31])
def test_bad_levels(levels):
    with pytest.raises(InputError, match=r"levels must .*got"):
        FiniteScalarQuantizer(levels)


def test_bad_number_of_finite_scalar_codebooks():
    with pytest.raises(InputError, match="num_codebooks must be .*got 0"):
        FiniteScalarQuantizer((3, 3), num_codebooks=0)


# Compiled once, on one device and on several.

DEVICES = 8


@functools.cache
def train_on_clusters(place=jnp.asarray):
    """Codebooks, counts and indices after some updates, during which codes die and restart.

    Clusters far apart, so that another order of summation does not change what is nearest.
    """
    g, k, d = 2, 6, 3
    centres = 20 * normal(0, 10, g * d)
    quantizer = make(normal(1, g, k, d), decay=0.5, dead_share=0.1)
    graph, state = nnx.split(quantizer)
    compiled = []

    @jax.jit
    def start(state, z, key):
        quantizer = nnx.merge(graph, state)
        quantizer.start(z, key)
        return nnx.state(quantizer)

    @jax.jit
    def step(state, z, key):
        compiled.append(1)
        quantizer = nnx.merge(graph, state)
        result = quantizer(z, key)
        before = quantizer.codebook
        quantizer.update(result.statistics)
        restarted = quantizer.codebook[:, :, None] == result.statistics.candidates[:, :, None]
        restarted = restarted.all(axis=(-1, -2)) & (quantizer.codebook != before).any(axis=-1)
        return nnx.state(quantizer), result.indices, restarted

    results = []
    for number in range(6):
        rng = np.random.default_rng(number)
        # The clusters that there are change in the middle: codes die.
        low = 0 if number < 3 else 4
        chosen = rng.integers(low, low + 6, (16, 2, 3))
        z = place(centres[chosen] + np.float32(0.1) * normal(number, 16, 2, 3, g * d))
        if number == 0:
            state = start(state, z, KEY)
        state, indices, restarted = step(state, z, jax.random.fold_in(KEY, number))
        results.append((*jax.tree.leaves(state), indices, restarted))
    assert len(compiled) == 1
    return results


def test_updates_are_compiled_once_and_codes_do_restart():
    results = train_on_clusters()
    restarted = np.stack([result[-1] for result in results])
    assert restarted[3:].any(axis=(0, 2)).all()


@pytest.mark.slow
def test_all_devices_have_the_codebook_of_one_device(tmp_path):
    run_on_devices(DEVICES, __file__, tmp_path / "results.npz")
    with np.load(tmp_path / "results.npz") as several:
        leaves = jax.tree.leaves(train_on_clusters())
        assert len(several.files) == len(leaves)
        for name, one in zip(several.files, leaves, strict=True):
            if one.dtype == jnp.float32:
                # Sums of some tens of numbers of size 20, in another order.
                np.testing.assert_allclose(several[name], one, rtol=1e-5, atol=1e-5)
            else:
                np.testing.assert_array_equal(several[name], one)


def train_on_several_devices(file):
    """What the child process does: the batch spread over the devices, the codebook on each."""
    mesh = Mesh(np.array(jax.devices()), ("data",))
    assert mesh.size == DEVICES
    spread = NamedSharding(mesh, PartitionSpec("data"))
    results = train_on_clusters(lambda z: jax.device_put(z, spread))
    for codes_and_counts in (result[:2] for result in results):
        for x in codes_and_counts:
            assert x.is_fully_replicated and len(x.addressable_shards) == DEVICES
            copies = {np.asarray(shard.data).tobytes() for shard in x.addressable_shards}
            assert len(copies) == 1
    np.savez(file, *jax.tree.leaves(results))


if __name__ == "__main__":
    train_on_several_devices(sys.argv[1])


# Batches in parts.


def test_what_parts_of_a_batch_tell_adds_up_to_what_the_batch_tells():
    z, quantizer = normal(0, 12, 3, 4), make(normal(1, 2, 5, 2))
    keys = jax.random.split(KEY, 12)
    whole = quantize(quantizer, z, keys).statistics
    parts = [quantize(quantizer, z[n::3], keys[n::3]).statistics for n in range(3)]
    merged = merge_statistics(jax.tree.map(lambda *x: jnp.stack(x), *parts))
    np.testing.assert_array_equal(merged.counts, whole.counts)
    np.testing.assert_allclose(merged.sums, whole.sums, atol=1e-5)
    np.testing.assert_array_equal(merged.candidates, whole.candidates)
    # They come from several parts.
    for part in parts:
        from_part = (part.candidates == merged.candidates).all(axis=-1)
        assert from_part.any() and not from_part.all()


def test_parts_without_candidates_have_none_together():
    parts = CodeStatistics(np.ones((2, 1, 3)), np.ones((2, 1, 3, 2)), None)
    assert merge_statistics(parts).candidates is None
