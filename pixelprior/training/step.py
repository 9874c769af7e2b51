"""The training step: a pure function of state and batch.

Legend: b batch, h height, w width, c channels.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.models.base import AutoregressiveModel


class TrainState(NamedTuple):
    """All that changes while training.

    Attributes:
        step: how many steps have been taken.
        weights: the model's, as `nnx.split` gives them.
        averaged: their exponential moving average.
        optimizer: the optimizer's state.
    """

    step: Int[Array, ""]
    weights: Any
    averaged: Any
    optimizer: Any


class StepMetrics(NamedTuple):
    """What a step tells: the batch's loss in bits per dimension, and the gradient's global norm."""

    bits_per_dim: Float[Array, ""]
    gradient_norm: Float[Array, ""]


def init_state(weights: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step."""
    # The average is a copy: a donated state must not hold one buffer twice.
    averaged = jax.tree.map(jnp.copy, weights)
    return TrainState(jnp.zeros((), jnp.int32), weights, averaged, optimizer.init(weights))


def batch_context(model: AutoregressiveModel, label: Int[Array, " b"]) -> Context | None:
    """What a model is conditioned on, of what a labelled batch offers."""
    return Context(label=label) if model.context_encoder.num_classes else None


def make_train_step(
    graph: nnx.GraphDef,
    optimizer: optax.GradientTransformation,
    *,
    ema_decay: float,
    dropout_key: Array,
) -> Callable[[TrainState, Any], tuple[TrainState, StepMetrics]]:
    """The jitted step: ``(state, batch) -> (state, metrics)``; the state given is donated.

    Step n draws its dropout from ``(dropout_key, n)``. The average's decay is
    ``min(ema_decay, (1 + n) / (10 + n))``, so that a short run's average is not its start.
    """

    def loss(weights: Any, batch: Any, key: Array) -> Float[Array, ""]:
        model = nnx.merge(graph, weights)
        context = batch_context(model, batch["label"])
        log_prob = model.log_prob(batch["image"], context, dropout_key=key)
        return -log_prob.mean() / (model.grid.size * jnp.log(2.0))

    def step(state: TrainState, batch: Any) -> tuple[TrainState, StepMetrics]:
        key = jax.random.fold_in(dropout_key, state.step)
        bits, gradient = jax.value_and_grad(loss)(state.weights, batch, key)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.weights)
        weights = optax.apply_updates(state.weights, updates)
        decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
        averaged = optax.incremental_update(weights, state.averaged, 1.0 - decay)
        metrics = StepMetrics(bits, optax.tree.norm(gradient))
        return TrainState(state.step + 1, weights, averaged, optimizer_state), metrics

    return jax.jit(step, donate_argnums=0)
