"""Optimizers and schedules, against the published rules written out in NumPy with float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pixelprior.experiment.schema import OPTIMIZERS, SCHEDULES
from pixelprior.training.early_stopping import has_stalled
from pixelprior.training.optimizer import last_learning_rate, make_optimizer

SETTINGS = {
    "num_steps": 10,
    "learning_rate": 0.5,
    "warmup_steps": 4,
    "weight_decay": 0.1,
    "clip_norm": 2.0,
}


# A line from 0 to the peak in 4 steps, then what the name says over the 6 that are left.
RATES = {
    "constant": {4: 0.5, 6: 0.5, 10: 0.5, 11: 0.5},
    "cosine": {4: 0.5, 6: 0.5 * 0.5 * (1 + math.cos(math.pi * 2 / 6)), 7: 0.25, 10: 0.0, 11: 0.0},
    "linear": {4: 0.5, 7: 0.25, 9: 0.5 / 6, 10: 0.0, 11: 0.0},
    "inverse_sqrt": {4: 0.5, 5: 0.5 * math.sqrt(4 / 5), 9: 0.5 * 2 / 3, 16: 0.25},
    "plateau": {4: 0.5, 10: 0.5},
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_at_hand_computed_steps(name):
    _, schedule = make_optimizer(**SETTINGS, schedule=name)
    for step, expected in ({0: 0.0, 1: 0.125, 2: 0.25} | RATES[name]).items():
        np.testing.assert_allclose(schedule(step), expected, atol=1e-7)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("num_steps", "warmup_steps"), [(1, 0), (1, 1), (5, 5), (5, 0)])
def test_schedule_is_finite_at_its_edges(name, num_steps, warmup_steps):
    settings = SETTINGS | {"num_steps": num_steps, "warmup_steps": warmup_steps}
    _, schedule = make_optimizer(**settings, schedule=name)
    rates = [float(schedule(step)) for step in range(num_steps + 1)]
    assert np.isfinite(rates).all() and max(rates) <= 0.5
    assert rates[0] == (0.0 if warmup_steps else 0.5)


def rate(step):
    if step < 4:
        return 0.5 * step / 4
    return 0.5 * 0.5 * (1 + math.cos(math.pi * (step - 4) / 6))


def adam(m, v, g, step):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    return m, v, m / (1 - 0.9 ** (step + 1)) / (np.sqrt(v / (1 - 0.999 ** (step + 1))) + 1e-8)


def adamax(m, v, g, step):
    """Kingma and Ba 2015, algorithm 2."""
    m, v = 0.9 * m + 0.1 * g, np.maximum(0.999 * v, np.abs(g) + 1e-8)
    return m, v, m / (1 - 0.9 ** (step + 1)) / v


def lion(m, v, g, step):
    """Chen et al. 2023, algorithm 2."""
    return 0.99 * m + 0.01 * g, v, np.sign(0.9 * m + 0.1 * g)


RULES = {"adamw": adam, "adamax": adamax, "lion": lion}


def reference(rules, weights, gradients, *, decayed):
    """Each weight's rule on gradients clipped by their global norm; decay is apart from it."""
    weights = {k: np.float64(v) for k, v in weights.items()}
    moments = {k: (np.zeros_like(v), np.zeros_like(v)) for k, v in weights.items()}
    for step, gradient in enumerate(gradients):
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradient.values()))
        scale = min(1.0, 2.0 / norm)
        for key, weight in weights.items():
            *moments[key], update = rules[key](*moments[key], gradient[key] * scale, step)
            if key in decayed:
                update = update + 0.1 * weight
            weights[key] = weight - rate(step) * update
    return weights


SHAPES = {"kernel": (2, 3), "table": (4,), "bias": (3,), "above_bias": (2, 3)}
SHAPES |= {"codebook_vectors": (1, 4, 2)}


def random_weights_and_gradients(shapes):
    rng = np.random.default_rng(0)
    weights = {key: rng.normal(size=shape) for key, shape in shapes.items()}
    # Norms on both sides of the limit of 2.
    gradients = [
        {key: size * rng.normal(size=shape) for key, shape in shapes.items()}
        for size in (10.0, 0.01, 1.0, 0.1, 100.0)
    ]
    return weights, gradients


def floats(tree):
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), tree)


def five_steps(name, weights, gradients):
    optimizer, _ = make_optimizer(**SETTINGS, optimizer=name)
    weights = floats(weights)
    state = optimizer.init(weights)
    for gradient in floats(gradients):
        updates, state = optimizer.update(gradient, state, weights, value=1.0)
        weights = jax.tree.map(jnp.add, weights, updates)
    return weights


@pytest.mark.parametrize("name", RULES)
def test_five_steps_against_numpy(name):
    weights, gradients = random_weights_and_gradients(SHAPES)
    ours, rules = five_steps(name, weights, gradients), dict.fromkeys(SHAPES, RULES[name])
    # Biases and codebooks are left alone, by their name, whether or not layers are stacked.
    theirs = reference(rules, weights, gradients, decayed={"kernel", "table"})
    for key in SHAPES:
        # float32, through a division by a root: 1e-5 is some hundred roundings.
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-5, atol=1e-5, err_msg=key)
    # The oracle can tell: with decay everywhere, or with none, it is far away.
    for decayed in (set(SHAPES), set()):
        other = reference(rules, weights, gradients, decayed=decayed)
        assert max(np.abs(other[key] - theirs[key]).max() for key in SHAPES) > 1e-2


