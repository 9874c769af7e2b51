"""Measured costs of a model: a training step, cached sampling and naive sampling.

All use binary grids, ``side x side``. Compilation is timed separately.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh

from benchmarks.machine import best_time
from pixelprior.sampling.draw_grids import draw_grids, stage_inputs
from pixelprior.sampling.methods import METHODS
from pixelprior.sampling.sampler import Inputs, Sampler
from pixelprior.sampling.whole_grids import Naive
from pixelprior.system.devices import data_mesh, mesh_for, on_each_device, put_on
from pixelprior.training.flops import product_flops
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.parts import choose_parts
from pixelprior.training.step import TrainState, compile_step, init_state, make_train_step
from pixelprior.training.tasks.pixels import pixel_loss


class Cost(NamedTuple):
    """Seconds of a call, seconds of its compilation, and operations in its matrix products."""

    seconds: float
    compile_seconds: float
    flops: int


class Training(NamedTuple):
    """A compiled training step, the initial state, a batch, and the seconds of compilation."""

    step: Any
    state: TrainState
    batch: Any
    compile_seconds: float


def make_training(graph: nnx.GraphDef, weights: Any, batch: int, side: int) -> Training:
    """Compile a training step, including the optimizer and the averaged weights."""
    optimizer, _ = make_optimizer(
        num_steps=1000, learning_rate=1e-3, warmup_steps=10, weight_decay=1e-2, clip_norm=1.0
    )
    image = jax.random.bernoulli(jax.random.key(1), 0.2, (batch, side, side, 1)).astype(jnp.int32)
    inputs = {"image": image, "label": jnp.zeros(batch, jnp.int32)}
    model = nnx.merge(graph, weights)
    step = make_train_step(
        graph,
        optimizer,
        pixel_loss,
        ema_decay=0.999,
        key=jax.random.key(0),
        accumulate_steps=choose_parts(model, pixel_loss, inputs, data_mesh()),
    )
    state = init_state(jax.tree.map(jnp.copy, weights), optimizer)
    compiled, cost = compile_step(step, state, inputs)
    return Training(compiled, state, inputs, cost.compile_seconds)


def time_training(
    graph: nnx.GraphDef, weights: Any, batch: int, side: int, repetitions: int = 5
) -> Cost:
    """Time one training step. The operations are those of the gradient."""
    step, state, inputs, compile_seconds = make_training(graph, weights, batch, side)

    def gradient(weights: Any) -> Any:
        image = inputs["image"]
        return jax.grad(lambda w: nnx.merge(graph, w).log_prob(image).mean())(weights)

    def run() -> Any:
        nonlocal state
        state, metrics = step(state, inputs)
        return metrics

    run()
    flops = product_flops(gradient, weights)
    return Cost(best_time(run, repetitions), compile_seconds, flops)


def time_cached(
    graph: nnx.GraphDef, weights: Any, batch: int, side: int, repetitions: int = 3
) -> Cost:
    """Time cached sampling of a batch of binary images, split over all devices if possible."""
    return time_sampler(graph, weights, METHODS["cached"], _noise(batch, side), repetitions)


def time_sampler(
    graph: nnx.GraphDef, weights: Any, sampler: Sampler, noise: jax.Array, repetitions: int = 3
) -> Cost:
    """Time a sampler on the noise of a batch."""
    draw, compiling = compile_sampler(graph, weights, sampler, noise)
    if repetitions:
        jax.block_until_ready(draw())
    flops = product_flops(jitted(graph, sampler), weights, noise)
    return Cost(best_time(draw, repetitions), compiling, flops)


def compile_sampler(
    graph: nnx.GraphDef,
    weights: Any,
    sampler: Sampler,
    noise: jax.Array,
    options: Mapping[str, str] | None = None,
) -> tuple[Callable[[], jax.Array], float]:
    """Compile a sampler for the noise of a batch; return it and the seconds of compilation.

    The options are those of XLA's compiler.
    """
    mesh = mesh_for(len(noise))
    arguments = put_on(mesh, weights, noise)
    start = time.perf_counter()
    compiled = jitted(graph, sampler, mesh).lower(*arguments).compile(dict(options or {}))
    return lambda: compiled(*arguments), time.perf_counter() - start


def jitted(graph: nnx.GraphDef, sampler: Sampler, mesh: Mesh | None = None) -> Any:
    """Jit a sampler as a function from weights and noise to grids."""

    def draw(weights: Any, noise: jax.Array) -> jax.Array:
        return draw_grids(nnx.merge(graph, weights), Inputs(noise), sampler).grids

    return jax.jit(on_each_device(draw, mesh))


def time_naive(graph: nnx.GraphDef, weights: Any, batch: int, side: int, pixels: int) -> float:
    """Seconds of naive sampling, extrapolated from its first pixels. Every pixel costs the same.

    Args:
        graph: the graph of the model.
        weights: the weights of the model.
        batch: the number of images to draw at once.
        side: the height and width of an image.
        pixels: the number of pixels to time.
    """
    stages = len(nnx.merge(graph, weights).stages())
    return sum(_time_naive_stage(graph, weights, batch, side, pixels, n) for n in range(stages))


def _time_naive_stage(
    graph: nnx.GraphDef, weights: Any, batch: int, side: int, pixels: int, number: int
) -> float:
    def draw(weights: Any, noise: Any, given: Any) -> Any:
        stage = nnx.merge(graph, weights).stages()[number]
        return Naive(timed)(
            stage.model, stage_inputs(stage, Inputs(noise, given=given), first=not number)
        )

    grid = nnx.merge(graph, weights).stages()[number].model.grid
    timed = min(pixels, grid.height * grid.width)
    noise = _noise(batch, side)
    # The cost does not depend on the values from earlier stages. They are an argument: the compiler
    # would not draw pixels that are constants.
    given = jnp.zeros(noise.shape, jnp.int32) if number else None
    compiled = jax.jit(draw).lower(weights, noise, given).compile()
    seconds = best_time(lambda: compiled(weights, noise, given), 1)
    return seconds * grid.height * grid.width / timed


def _noise(batch: int, side: int) -> jax.Array:
    return jax.random.uniform(jax.random.key(0), (batch, side, side, 1))
