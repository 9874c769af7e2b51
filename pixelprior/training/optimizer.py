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
    cosine. Weight decay leaves biases and codebooks alone.
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
    """Kernels and tables, whether or not layers are stacked along a leading axis.

    Not biases, and not codebooks: a code belongs where the vectors that choose it are.
    """

    def decayed(path: tuple[Any, ...], _: jax.Array) -> bool:
        names = [str(getattr(entry, "key", entry)) for entry in path]
        return not any("bias" in name or "codebook" in name for name in names)

    return jax.tree_util.tree_map_with_path(decayed, weights)
