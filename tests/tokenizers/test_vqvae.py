"""Tokenizers: against float64 from pixels to pixels, and what all their ways must agree on."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pixelprior.errors import InputError
from pixelprior.grid import Grid
from pixelprior.tokenizers import TOKENIZERS, VQVAE, VQVAE2
from pixelprior.tokenizers.code_maps import level_names, random_codes
from pixelprior.tokenizers.finite_scalar_quantizer import FiniteScalarQuantizer
from pixelprior.tokenizers.likelihoods import as_pixels
from pixelprior.tokenizers.quantizer import CodeStatistics
from pixelprior.tokenizers.vector_quantizer import VectorQuantizer
from tests.compilations import compilations

SIZES = dict(features=4, residual_features=3, num_residual_blocks=1)
VARIANCE = 0.3


def vector(**settings):
    return lambda rngs: VectorQuantizer(4, **{"codebook_size": 6} | settings, rngs=rngs)


def finite_scalar(rngs):
    return FiniteScalarQuantizer((3, 2), num_codebooks=2, rngs=rngs)


CASES = {
    "one level": (Grid(8, 12, 1, 5), (2,), vector(), "gaussian"),
    "two levels": (Grid(8, 12, 3, 5), (2, 2), vector(num_codebooks=2), "discretized_logistic"),
    "3 then 2": (Grid(12, 18, 1, 5), (3, 2), vector(), "gaussian"),
    "finite scalars": (Grid(8, 12, 1, 5), (2, 2), finite_scalar, "gaussian"),
    "residuals": (Grid(8, 12, 1, 5), (2, 2), vector(depth=2, gradient="rotation"), "gaussian"),
}
DEPTHS = {"residuals": 2}
CODE_GRIDS = {
    "one level": [(4, 6, 1, 6)],
    "two levels": [(2, 3, 2, 6), (4, 6, 2, 6)],
    "3 then 2": [(2, 3, 1, 6), (4, 6, 1, 6)],
    "finite scalars": [(2, 3, 2, 6), (4, 6, 2, 6)],
    "residuals": [(2, 3, 2, 6), (4, 6, 2, 6)],
}
every_case = pytest.mark.parametrize("case", CASES)
BATCH = 3


@functools.cache
def graph_and_shapes(case):
    """Only traced, since real initial weights take long to compile."""
    grid, strides, quantizer, likelihood = CASES[case]
    return nnx.split(
        nnx.eval_shape(
            lambda: VQVAE(
                grid,
                strides=strides,
                quantizer=quantizer,
                likelihood=likelihood,
                rngs=nnx.Rngs(0),
                **SIZES,
            )
        )
    )


@functools.cache
def random_weights(case, seed=0):
    """Kernels that keep sizes as they are, codes as far apart as what chooses them."""
    rng = np.random.default_rng(seed)

    def fill(path, shape):
        x = rng.normal(size=shape.shape)
        name = jax.tree_util.keystr(path)
        if "kernel" in name:
            x *= (2.0 / np.prod(shape.shape[:-1])) ** 0.5
        else:
            x *= 0.3
        return jnp.asarray(np.abs(x) if "counts" in name else x, shape.dtype)

    return jax.tree_util.tree_map_with_path(fill, graph_and_shapes(case)[1])


def images(case, batch=BATCH, seed=0):
    grid = CASES[case][0]
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.integers(0, grid.levels, (batch, *grid.shape)), jnp.int32)


@functools.partial(jax.jit, static_argnames="graph")
def forward(graph, weights, x):
    """All ways there are from images to codes, vectors, pixels and losses, and what they leave."""
    model = nnx.merge(graph, weights)
    pixels = as_pixels(x, model.grid)
    encoded = model.quantize(pixels, jax.random.key(1))
    codes = model.encode(pixels)
    results = {
        "codes": codes,
        "indices": [level.indices for level in encoded],
        "vectors": [level.vectors for level in encoded],
        "looked up": model.lookup(codes),
        "reconstructed": model.reconstruct(pixels),
        "decoded codes": model.decode(codes),
        "parameters": model.decode_parameters([level.vectors for level in encoded]),
        "codebooks": model.codebook,
        "encoded": encoded,
        "loss": model.loss(x, variance=VARIANCE, key=jax.random.key(1)),
    }
    return results, nnx.state(model)


@functools.partial(jax.jit, static_argnames="graph")
def decode_codes(graph, weights, codes):
    model = nnx.merge(graph, weights)
    return model.decode(codes), model.decode_parameters(model.lookup(codes))


@functools.partial(jax.jit, static_argnames="graph")
def loss_and_gradient(graph, weights, x):
    """The gradient of the reconstruction's loss alone: what comes through the codes."""
    trained, rest = nnx.split_state(weights, nnx.Param, ...)

    def value(trained):
        loss = nnx.merge(graph, trained, rest).loss(x, variance=VARIANCE)
        return loss.reconstruction, loss.total

    (_, total), gradient = jax.value_and_grad(value, has_aux=True)(trained)
    return total, gradient


