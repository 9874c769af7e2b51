"""Learning rates by step."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax


def make_schedule(
    name: str, *, num_steps: int, learning_rate: float, warmup_steps: int
) -> Callable[[Any], Any]:
    """Make the schedule: the learning rate of each step, from 0 on.

    The rate rises linearly to its peak. Then "constant" keeps it, and "plateau" keeps it until the
    optimizer lowers it. "cosine" and "linear" fall to 0. "inverse_sqrt" is the peak times the root
    of ``warmup_steps / step``; without a warm-up, of ``1 / (step + 1)``.
    """
    # A falling schedule needs a step to fall in, also when the whole run is warm-up.
    falling = max(num_steps - warmup_steps, 1)
    after: dict[str, Callable[[Any], Any]] = {
        "constant": optax.constant_schedule(learning_rate),
        "cosine": optax.cosine_decay_schedule(learning_rate, falling),
        "linear": optax.linear_schedule(learning_rate, 0.0, falling),
        "inverse_sqrt": _inverse_sqrt(learning_rate, max(warmup_steps, 1)),
        "plateau": optax.constant_schedule(learning_rate),
    }
    warmup = optax.linear_schedule(0.0, learning_rate, warmup_steps)
    return optax.join_schedules([warmup, after[name]], [warmup_steps])


def _inverse_sqrt(peak: float, offset: int) -> Callable[[Any], Any]:
    """Make the schedule of the steps after the peak (Vaswani et al. 2017, section 5.3)."""
    return lambda step: peak * math.sqrt(offset) / jnp.sqrt(offset + step)
