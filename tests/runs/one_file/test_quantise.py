"""Kernels in int8 and bfloat16, against NumPy in float64."""

import ml_dtypes
import numpy as np
import pytest

from pixelprior.runs.one_file.quantise import compress, dequantise, expand, is_kernel, quantise
from pixelprior.runs.one_file.weights import named
from tests.runs.one_file.untrained import untrained


@pytest.mark.parametrize(("shape", "layer_axes"), [((5, 7), 0), ((3, 2, 4, 6), 0), ((4, 3, 5), 1)])
def test_the_error_is_at_most_half_a_scale(shape, layer_axes):
    kernel = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    rounded, scale = quantise(kernel, layer_axes)
    assert rounded.dtype == np.int8 and scale.dtype == np.float32
    # One scale for each layer and output channel: the largest of its weights is 127.
    inputs = tuple(range(layer_axes, kernel.ndim - 1))
    wanted = np.abs(kernel.astype(np.float64)).max(axis=inputs, keepdims=True) / 127
    np.testing.assert_allclose(scale, wanted, rtol=1e-6)
    assert scale.size == np.prod(shape[:layer_axes], dtype=int) * shape[-1]
    error = np.abs(rounded * scale.astype(np.float64) - kernel)
    assert (error <= scale * (0.5 + 1e-5)).all()
    # The rounding is to the nearest integer, so half a scale is nearly reached.
    assert (error / scale).max() > 0.4
    np.testing.assert_allclose(dequantise(rounded, scale), rounded * scale.astype(np.float64), 1e-6)


def test_a_channel_of_zeros_stays_zero():
    kernel = np.zeros((3, 2), np.float32)
    kernel[:, 1] = (1e-30, -2e-30, 0)
    expanded = dequantise(*quantise(kernel))
    assert not expanded[:, 0].any() and np.isfinite(expanded).all()
    np.testing.assert_allclose(expanded, kernel, atol=1e-32)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_nothing_but_kernels_is_rounded(dtype):
    model = untrained("tokenizer").model
    weights = {name: np.asarray(leaf) for name, leaf in named(model).items()}
    expanded = expand(compress(model, weights, dtype))
    assert expanded.keys() == weights.keys()
    for name, values in weights.items():
        assert expanded[name].dtype == np.float32
        same = np.array_equal(expanded[name], values)
        assert same == (dtype == "float32" or not is_kernel(name)), name
        if is_kernel(name) and dtype == "bfloat16":
            wanted = values.astype(ml_dtypes.bfloat16).astype(np.float32)
            np.testing.assert_array_equal(expanded[name], wanted)
    assert any(map(is_kernel, weights)) and not all(map(is_kernel, weights))


def test_stacked_layers_have_scales_of_their_own():
    model = untrained("pixels", model=dict(untrained("pixels").config["model"], num_layers=3)).model
    weights = {name: np.asarray(leaf) for name, leaf in named(model).items()}
    # One layer is a thousand times larger, and must not coarsen the others.
    name = "blocks.layers.above.kernel"
    weights[name] = weights[name] * np.array([1e3, 1, 1], np.float32)[:, None, None, None, None]
    stored = compress(model, weights, "int8")
    assert stored[name + ".scale"].shape == (3, 1, 1, 1, weights[name].shape[-1])
    error = np.abs(expand(stored)[name] - weights[name]).max(axis=(1, 2, 3, 4))
    assert error[0] > 0.1 and (error[1:] < 0.01).all()
    # A kernel outside of the stack has no axis of layers.
    assert stored["first.above.kernel.scale"].shape[:-1] == (1, 1, 1)
