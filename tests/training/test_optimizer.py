"""The optimizer and its schedule, against AdamW written out in NumPy with float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pixelprior.training.optimizer import make_optimizer

SETTINGS = {
    "num_steps": 10,
    "learning_rate": 0.5,
    "warmup_steps": 4,
    "weight_decay": 0.1,
    "clip_norm": 2.0,
}


def test_schedule_at_hand_computed_steps():
    _, schedule = make_optimizer(**SETTINGS)
    # A line from 0 to the peak in 4 steps, then a cosine over the 6 that are left.
    for step, expected in {
        0: 0.0,
        1: 0.125,
        2: 0.25,
        4: 0.5,
        6: 0.5 * 0.5 * (1 + math.cos(math.pi * 2 / 6)),  # 0.375
        7: 0.25,
        10: 0.0,
        11: 0.0,
    }.items():
        np.testing.assert_allclose(schedule(step), expected, atol=1e-7)


@pytest.mark.parametrize(("num_steps", "warmup_steps"), [(1, 0), (1, 1), (5, 5), (5, 0)])
def test_schedule_is_finite_at_its_edges(num_steps, warmup_steps):
    settings = SETTINGS | {"num_steps": num_steps, "warmup_steps": warmup_steps}
    _, schedule = make_optimizer(**settings)
    rates = [float(schedule(step)) for step in range(num_steps + 1)]
    assert np.isfinite(rates).all() and max(rates) <= 0.5
    assert rates[0] == (0.0 if warmup_steps else 0.5)


def rate(step):
    if step < 4:
        return 0.5 * step / 4
    return 0.5 * 0.5 * (1 + math.cos(math.pi * (step - 4) / 6))


def reference(weights, gradients, *, decayed, steps, first_step):
    """AdamW (Loshchilov and Hutter) on gradients clipped by their global norm."""
    weights = {k: np.float64(v) for k, v in weights.items()}
    m = {k: np.zeros_like(v) for k, v in weights.items()}
    v = {k: np.zeros_like(x) for k, x in weights.items()}
    for step in range(steps):
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients[step].values()))
        scale = min(1.0, 2.0 / norm)
        for key, weight in weights.items():
            g = gradients[step][key] * scale
            m[key] = 0.9 * m[key] + 0.1 * g
            v[key] = 0.999 * v[key] + 0.001 * g * g
            m_hat = m[key] / (1 - 0.9 ** (step + 1))
            v_hat = v[key] / (1 - 0.999 ** (step + 1))
            update = m_hat / (np.sqrt(v_hat) + 1e-8)
            if key in decayed:
                update = update + 0.1 * weight
            weights[key] = weight - rate(first_step + step) * update
    return weights


def test_five_steps_against_numpy():
    rng = np.random.default_rng(0)
    shapes = {"kernel": (2, 3), "table": (4,), "bias": (3,), "above_bias": (2, 3)}
    shapes |= {"codebook_vectors": (1, 4, 2)}
    weights = {key: rng.normal(size=shape) for key, shape in shapes.items()}
    # Norms on both sides of the limit of 2.
    gradients = [
        {key: size * rng.normal(size=shape) for key, shape in shapes.items()}
        for size in (10.0, 0.01, 1.0, 0.1, 100.0)
    ]
    optimizer, _ = make_optimizer(**SETTINGS)
    ours = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), weights)
    state = optimizer.init(ours)
    for gradient in gradients:
        gradient = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), gradient)
        updates, state = optimizer.update(gradient, state, ours)
        ours = jax.tree.map(jnp.add, ours, updates)
    # Biases and codebooks are left alone, by their name, whether or not layers are stacked.
    theirs = reference(weights, gradients, decayed={"kernel", "table"}, steps=5, first_step=0)
    for key in shapes:
        # float32, through a division by a root: 1e-5 is some hundred roundings.
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-5, atol=1e-5, err_msg=key)
    # The oracle can tell: with decay everywhere, or with none, it is far away.
    for decayed in (set(shapes), set()):
        other = reference(weights, gradients, decayed=decayed, steps=5, first_step=0)
        assert max(np.abs(other[key] - theirs[key]).max() for key in shapes) > 1e-2
