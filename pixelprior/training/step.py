"""The training step: a pure function of state and batch."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.training.task import Loss


class TrainState(NamedTuple):
    """All that changes while training.

    Attributes:
        step: how many steps have been taken.
        weights: the model's, as `nnx.split` gives them; codebooks and their counts too.
        averaged: their exponential moving average.
        optimizer: the optimizer's state, of the trainable weights alone.
    """

    step: Int[Array, ""]
    weights: Any
    averaged: Any
    optimizer: Any


class StepMetrics(NamedTuple):
    """What a step tells: the batch's metrics by name, and the gradient's global norm."""

    metrics: dict[str, Float[Array, ""]]
    gradient_norm: Float[Array, ""]


class StepCost(NamedTuple):
    """What a compiled step needs.

    Attributes:
        compile_seconds: how long it took to compile.
        memory_bytes: on each device: arguments, results and what lies between; None if the backend
            does not tell.
    """

    compile_seconds: float
    memory_bytes: int | None


def init_state(
    weights: Any, optimizer: optax.GradientTransformation, trainable: Any = nnx.Param
) -> TrainState:
    """The state before the first step."""
    # The average is a copy: a donated state must not hold one buffer twice.
    averaged = jax.tree.map(jnp.copy, weights)
    trained, _ = nnx.split_state(weights, trainable, ...)
    return TrainState(jnp.zeros((), jnp.int32), weights, averaged, optimizer.init(trained))


def make_train_step(
    graph: nnx.GraphDef,
    optimizer: optax.GradientTransformation,
    loss: Callable[[Any, Any, Array], Loss],
    *,
    after_step: Callable[[Any, Any], None] | None = None,
    trainable: Any = nnx.Param,
    ema_decay: float,
    key: Array,
    sharding: Any = None,
) -> Any:
    """The jitted step: ``(state, batch) -> (state, metrics)``; the state given is donated.

    Step n draws its dropout, and whatever else, from ``(key, n)``. The average's decay is
    ``min(ema_decay, (1 + n) / (10 + n))``, so that a short run's average is not its start.

    Args:
        graph: of the model.
        optimizer: of the trainable weights.
        loss: see `Task.loss`.
        after_step: see `Task.after_step`.
        trainable: see `Task.trainable`.
        ema_decay: of the averaged weights.
        key: a typed key.
        sharding: of what a step returns; without one the compiler chooses. A step that is compiled
            ahead of time must return its state as it takes it.
    """

    def step(state: TrainState, batch: Any) -> tuple[TrainState, StepMetrics]:
        step_key = jax.random.fold_in(key, state.step)
        trained, rest = nnx.split_state(state.weights, trainable, ...)

        def value(trained: Any) -> tuple[Float[Array, ""], Any]:
            result = loss(nnx.merge(graph, trained, rest), batch, step_key)
            return result.value, (result.metrics, result.statistics)

        gradient, (metrics, statistics) = jax.grad(value, has_aux=True)(trained)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, trained)
        model = nnx.merge(graph, optax.apply_updates(trained, updates), rest)
        # After the weights have moved, by a gradient that saw the codebooks as they were.
        if after_step is not None:
            after_step(model, statistics)
        weights = nnx.state(model)
        decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
        # In this form the average of what does not move stays what it is, to the last bit.
        averaged = jax.tree.map(
            lambda old, new: old + (1.0 - decay) * (new - old), state.averaged, weights
        )
        return (
            TrainState(state.step + 1, weights, averaged, optimizer_state),
            StepMetrics(metrics, optax.tree.norm(gradient)),
        )

    return jax.jit(step, donate_argnums=0, out_shardings=sharding)


def compile_step(step: Any, state: TrainState, batch: Any) -> tuple[Any, StepCost]:
    """The step, compiled for a state and a batch like these; and what it needs.

    Args:
        step: of `make_train_step`.
        state: not changed, and not donated.
        batch: on the devices.
    """
    start = time.perf_counter()
    compiled = step.lower(state, batch).compile()
    seconds = time.perf_counter() - start
    memory = compiled.memory_analysis()
    total = memory and (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
        # The new state lies where the old one was.
        - memory.alias_size_in_bytes
    )
    return compiled, StepCost(seconds, total)
