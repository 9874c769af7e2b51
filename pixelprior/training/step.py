"""The training step: a pure function of state and batch."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.training.accumulation import in_parts
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
    """What a step tells.

    Attributes:
        metrics: the batch's, by name.
        gradient_norm: the gradient's global norm, before it is clipped.
        update_norm: the global norm of what was added to the weights.
        skipped: 1 if nothing was, since the gradient was too large; else 0.
    """

    metrics: dict[str, Float[Array, ""]]
    gradient_norm: Float[Array, ""]
    update_norm: Float[Array, ""]
    skipped: Int[Array, ""]


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


def count_parameters(weights: Any, trainable: Any = nnx.Param) -> int:
    """How many numbers gradients move."""
    trained, _ = nnx.split_state(weights, trainable, ...)
    return sum(weight.size for weight in jax.tree.leaves(trained))


def make_train_step(
    graph: nnx.GraphDef,
    optimizer: optax.GradientTransformationExtraArgs,
    loss: Callable[[Any, Any, Array], Loss],
    *,
    after_step: Callable[[Any, Any], None] | None = None,
    trainable: Any = nnx.Param,
    ema_decay: float,
    key: Array,
    accumulate_steps: int = 1,
    skip_norm: float = 0.0,
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
        accumulate_steps: in so many parts a batch's gradient is computed, see `in_parts`.
        skip_norm: a step whose gradient has a larger global norm changes nothing but the number of
            steps; 0 for never.
        sharding: of what a step returns, the state and its metrics; without one the compiler
            chooses. A step that is compiled ahead of time must return its state as it takes it.
    """

    def step(state: TrainState, batch: Any) -> tuple[TrainState, StepMetrics]:
        step_key = jax.random.fold_in(key, state.step)
        trained, rest = nnx.split_state(state.weights, trainable, ...)

        def gradient_of(batch: Any, key: Array) -> tuple[Any, Loss]:
            def value(trained: Any) -> tuple[Float[Array, ""], Loss]:
                result = loss(nnx.merge(graph, trained, rest), batch, key)
                return result.value, result

            return jax.grad(value, has_aux=True)(trained)

        gradient, result = in_parts(gradient_of, batch, step_key, accumulate_steps)
        updates, optimizer_state = optimizer.update(
            gradient, state.optimizer, trained, value=result.value
        )
        model = nnx.merge(graph, optax.apply_updates(trained, updates), rest)
        # After the weights have moved, by a gradient that saw the codebooks as they were.
        if after_step is not None:
            after_step(model, result.statistics)
        weights = nnx.state(model)
        decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
        # In this form the average of what does not move stays what it is, to the last bit.
        averaged = jax.tree.map(
            lambda old, new: old + (1.0 - decay) * (new - old), state.averaged, weights
        )
        after = TrainState(state.step + 1, weights, averaged, optimizer_state)
        norm, update_norm = optax.tree.norm(gradient), optax.tree.norm(updates)
        if not skip_norm:
            return after, StepMetrics(result.metrics, norm, update_norm, jnp.asarray(0))
        # Not for one that is no number: that is to be seen, and ends the run.
        skip = norm > skip_norm
        before = state._replace(step=after.step)
        after = jax.tree.map(lambda old, new: jnp.where(skip, old, new), before, after)
        update_norm = jnp.where(skip, 0.0, update_norm)
        return after, StepMetrics(result.metrics, norm, update_norm, skip.astype(jnp.int32))

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
