"""Optimizer: a direction, weight decay, a learning rate, and a limit on the gradient's norm."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from pixelprior.training.schedule import make_schedule


def make_optimizer(
    *,
    optimizer: str = "adamw",
    schedule: str = "cosine",
    num_steps: int,
    learning_rate: float,
    warmup_steps: int,
    weight_decay: float,
    clip_norm: float,
    plateau_factor: float = 0.5,
    plateau_patience: int = 10,
    plateau_window: int = 1,
) -> tuple[optax.GradientTransformationExtraArgs, Callable[[Any], Any]]:
    """Make an optimizer, and its schedule of learning rates by step.

    Args:
        optimizer: one of `pixelprior.experiment.schema.OPTIMIZERS`.
        schedule: one of `pixelprior.experiment.schema.SCHEDULES`, see `make_schedule`.
        num_steps: step at which a falling schedule ends.
        learning_rate: learning rate at its peak.
        warmup_steps: number of steps in which the rate rises from 0.
        weight_decay: decay of the weights, times the learning rate; none for biases and codebooks.
        clip_norm: largest global norm; gradients with a larger one are scaled down to it.
        plateau_factor: for "plateau": factor for the rate once the training loss stops falling.
        plateau_patience: for "plateau": number of windows without a lower mean loss.
        plateau_window: for "plateau": number of steps over which the loss is averaged.

    Returns:
        A transformation whose update must be given the loss as ``value``, and the schedule.
    """
    rates = make_schedule(
        schedule, num_steps=num_steps, learning_rate=learning_rate, warmup_steps=warmup_steps
    )
    parts = [
        optax.clip_by_global_norm(clip_norm),
        _DIRECTIONS[optimizer](),
        optax.add_decayed_weights(weight_decay, mask=_is_decayed),
        optax.scale_by_learning_rate(rates),
    ]
    if schedule == "plateau":
        parts.append(
            optax.contrib.reduce_on_plateau(
                factor=plateau_factor, patience=plateau_patience, accumulation_size=plateau_window
            )
        )
    return optax.with_extra_args_support(optax.chain(*parts)), rates


def last_learning_rate(state: Any, schedule: Callable[[Any], Any]) -> float:
    """Return the learning rate of the last update by an optimizer of `make_optimizer`.

    It follows the optimizer's own count, which excludes skipped steps.
    """
    return _learning_rate(state, lambda count: schedule(max(0, count - 1)))


def next_learning_rate(state: Any, schedule: Callable[[Any], Any]) -> float:
    """Return the learning rate of the next update, as `last_learning_rate` does of the last."""
    return _learning_rate(state, schedule)


def _learning_rate(state: Any, rate_of: Callable[[int], Any]) -> float:
    kinds = (optax.ScaleByScheduleState, optax.contrib.ReduceLROnPlateauState)
    rate = 0.0
    for part in jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, kinds)):
        if isinstance(part, optax.ScaleByScheduleState):
            rate = float(rate_of(int(part.count)))
        elif isinstance(part, optax.contrib.ReduceLROnPlateauState):
            rate *= float(part.scale)
    return rate


def at_count(state: Any, count: Any) -> Any:
    """Return an optimizer's state with another count of its schedule, which sets its rate."""

    def moved(node: Any) -> Any:
        if isinstance(node, optax.ScaleByScheduleState):
            return node._replace(count=jnp.asarray(count, node.count.dtype))
        return node

    return jax.tree.map(
        moved, state, is_leaf=lambda node: isinstance(node, optax.ScaleByScheduleState)
    )


def _is_decayed(weights: Any) -> Any:
    """Select all weights except biases and codebooks, also if layers are stacked along an axis.

    Codebooks do not decay, because a code belongs where the vectors that choose it are.
    """
    return _by_path(
        weights, lambda path: not any("bias" in name or "codebook" in name for name in path)
    )


def _muon() -> optax.GradientTransformation:
    """Make Muon for the kernels between layers, each tap a matrix of its own; Adam for the rest.

    Updates are as large as Adam's (Liu et al. 2025, section 2.2), so one learning rate suits both.
    """

    def matrices(weights: Any) -> Any:
        numbers = optax.contrib.MuonDimensionNumbers(-2, -1)
        kernels = _by_path(weights, lambda path: path[-1] == "kernel" and "head" not in path)
        return jax.tree.map(lambda is_one: numbers if is_one else None, kernels)

    direction = optax.contrib.muon(
        1.0, muon_weight_dimension_numbers=matrices, consistent_rms=0.2, adam_weight_decay=0.0
    )
    # The transformation muon of optax includes the sign of descent. The others do not.
    return optax.chain(direction, optax.scale(-1.0))


_DIRECTIONS: dict[str, Callable[[], optax.GradientTransformation]] = {
    "adamw": optax.scale_by_adam,
    "adamax": optax.scale_by_adamax,
    "lion": optax.scale_by_lion,
    "muon": _muon,
}
"""Transformations of gradients into a direction. For all of them, weights decay apart from the
gradient, as in AdamW (Loshchilov and Hutter 2019).
"""


def _by_path(weights: Any, function: Callable[[list[str]], Any]) -> Any:
    """Map a function over a tree; it takes each weight's path as a list of names."""

    def of(path: tuple[Any, ...], _: jax.Array) -> Any:
        names = [str(getattr(entry, "key", getattr(entry, "name", entry))) for entry in path]
        # Flax ends a path with a name for the inside of the variable.
        return function([name for name in names if name != "value"])

    return jax.tree_util.tree_map_with_path(of, weights)
