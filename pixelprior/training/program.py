"""Build the training step from a config: optimizer, schedule and jitted step."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from flax import nnx
from jax.sharding import Mesh

from pixelprior.system.devices import replicated
from pixelprior.system.prng import named_key
from pixelprior.training.layout import state_layout
from pixelprior.training.optimizer import at_count, make_optimizer
from pixelprior.training.schedule import make_schedule
from pixelprior.training.step import TrainState, init_state, make_train_step
from pixelprior.training.task import Task


class Program(NamedTuple):
    """Functions and shapes for the steps of a run.

    Attributes:
        schedule: learning rate by step.
        state: shapes and shardings of the state before the first step.
        init: jitted function from weights to that state.
        renew: jitted function that gives a state a fresh optimizer. Its learning rate stays that of
            the state's step.
        step: see `make_train_step`.
    """

    schedule: Callable[[Any], Any]
    state: TrainState
    init: Callable[[Any], TrainState]
    renew: Callable[[TrainState], TrainState]
    step: Any


def schedule_of(config: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Make the schedule of learning rates by step of a config."""
    return make_schedule(
        config["schedule"],
        num_steps=config["num_steps"],
        learning_rate=config["learning_rate"],
        warmup_steps=config["warmup_steps"],
    )


def make_program(
    task: Task, config: Mapping[str, Any], graph: nnx.GraphDef, weights: Any, mesh: Mesh
) -> Program:
    """Build the program of a run.

    Args:
        task: task to train.
        config: see `pixelprior.experiment.TASKS`.
        graph: graph of the task's model.
        weights: weights of the same model, or only their shapes.
        mesh: the devices.
    """
    optimizer, schedule = make_optimizer(
        optimizer=config["optimizer"],
        schedule=config["schedule"],
        num_steps=config["num_steps"],
        learning_rate=config["learning_rate"],
        warmup_steps=config["warmup_steps"],
        weight_decay=config["weight_decay"],
        clip_norm=config["clip_norm"],
        plateau_factor=config["plateau_factor"],
        plateau_patience=config["plateau_patience"],
        plateau_window=config["checkpoint_every"],
    )

    def init(weights: Any) -> TrainState:
        return init_state(weights, optimizer, task.trainable)

    def renew(state: TrainState) -> TrainState:
        fresh = init(state.weights).optimizer
        return state._replace(optimizer=at_count(fresh, state.step))

    shapes = jax.eval_shape(init, weights)
    layout = state_layout(shapes, mesh, fully_sharded=config["mesh"] == "fsdp")
    step = make_train_step(
        graph,
        optimizer,
        task.loss,
        after_step=task.after_step,
        trainable=task.trainable,
        ema_decay=config["ema_decay"],
        key=named_key(config["seed"], "dropout"),
        accumulate_steps=config["accumulate_steps"],
        skip_norm=config["skip_norm"],
        sharding=(layout, replicated(mesh)),
    )
    state = jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        shapes,
        layout,
    )
    return Program(
        schedule,
        state,
        jax.jit(init, out_shardings=layout),
        jax.jit(renew, out_shardings=layout),
        step,
    )
