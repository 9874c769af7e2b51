"""The optimizer: AdamW, with a warmed-up cosine and a limit on the gradient's norm."""

from collections.abc import Callable
from typing import Any

import jax
import optax


def make_optimizer(
    *,
    num_steps: int,
    learning_rate: float,
    warmup_steps: int,
    weight_decay: float,
    clip_norm: float,
) -> tuple[optax.GradientTransformation, Callable[[Any], Any]]:
    """AdamW after clipping by global norm, and its schedule: learning rate by step.

    The rate rises linearly to ``learning_rate`` over ``warmup_steps``, then falls to 0 along a
    cosine. Weight decay leaves biases and other vectors alone.
    """
    schedule = optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=learning_rate,
        warmup_steps=warmup_steps,
        # The cosine needs a step to fall in, also when all of the run is warm-up.
        decay_steps=max(num_steps, warmup_steps + 1),
    )
    optimizer = optax.chain(
        optax.clip_by_global_norm(clip_norm),
        optax.adamw(schedule, weight_decay=weight_decay, mask=_is_decayed),
    )
    return optimizer, schedule


def _is_decayed(weights: Any) -> Any:
    """Kernels and tables, not biases, whether or not layers are stacked along a leading axis."""

    def decayed(path: tuple[Any, ...], _: jax.Array) -> bool:
        return not any("bias" in str(getattr(entry, "key", entry)) for entry in path)

    return jax.tree_util.tree_map_with_path(decayed, weights)