def run(case, seed=0):
    return forward(graph_and_shapes(case)[0], random_weights(case, seed), images(case))


@every_case
def test_shapes_and_order_of_codes(case):
    model = nnx.merge(*graph_and_shapes(case))
    grids = [Grid(*sizes) for sizes in CODE_GRIDS[case]]
    assert list(model.code_grids) == grids
    assert model.num_levels == len(grids)
    results, _ = run(case)
    for grid, codes, codebook in zip(grids, results["codes"], results["codebooks"], strict=True):
        assert codes.dtype == jnp.int32
        grid.check(codes)
        assert codes.shape[0] == BATCH
        pieces = grid.channels // DEPTHS.get(case, 1)
        assert codebook.shape == (grid.channels, grid.levels, 4 // pieces)
        # Codes that say something: of every codebook more than one.
        assert all(len(np.unique(codes[..., g])) > 1 for g in range(grid.channels))
    assert results["reconstructed"].shape == (BATCH, *CASES[case][0].shape)


@every_case
def test_all_ways_agree(case):
    results, _ = run(case)
    for codes, indices in zip(results["codes"], results["indices"], strict=True):
        np.testing.assert_array_equal(codes, indices)
    for vectors, looked_up in zip(results["vectors"], results["looked up"], strict=True):
        np.testing.assert_array_equal(vectors, looked_up)
    np.testing.assert_array_equal(results["decoded codes"], results["reconstructed"])
    # And compiled by itself, so that sums may be taken in another order.
    graph, weights = graph_and_shapes(case)[0], random_weights(case)
    pixels, parameters = decode_codes(graph, weights, results["codes"])
    np.testing.assert_allclose(pixels, results["reconstructed"], atol=1e-5)
    np.testing.assert_allclose(parameters, results["parameters"], rtol=1e-4, atol=1e-4)
    assert (np.asarray(pixels) >= 0).all() and (np.asarray(pixels) <= 1).all()
    mean = np.asarray(parameters)[..., : CASES[case][0].channels]
    np.testing.assert_array_equal(pixels, np.clip(mean, 0, 1))
    # Otherwise nothing was cut off, and nothing was not.
    assert mean.min() < 0 or mean.max() > 1
    assert ((mean > 0) & (mean < 1)).any()


@pytest.mark.parametrize("case", [case for case in CASES if case not in DEPTHS])
def test_the_vectors_of_codes_are_their_own_codes(case):
    results, _ = run(case)
    for vectors, codes, codebook in zip(
        results["vectors"], results["codes"], results["codebooks"], strict=True
    ):
        g, _, d = codebook.shape
        pieces = np.float64(vectors).reshape(*vectors.shape[:-1], g, 1, d)
        distances = ((pieces - np.float64(codebook)) ** 2).sum(axis=-1)
        np.testing.assert_array_equal(distances.argmin(axis=-1), codes)
        np.testing.assert_array_equal(distances.min(axis=-1), 0)


@every_case
def test_the_loss_is_its_parts(case):
    results, _ = run(case)
    model, loss = nnx.merge(*graph_and_shapes(case)), results["loss"]
    commitment = sum(float(level.commitment_loss) for level in results["encoded"])
    np.testing.assert_allclose(loss.commitment, commitment, rtol=1e-6)
    assert (commitment > 0) == (case != "finite scalars")
    assert float(loss.codebook) == 0
    np.testing.assert_allclose(loss.total, loss.reconstruction + loss.commitment, rtol=1e-6)
    pixels = np.asarray(images(case)) / 4.0
    error = (np.float64(results["reconstructed"]) - pixels) ** 2
    np.testing.assert_allclose(loss.squared_error, error.mean(), rtol=1e-5)
    if CASES[case][3] == "gaussian":
        raw = ((np.float64(results["parameters"]) - pixels) ** 2).mean() / VARIANCE
    else:
        log_prob = model.likelihood.log_prob(results["parameters"], images(case))
        raw = -np.float64(log_prob).mean() / model.grid.size
    np.testing.assert_allclose(loss.reconstruction, raw, rtol=1e-5)
    for statistics, codes, level in zip(
        loss.statistics, results["codes"], results["encoded"], strict=True
    ):
        for g, counts in enumerate(np.asarray(statistics.counts)):
            wanted = np.bincount(np.asarray(codes)[..., g].ravel(), minlength=6)
            np.testing.assert_array_equal(counts, wanted)
        # The same key for the same level, and so the same candidates.
        same = jax.tree.map(np.array_equal, statistics, level.statistics)
        assert all(jax.tree.leaves(same))


@every_case
def test_using_a_tokenizer_changes_nothing_in_it(case):
    _, state = run(case)
    before, after = jax.tree.leaves(random_weights(case)), jax.tree.leaves(state)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


@every_case
def test_the_gradient_reaches_everything_through_the_codes(case):
    seen = {}
    for seed in range(3):
        graph, weights = graph_and_shapes(case)[0], random_weights(case, seed)
        _, gradient = loss_and_gradient(graph, weights, images(case))
        for path, value in nnx.to_flat_state(gradient):
            g = np.asarray(value[...])
            assert np.isfinite(g).all(), path
            seen[path] = seen.get(path, False) | (g != 0).any()
    assert all(seen.values()), [path for path, any_ in seen.items() if not any_]
    # That is every encoder, all that chooses codes, and every decoder.
    for level in range(len(CASES[case][1])):
        parts = {path[2] for path in seen if path[:2] == ("_levels", level)}
        assert parts == {"down", "encoder", "project", "decoder", "up"}


@every_case
def test_every_pixel_can_depend_on_every_level(case):
    graph, model = graph_and_shapes(case)[0], nnx.merge(*graph_and_shapes(case))
    for number, grid in enumerate(model.code_grids):
        seen = np.zeros((grid.size, model.grid.height, model.grid.width), bool)
        for seed in range(4):
            codes = [
                np.repeat(np.asarray(level), grid.size, axis=0)
                for level in random_codes(jax.random.key(seed), jnp.arange(1), model.code_grids)
            ]
            changed = list(codes)
            other = codes[number].reshape(grid.size, -1).copy()
            np.einsum("nn->n", other)[:] += 1
            changed[number] = (other % grid.levels).reshape(codes[number].shape)
            before, after = (
                np.asarray(decode_codes(graph, random_weights(case, seed), c)[1])
                for c in (codes, changed)
            )
            seen |= (before != after).any(axis=-1)
        # Compared bit for bit: both are batches of one size, in the same places.
        assert seen.any(axis=0).all() and seen.any(axis=(1, 2)).all()
        # A code speaks for its own block of the image first.
        block = model.grid.height // grid.height
        by_place = seen.reshape(grid.height, grid.width, grid.channels, *seen.shape[1:]).any(axis=2)
        for i, j in np.ndindex(grid.height, grid.width):
            rows, columns = slice(i * block, (i + 1) * block), slice(j * block, (j + 1) * block)
            assert by_place[i, j, rows, columns].all()


# From pixels to pixels in NumPy, for two levels.


def numpy_conv(x, weights, stride=1):
    kernel, bias = weights["kernel"], weights["bias"]
    k = kernel.shape[0]
    _, h, w, _ = x.shape
    total = k - stride
    x = np.pad(x, [(0, 0), *[(total // 2, total - total // 2)] * 2, (0, 0)])
    taps = [
        x[:, i : i + h : stride, j : j + w : stride][:, : h // stride, : w // stride] @ kernel[i, j]
        for i, j in np.ndindex(k, k)
    ]
    return sum(taps) + bias


def numpy_tower(x, weights):
    x = numpy_conv(x, weights["first"])
    for block in weights["blocks"].values():
        hidden = np.maximum(numpy_conv(np.maximum(x, 0), block["wide"]), 0)
        x = x + hidden @ block["back"]["kernel"] + block["back"]["bias"]
    return np.maximum(x, 0)


def numpy_up(x, weights, factor):
    x = numpy_conv(x, weights["convs"][0])
    b, h, w, c = x.shape
    return (
        x.reshape(b, h, w, factor, factor, c // factor**2)
        .transpose(0, 1, 3, 2, 4, 5)
        .reshape(b, h * factor, w * factor, -1)
    )


def numpy_quantize(z, codebook):
    pieces = z.reshape(*z.shape[:-1], codebook.shape[0], 1, -1)
    distances = ((pieces - codebook) ** 2).sum(axis=-1)
    # No two codes so alike that a rounding of float32 could decide.
    nearest = np.sort(distances, axis=-1)
    assert (nearest[..., 1] - nearest[..., 0]).min() > 1e-4
    indices = distances.argmin(axis=-1)
    return indices, codebook[np.arange(len(codebook)), indices].reshape(z.shape)


@pytest.mark.parametrize("case", ["two levels", "3 then 2"])
def test_from_pixels_to_pixels_against_float64(case):
    results, _ = run(case)
    weights = jax.tree.map(np.float64, nnx.to_pure_dict(random_weights(case)))
    bottom, top = weights["_levels"][0], weights["_levels"][1]
    fine, coarse = CASES[case][1]
    x = np.asarray(images(case)) / 4.0 - 0.5
    below = numpy_tower(
        np.maximum(numpy_conv(x, bottom["down"]["convs"][0], fine), 0), bottom["encoder"]
    )
    above = numpy_tower(
        np.maximum(numpy_conv(below, top["down"]["convs"][0], coarse), 0), top["encoder"]
    )
    z = above @ top["project"]["kernel"] + top["project"]["bias"]
    top_codes, vectors = numpy_quantize(z, top["quantizer"]["codebook_vectors"])
    known = numpy_up(numpy_tower(vectors, top["decoder"]), top["up"], coarse)
    joined = np.concatenate([below, known], axis=-1)
    z = joined @ bottom["project"]["kernel"] + bottom["project"]["bias"]
    bottom_codes, vectors = numpy_quantize(z, bottom["quantizer"]["codebook_vectors"])
    joined = np.concatenate([vectors, known], axis=-1)
    parameters = numpy_up(numpy_tower(joined, bottom["decoder"]), bottom["up"], fine)
    np.testing.assert_array_equal(results["codes"][0], top_codes)
    np.testing.assert_array_equal(results["codes"][1], bottom_codes)
    # Through some ten convolutions of up to 150 terms of size 1.
    np.testing.assert_allclose(results["parameters"], parameters, rtol=1e-3, atol=1e-3)


# Codebooks.


def test_every_codebook_starts_from_the_vectors_that_will_choose_from_it():
    # As many codes as one image has places, on either level: then every vector becomes a code of
    # its own, and nothing is lost. The bottom's vectors depend on the codes of the top, so those
    # must have been set before.
    sizes = iter([24, 6])

    def make():
        def quantizer(rngs):
            return VectorQuantizer(4, codebook_size=next(sizes), rngs=rngs)

        return VQVAE2(
            Grid(8, 12, 3, 5), strides=(2, 2), quantizer=quantizer, rngs=nnx.Rngs(0), **SIZES
        )

    graph, shapes = nnx.split(nnx.eval_shape(make))
    rng = np.random.default_rng(0)
    weights = jax.tree.map(lambda s: jnp.asarray(0.3 * rng.normal(size=s.shape)), shapes)
    x = images("two levels", batch=1)
    pixels = as_pixels(x, Grid(8, 12, 3, 5))

    @jax.jit
    def start(weights, key):
        model = nnx.merge(graph, weights)
        fresh = model.loss(x, variance=VARIANCE).commitment
        model.start_codebooks(pixels, key)
        encoded = model.quantize(pixels, jax.random.key(2))
        # Where each level draws its candidates: by the image's own key, and that of the level.
        image_key = jax.random.fold_in(jax.random.key(2), 0)
        keys = [jax.random.split(jax.random.fold_in(image_key, n))[1] for n in range(2)]
        places = [
            jax.random.randint(k, (1, n), 0, n)[0] for k, n in zip(keys, (6, 24), strict=True)
        ]
        return fresh, model.loss(x, variance=VARIANCE), encoded, places, nnx.state(model)

    fresh, loss, encoded, places, state = start(weights, jax.random.key(0))
    assert float(fresh) > 1e-3
    # Roundings of means of one vector; squared, of size 1.
    assert float(loss.commitment) < 1e-10
    for level, drawn, size in zip(encoded, places, (6, 24), strict=True):
        np.testing.assert_array_equal(level.statistics.counts, np.ones((1, size)))
        # Since every code is a vector here, this is what candidates are.
        candidates = np.reshape(level.vectors, (size, 4))[drawn]
        np.testing.assert_allclose(level.statistics.candidates[0], candidates, atol=1e-5)
    # Nothing but the quantizers has changed.
    for (path, before), (_, after) in zip(
        nnx.to_flat_state(weights), nnx.to_flat_state(state), strict=True
    ):
        assert np.array_equal(before[...], after[...]) == ("quantizer" not in path), path
    _, _, _, _, other = start(weights, jax.random.key(1))
    assert any(
        (np.asarray(a) != np.asarray(b)).any()
        for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(other), strict=True)
    )


def test_updates_go_to_the_level_that_they_are_of():
    graph, _ = graph_and_shapes("3 then 2")
    model = nnx.merge(graph, jax.tree.map(jnp.copy, random_weights("3 then 2")))
    before = [np.asarray(codebook) for codebook in model.codebook]

    def statistics(chosen):
        counts = np.zeros((1, 6), np.float32)
        counts[0, chosen] = 1.0
        return CodeStatistics(jnp.asarray(counts), jnp.zeros((1, 6, 4)), None)

    model.update_codebooks([statistics(2), statistics(5)])
    for old, new, chosen in zip(before, model.codebook, (2, 5), strict=True):
        moved = (old != np.asarray(new)).any(axis=-1)[0]
        np.testing.assert_array_equal(moved, np.arange(6) == chosen)
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        model.update_codebooks([statistics(2)])


# Checkpoints hold weights under these names: a change here is a change that breaks old ones.


def level_parameters(n, *, c, known, out):
    """Of a level with stride 2, 4 features, and codes of 4 features."""
    tower = {
        "blocks.0.back.bias": (4,),
        "blocks.0.back.kernel": (3, 4),
        "blocks.0.wide.bias": (3,),
        "blocks.0.wide.kernel": (3, 3, 4, 3),
        "first.bias": (4,),
    }
    names = {
        "down.convs.0.bias": (4,),
        "down.convs.0.kernel": (4, 4, c, 4),
        "project.bias": (4,),
        "project.kernel": (4 + known, 4),
        "quantizer.codebook_vectors": (2, 6, 2),
        "quantizer.counts": (2, 6),
        "up.convs.0.bias": (4 * out,),
        "up.convs.0.kernel": (3, 3, 4, 4 * out),
        "encoder.first.kernel": (3, 3, 4, 4),
        "decoder.first.kernel": (3, 3, 4 + known, 4),
        **{
            f"{part}.{name}": shape
            for part in ("encoder", "decoder")
            for name, shape in tower.items()
        },
    }
    return {f"_levels.{n}.{name}": shape for name, shape in names.items()}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_names_and_shapes_of_parameters(name):
    strides = {"vqvae": (2,), "vqvae2": (2, 2)}[name]
    model = nnx.eval_shape(
        lambda: TOKENIZERS[name](
            Grid(8, 12, 3, 5),
            strides=strides,
            quantizer=vector(num_codebooks=2),
            rngs=nnx.Rngs(0),
            **SIZES,
        )
    )
    # The finest level has the number 0.
    wanted = level_parameters(0, c=3, known=4 if name == "vqvae2" else 0, out=3)
    if name == "vqvae2":
        wanted |= level_parameters(1, c=4, known=0, out=4)
    flat = nnx.to_flat_state(nnx.state(model))
    assert {".".join(map(str, path)): value.shape for path, value in flat} == wanted
    kinds = {path[-1]: type(value).__name__ for path, value in flat}
    assert kinds["codebook_vectors"] == "CodebookVariable" and kinds["kernel"] == "Param"


@pytest.mark.parametrize("case", ["two levels", "finite scalars"])
def test_bfloat16_stays_finite(case):
    graph, weights = graph_and_shapes(case)[0], random_weights(case)
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16), weights)

    @jax.jit
    def reconstruct(weights, pixels):
        model = nnx.merge(graph, weights)
        return model.reconstruct(pixels), model.encode(pixels)

    pixels = as_pixels(images(case), CASES[case][0]).astype(jnp.bfloat16)
    found, codes = reconstruct(half, pixels)
    assert np.isfinite(np.asarray(found, np.float32)).all()
    for grid, here in zip(nnx.merge(*graph_and_shapes(case)).code_grids, codes, strict=True):
        grid.check(here)
    # Mostly the same codes; some lie on the border between two.
    exact, _ = run(case)
    same = [np.mean(np.asarray(a == b)) for a, b in zip(codes, exact["codes"], strict=True)]
    assert min(same) > 0.5
    total, gradient = loss_and_gradient(graph, half, images(case))
    assert np.isfinite(total)
    for g in jax.tree.leaves(gradient):
        assert np.isfinite(np.asarray(g, np.float32)).all()


# What is refused.


def build(grid=CASES["one level"][0], **settings):
    settings = {"strides": (2,), "quantizer": vector()} | SIZES | settings
    return nnx.eval_shape(lambda: VQVAE(grid, rngs=nnx.Rngs(0), **settings))


def test_codes_that_do_not_fit_are_refused():
    case = "two levels"
    model = nnx.merge(graph_and_shapes(case)[0], random_weights(case))
    top, bottom = (np.zeros((1, *grid.shape), np.int32) for grid in model.code_grids)
    assert model.decode([top, bottom]).shape == (1, 8, 12, 3)
    for codes in ([top], [top, bottom, bottom]):
        with pytest.raises(InputError, match=f"expected 2 maps of codes.* got {len(codes)}"):
            model.lookup(codes)
    with pytest.raises(InputError, match=r"\[batch, 2, 3, 2\], got \(1, 4, 6, 2\)"):
        model.decode([bottom, top])
    with pytest.raises(InputError, match=r"\[batch, 4, 6, 2\], got \(1, 4, 6, 1\)"):
        model.lookup([top, bottom[..., :1]])
    with pytest.raises(InputError, match=r"in \[0, 6\), got values from 6 to 6"):
        model.decode([top + 6, bottom])
    with pytest.raises(InputError, match=r"in \[0, 6\), got values from -1 to -1"):
        model.decode([top, bottom - 1])
    with pytest.raises(InputError, match="expected integer symbols"):
        model.lookup([top.astype(np.float32), bottom])


def test_pixels_that_do_not_fit_are_refused():
    case = "one level"
    model = nnx.merge(graph_and_shapes(case)[0], random_weights(case))
    pixels = np.zeros((1, 8, 12, 1), np.float32)
    for use in (model.quantize, model.encode, model.reconstruct):
        for wrong in (pixels[0], pixels[:, :4], pixels.swapaxes(1, 2)):
            with pytest.raises(InputError, match=r"pixels of shape \[batch, 8, 12, 1\], got"):
                use(wrong)
        with pytest.raises(InputError, match=r"floating-point numbers in \[0, 1\], got uint8; pix"):
            use(pixels.astype(np.uint8))
    with pytest.raises(InputError, match="floating-point numbers"):
        model.start_codebooks(pixels.astype(np.int32), jax.random.key(0))
    with pytest.raises(InputError, match="expected integer symbols"):
        model.loss(pixels, variance=1.0)
    with pytest.raises(InputError, match=r"expected symbols in \[0, 5\), got values from 5"):
        model.loss(pixels.astype(np.int32) + 5, variance=1.0)


@pytest.mark.parametrize(
    ("height", "width", "strides", "message"),
    [
        (28, 28, (8,), "multiples of 8, but the images are 28 x 28; 24 x 24 or 32 x 32 would fit"),
        (28, 28, (4, 2), "multiples of 8, but .* 24 x 24 or 32 x 32 would fit"),
        (8, 12, (4, 2), "the images are 8 x 12; 8 x 8 or 8 x 16 would fit"),
        (45, 32, (2, 2), "the images are 45 x 32; 44 x 32 or 48 x 32 would fit"),
        # Nothing below: an image must have a pixel.
        (3, 30, (4,), "the images are 3 x 30; 4 x 32 would fit"),
    ],
)
def test_sizes_that_strides_do_not_divide(height, width, strides, message):
    with pytest.raises(InputError, match=message):
        build(Grid(height, width, 1, 5), strides=strides)


@pytest.mark.parametrize("strides", [(), (0,), (2, 0), (-2,), (2.0,), ("2",), 4, (True,)])
def test_strides_that_are_none(strides):
    with pytest.raises(InputError, match="strides must be one or more integers of at least 1, got"):
        build(strides=strides)


def test_other_settings_that_are_refused():
    with pytest.raises(InputError, match="one of gaussian, discretized_logistic, got 'poisson'"):
        build(likelihood="poisson")
    with pytest.raises(InputError, match=r"at least two levels, got strides=\(4,\)"):
        VQVAE2(Grid(8, 8, 1, 5), strides=(4,), quantizer=vector(), rngs=nnx.Rngs(0))


def test_three_levels_and_strides_of_one():
    model = build(Grid(12, 8, 1, 5), strides=(2, 1, 2))
    assert [grid.shape for grid in model.code_grids] == [(3, 2, 1), (6, 4, 1), (6, 4, 1)]


# Names, and codes by chance.


@pytest.mark.parametrize(
    ("num", "names"),
    [
        (1, ("top",)),
        (2, ("top", "bottom")),
        (3, ("top", "middle", "bottom")),
        (4, ("top", "middle_1", "middle_2", "bottom")),
    ],
)
def test_names_of_levels(num, names):
    assert level_names(num) == names


def test_random_codes_are_uniform_and_an_image_depends_on_its_number_alone():
    grids = [Grid(2, 3, 2, 3), Grid(3, 4, 1, 7)]
    draw = jax.jit(lambda key, numbers: random_codes(key, numbers, grids))
    together = draw(jax.random.key(3), jnp.arange(300))
    for grid, codes in zip(grids, together, strict=True):
        grid.check(codes)
        counts = np.bincount(np.ravel(codes), minlength=grid.levels)
        expected = codes.size / grid.levels
        # Chi-square with at most six degrees of freedom: above 30 once in 20,000 keys.
        assert ((counts - expected) ** 2 / expected).sum() < 30
        # Every place and every image is drawn by itself.
        assert len(np.unique(codes, axis=0)) == 300
        assert len(np.unique(np.reshape(codes, (300, -1)), axis=1).T) == grid.size
    order = np.random.default_rng(0).permutation(300)
    for codes, shuffled in zip(together, draw(jax.random.key(3), jnp.asarray(order)), strict=True):
        np.testing.assert_array_equal(shuffled, np.asarray(codes)[order])
    # In another batch too.
    for codes, alone in zip(together, draw(jax.random.key(3), jnp.asarray([299])), strict=True):
        np.testing.assert_array_equal(alone[0], codes[299])
    other = draw(jax.random.key(4), jnp.arange(300))
    assert all((a != b).any() for a, b in zip(other, together, strict=True))


def tiny(**settings):
    return VQVAE(Grid(4, 4, 1, 3), strides=(2,), **SIZES, **settings, rngs=nnx.Rngs(0))


def test_without_a_quantizer_there_is_one_of_the_width_of_the_network():
    model = tiny()
    (codebook,) = model.codebook
    assert codebook.shape == (1, 256, SIZES["features"])
    expected = tiny(quantizer=functools.partial(VectorQuantizer, SIZES["features"]))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(model), nnx.state(expected))


@pytest.mark.parametrize(
    "quantizer",
    ["vector", 3, VectorQuantizer, FiniteScalarQuantizer((3, 2))],
    ids=["name", "number", "class", "quantizer"],
)
def test_what_makes_no_quantizer_is_refused_with_what_does(quantizer):
    with pytest.raises(InputError, match=r"give functools.partial\(VectorQuantizer, 64, "):
        tiny(quantizer=quantizer)


def test_codes_and_vectors_are_not_taken_for_each_other():
    model = tiny()
    pixels = np.linspace(0, 1, 32, dtype=np.float32).reshape(2, 4, 4, 1)
    codes, quantized = model.encode(pixels), model.quantize(pixels)
    np.testing.assert_array_equal(codes[0], quantized[0].indices)
    np.testing.assert_array_equal(codes[0], model.get_code_indices(pixels)[0])
    with pytest.raises(InputError, match="decode_vectors takes vectors"):
        model.decode([quantized[0].vectors])
    for use in (model.decode, model.lookup):
        with pytest.raises(
            InputError, match="expected a list of 1 maps of codes.*put it in a list"
        ):
            use(codes[0])


def test_a_second_call_compiles_nothing():
    model = tiny()
    pixels = jnp.linspace(0, 1, 32).reshape(2, 4, 4, 1)
    codes, vectors = model.encode(pixels), [model.quantize(pixels)[0].vectors]
    x = jnp.zeros((2, 4, 4, 1), jnp.int32)
    uses = (
        lambda: model.quantize(pixels, jax.random.key(0)),
        lambda: model.encode(pixels),
        lambda: model.decode(codes),
        lambda: model.decode_vectors(vectors),
        lambda: model.decode_parameters(vectors),
        lambda: model.lookup(codes),
        lambda: model.reconstruct(pixels),
        lambda: model.loss(x, variance=0.1),
    )
    for use in uses:
        use()
        with compilations() as compiled:
            use()
        assert not compiled
