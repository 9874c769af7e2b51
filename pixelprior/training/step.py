"""Training step: a pure function of state and batch."""

import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.nn.image_keys import image_keys
from pixelprior.training.accumulation import in_parts
from pixelprior.training.task import Loss


class TrainState(NamedTuple):
    """Everything that changes in training.

    Attributes:
        step: number of steps taken.
        weights: variables of the model, as `nnx.split` returns them; codebooks and their counts
            too.
        averaged: exponential moving average of ``weights``.
        optimizer: state of the optimizer, for the trainable weights alone.
    """

    step: Int[Array, ""]
    weights: Any
    averaged: Any
    optimizer: Any


class StepMetrics(NamedTuple):
    """Measurements of a step.

    Attributes:
        metrics: metrics of the batch, by name.
        gradient_norm: global norm of the gradient, before clipping.
        update_norm: global norm of the change of the weights.
        skipped: 1 if the step was skipped because its gradient was too large; else 0.
        counts: counts over the batch, see `Loss`.
    """

    metrics: dict[str, Float[Array, ""]]
    gradient_norm: Float[Array, ""]
    update_norm: Float[Array, ""]
    skipped: Int[Array, ""]
    counts: Any = None


class StepCost(NamedTuple):
    """Cost of a compiled step.

    Attributes:
        compile_seconds: time to compile it.
        memory_bytes: memory on each device for arguments, results and intermediate values; None if
            the backend does not report it.
    """

    compile_seconds: float
    memory_bytes: int | None


def init_state(
    weights: Any, optimizer: optax.GradientTransformation, trainable: Any = nnx.Param
) -> TrainState:
    """Make the state before the first step."""
    # The average is a copy: a donated state must not hold one buffer twice.
    averaged = jax.tree.map(jnp.copy, weights)
    trained, _ = nnx.split_state(weights, trainable, ...)
    return TrainState(jnp.zeros((), jnp.int32), weights, averaged, optimizer.init(trained))


def count_parameters(weights: Any, trainable: Any = nnx.Param) -> int:
    """Count the trainable parameters."""
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
    """Make the jitted step ``(state, batch) -> (state, metrics)``, which donates its state.

    Image i of step n draws its dropout, and all other random values, from ``(key, n, i)``. The
    average decays by ``min(ema_decay, (1 + n) / (10 + n))``. Without this limit, a short run's
    average would stay close to its initial weights.

    Args:
        graph: graph of the model.
        optimizer: optimizer of the trainable weights.
        loss: see `Task.loss`.
        after_step: see `Task.after_step`.
        trainable: see `Task.trainable`.
        ema_decay: decay of the averaged weights.
        key: a typed key.
        accumulate_steps: number of parts in which a batch's gradient is computed, see `in_parts`.
        skip_norm: largest global norm of a gradient; 0 for no limit. A step with a larger norm
            changes only the number of steps.
        sharding: shardings of the step's results, the state and its metrics; by default the
            compiler chooses. A step that is compiled ahead of time must return its state in the
            sharding of its input.
    """
    # With the devices, loops over layers can fetch the weights that are split, see `Stack`.
    meshes = {place.mesh.abstract_mesh for place in jax.tree.leaves(sharding)}

    def step(state: TrainState, batch: Any) -> tuple[TrainState, StepMetrics]:
        step_key = jax.random.fold_in(key, state.step)
        trained, rest = nnx.split_state(state.weights, trainable, ...)

        def gradient_of(batch: Any, keys: Array) -> tuple[Any, Loss]:
            def value(trained: Any) -> tuple[Float[Array, ""], Loss]:
                result = loss(nnx.merge(graph, trained, rest), batch, keys)
                return result.value, result

            return jax.grad(value, has_aux=True)(trained)

        keys = image_keys(step_key, len(jax.tree.leaves(batch)[0]))
        with contextlib.ExitStack() as devices:
            for mesh in meshes:
                devices.enter_context(jax.sharding.use_abstract_mesh(mesh))
            gradient, result = in_parts(gradient_of, batch, keys, accumulate_steps)
        updates, optimizer_state = optimizer.update(
            gradient, state.optimizer, trained, value=result.value
        )
        model = nnx.merge(graph, optax.apply_updates(trained, updates), rest)
        # Only after the weights have moved: their gradient used the codebooks before this change.
        if after_step is not None:
            after_step(model, result.statistics)
        weights = nnx.state(model)
        decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
        # In this form the average of an unchanged weight stays the same, to the last bit.
        averaged = jax.tree.map(
            lambda old, new: old + (1.0 - decay) * (new - old), state.averaged, weights
        )
        after = TrainState(state.step + 1, weights, averaged, optimizer_state)
        norm, update_norm = optax.tree.norm(gradient), optax.tree.norm(updates)
        told = StepMetrics(result.metrics, norm, update_norm, jnp.asarray(0), result.counts)
        if not skip_norm:
            return after, told
        # A NaN norm is not skipped: the loop must notice it and end the run.
        skip = norm > skip_norm
        before = state._replace(step=after.step)
        after = jax.tree.map(lambda old, new: jnp.where(skip, old, new), before, after)
        update_norm = jnp.where(skip, 0.0, update_norm)
        return after, told._replace(update_norm=update_norm, skipped=skip.astype(jnp.int32))

    return jax.jit(step, donate_argnums=0, out_shardings=sharding)


def compile_step(step: Any, state: TrainState, batch: Any) -> tuple[Any, StepCost]:
    """Compile the step for a state and a batch like these; return it and its cost.

    Args:
        step: a step of `make_train_step`.
        state: a state; not changed, and not donated.
        batch: a batch, on the devices.
    """
    start = time.perf_counter()
    compiled = step.lower(state, batch).compile()
    seconds = time.perf_counter() - start
    memory = compiled.memory_analysis()
    total = memory and (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
        # The new state reuses the memory of the old one.
        - memory.alias_size_in_bytes
    )
    return compiled, StepCost(seconds, total)
