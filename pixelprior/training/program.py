"""From a config to the step that trains: its optimizer, its schedule, and the jitted step."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import optax
from flax import nnx

from pixelprior.keys import named_key
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.step import make_train_step
from pixelprior.training.task import Task


class Program(NamedTuple):
    """What a run does at each of its steps.

    Attributes:
        optimizer: of the trainable weights.
        schedule: learning rate by step.
        step: see `make_train_step`.
    """

    optimizer: optax.GradientTransformationExtraArgs
    schedule: Callable[[Any], Any]
    step: Any


def make_program(
    task: Task, config: Mapping[str, Any], graph: nnx.GraphDef, sharding: Any
) -> Program:
    """The program of a run.

    Args:
        task: what is trained.
        config: see `pixelprior.experiment.TASKS`.
        graph: of the task's model.
        sharding: of what a step returns.
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
        sharding=sharding,
    )
    return Program(optimizer, schedule, step)
