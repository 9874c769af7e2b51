"""A compiled training step of this project, with the settings of every comparison."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from pixelprior.experiment import build_tokenizer
from pixelprior.experiment.recipes import load_recipe
from pixelprior.grid import Grid
from pixelprior.system.devices import data_mesh
from pixelprior.tokenizers.quantizer import merge_statistics
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.parts import choose_parts
from pixelprior.training.step import TrainState, compile_step, init_state, make_train_step
from pixelprior.training.task import Loss

LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 1e-3, 1e-2, 1.0
VARIANCE = 0.1


class OurStep:
    """A compiled training step with its state.

    Attributes:
        step: the step, not compiled.
        state: the state; `run` replaces it.
        parts: number of parts in which the gradient is computed.
        compile_seconds: time to compile.
        memory_bytes: memory of the step; None if the device does not report it.
    """

    def __init__(self, model: Any, loss: Any, batch: Any, **settings: Any):
        optimizer, _ = make_optimizer(
            schedule="constant",
            num_steps=1,
            learning_rate=LEARNING_RATE,
            warmup_steps=0,
            weight_decay=WEIGHT_DECAY,
            clip_norm=CLIP_NORM,
        )
        graph, weights = nnx.split(model)
        self.parts = choose_parts(model, loss, batch, data_mesh())
        # Copy the weights, because the step donates its state and the caller keeps the model.
        self.state: TrainState = init_state(jax.tree.map(jnp.copy, weights), optimizer)
        self.step = make_train_step(
            graph,
            optimizer,
            loss,
            ema_decay=0.999,
            key=jax.random.key(0),
            accumulate_steps=self.parts,
            **settings,
        )
        self._batch = batch
        self._compiled, cost = compile_step(self.step, self.state, batch)
        self.compile_seconds, self.memory_bytes = cost

    def run(self) -> Any:
        """Take a step; return the state and the metrics."""
        self.state, metrics = self._compiled(self.state, self._batch)
        return self.state, metrics


def our_step(model: Any, loss: Any, batch: Any, **settings: Any) -> Callable[[], Any]:
    """Make a training step as a function without arguments."""
    return OurStep(model, loss, batch, **settings).run


def vqvae_of(grid: Grid) -> Any:
    """Build the tokenizer of ``fashion_mnist:vqvae`` for images of a grid."""
    config = load_recipe("fashion_mnist:vqvae")
    return build_tokenizer(config["tokenizer"], config["quantizer"], grid, seed=0)


def vqvae_loss(model: Any, batch: Any, keys: jax.Array) -> Loss:
    """Loss of the task of a tokenizer."""
    losses = model.loss(batch["image"], variance=VARIANCE, key=keys)
    return Loss(losses.total, {"loss": losses.total}, losses.statistics)


def move_codebooks(model: Any, statistics: Any) -> None:
    """Update the codebooks as in the task of a tokenizer."""
    model.update_codebooks([merge_statistics(level) for level in statistics])
