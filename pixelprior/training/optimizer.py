"""The optimizer: a direction, decayed weights, a learning rate, a limit on the gradient's norm."""

from collections.abc import Callable
from typing import Any

import jax
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
    """An optimizer, and its schedule: learning rate by step.

    Args:
        optimizer: one of `pixelprior.experiment.schema.OPTIMIZERS`.
        schedule: one of `pixelprior.experiment.schema.SCHEDULES`, see `make_schedule`.
        num_steps: where a falling schedule ends.
        learning_rate: at its peak.
        warmup_steps: rising from 0.
        weight_decay: times the learning rate; biases and codebooks are left alone.
        clip_norm: gradients of a larger global norm are scaled down to it.
        plateau_factor: of "plateau": what the rate is multiplied by when the training loss has
            stopped falling.
        plateau_patience: of "plateau": so many windows without a lower mean loss.
        plateau_window: of "plateau": steps that the loss is averaged over.

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
    """What the last update of an optimizer of `make_optimizer` was multiplied by.

    By the optimizer's own count, which does not count steps that were skipped.
    """
    kinds = (optax.ScaleByScheduleState, optax.contrib.ReduceLROnPlateauState)
    rate = 0.0
    for part in jax.tree.leaves(state, is_leaf=lambda node: isinstance(node, kinds)):
        if isinstance(part, optax.ScaleByScheduleState):
            rate = float(schedule(max(0, int(part.count) - 1)))
        elif isinstance(part, optax.contrib.ReduceLROnPlateauState):
            rate *= float(part.scale)
    return rate


def _is_decayed(weights: Any) -> Any:
    """Kernels and tables, whether or not layers are stacked along a leading axis.

    Not biases, and not codebooks: a code belongs where the vectors that choose it are.
    """
    return _by_path(
        weights, lambda path: not any("bias" in name or "codebook" in name for name in path)
    )


def _muon() -> optax.GradientTransformation:
    """Muon for the kernels between layers, each tap a matrix of its own; Adam for all else.

    Updates are as large as Adam's (Liu et al. 2025, section 2.2), so one learning rate does.
    """

    def matrices(weights: Any) -> Any:
        numbers = optax.contrib.MuonDimensionNumbers(-2, -1)
        kernels = _by_path(weights, lambda path: path[-1] == "kernel" and "head" not in path)
        return jax.tree.map(lambda is_one: numbers if is_one else None, kernels)

    direction = optax.contrib.muon(
        1.0, muon_weight_dimension_numbers=matrices, consistent_rms=0.2, adam_weight_decay=0.0
    )
    # Downhill already, as the others' directions are not.
    return optax.chain(direction, optax.scale(-1.0))


_DIRECTIONS: dict[str, Callable[[], optax.GradientTransformation]] = {
    "adamw": optax.scale_by_adam,
    "adamax": optax.scale_by_adamax,
    "lion": optax.scale_by_lion,
    "muon": _muon,
}
"""What turns gradients into a direction. Whichever it is, weights decay apart from the gradient, as
AdamW does it (Loshchilov and Hutter 2019)."""


def _by_path(weights: Any, function: Callable[[list[str]], Any]) -> Any:
    """A tree of what a function says of each weight's path, a list of names."""

    def of(path: tuple[Any, ...], _: jax.Array) -> Any:
        names = [str(getattr(entry, "key", getattr(entry, "name", entry))) for entry in path]
        # Flax ends a path with what is inside the variable.
        return function([name for name in names if name != "value"])

    return jax.tree_util.tree_map_with_path(of, weights)