def orthogonal(x):
    """Five Newton-Schulz iterations (Jordan 2024), as large as Adam's (Liu et al. 2025, eq. 4)."""
    x = x / np.linalg.norm(x)
    turn = x.shape[0] > x.shape[1]
    x = x.T if turn else x
    for _ in range(5):
        y = x @ x.T
        x = 3.4445 * x + (-4.775 * y + 2.0315 * y @ y) @ x
    return 0.2 * math.sqrt(max(x.shape)) * (x.T if turn else x)


def muon(m, v, g, step):
    """With Nesterov's momentum, its bias corrected; every matrix of a stack by itself."""
    m = 0.95 * m + 0.05 * g
    ahead = 0.95 * m / (1 - 0.95 ** (step + 2)) + 0.05 * g / (1 - 0.95 ** (step + 1))
    matrices = ahead.reshape(-1, *ahead.shape[-2:])
    return m, v, np.stack([orthogonal(x) for x in matrices]).reshape(g.shape)


def nadam(m, v, g, step):
    """What stands beside Muon: Adam with Nesterov's momentum (Dozat 2016)."""
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    ahead = 0.9 * m / (1 - 0.9 ** (step + 2)) + 0.1 * g / (1 - 0.9 ** (step + 1))
    return m, v, ahead / (np.sqrt(v / (1 - 0.999 ** (step + 1))) + 1e-8)


def test_muon_turns_kernels_between_layers_and_leaves_all_else_to_adam():
    # A path as a network has it, its names joined.
    shapes = {"layer/kernel": (2, 3, 5, 4), "layer/bias": (4,), "head/output/kernel": (4, 3)}
    shapes |= {"embedding/table": (3, 4)}
    weights, gradients = random_weights_and_gradients(shapes)
    rules = dict.fromkeys(shapes, nadam) | {"layer/kernel": muon}
    theirs = reference(rules, weights, gradients, decayed=set(shapes) - {"layer/bias"})

    def nested(flat):
        tree = {}
        for path, value in flat.items():
            *parents, name = path.split("/")
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[name] = value
        return tree

    ours = five_steps("muon", nested(weights), [nested(gradient) for gradient in gradients])
    for path, expected in theirs.items():
        found = ours
        for name in path.split("/"):
            found = found[name]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4, err_msg=path)


def test_every_optimizer_has_its_oracle():
    assert set(OPTIMIZERS) == {*RULES, "muon"}


def test_plateau_by_hand():
    # Means over windows of 2: 3, 2, 2, 2 (two in a row without a lower one: halved), 1, 1, 1
    # (halved again).
    losses = [4, 2, 2, 2, 3, 1, 1, 3, 0, 2, 2, 0, 1, 1]
    scales = [1.0] * 7 + [0.5] * 6 + [0.25]
    optimizer, schedule = make_optimizer(
        **SETTINGS | {"warmup_steps": 0, "weight_decay": 0.0},
        **{"optimizer": "lion", "schedule": "plateau"},
        **{"plateau_factor": 0.5, "plateau_patience": 2, "plateau_window": 2},
    )
    weights = {"kernel": jnp.ones((2, 2))}
    state = optimizer.init(weights)
    for loss, scale in zip(losses, scales, strict=True):
        updates, state = optimizer.update(weights, state, weights, value=float(loss))
        # Lion's updates are of the size of the learning rate.
        np.testing.assert_allclose(updates["kernel"], -0.5 * scale)
        assert last_learning_rate(state, schedule) == 0.5 * scale


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_last_learning_rate(name):
    optimizer, schedule = make_optimizer(**SETTINGS, optimizer=name)
    weights = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    state = optimizer.init(weights)
    for step in range(3):
        _, state = optimizer.update(weights, state, weights, value=0.0)
        np.testing.assert_allclose(last_learning_rate(state, schedule), 0.125 * step)


@pytest.mark.parametrize(
    ("losses", "patience", "stalled"),
    [
        ([], 1, False),
        ([3.0], 1, False),
        ([3.0, 2.0], 1, False),
        ([3.0, 3.0], 1, True),
        ([3.0, 4.0], 2, False),
        ([3.0, 4.0, 3.0], 2, True),
        ([3.0, 4.0, 2.9], 2, False),
        # The best one may be long past, and one of them was better than all before.
        ([1.0, 2.0, 3.0, 2.5], 3, True),
        ([2.0, 3.0, 1.0, 3.0, 2.0], 3, False),
        ([2.0, 3.0, 1.0, 3.0, 2.0, 1.0], 3, True),
        ([1.0] * 100, 0, False),
    ],
)
def test_when_validation_losses_have_stalled(losses, patience, stalled):
    assert has_stalled(losses, patience) is stalled
