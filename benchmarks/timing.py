"""What a model costs, measured: a training step, cached sampling, naive sampling.

All on binary grids, ``side x side``; compiling is timed apart.
"""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.flops import product_flops
from benchmarks.machine import best_time
from pixelprior.models.multi_scale import MultiScale
from pixelprior.sampling.draw_grids import draw_grids
from pixelprior.sampling.samplers import sample_naive
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.step import compile_step, init_state, make_train_step
from pixelprior.training.tasks.pixels import pixel_loss


class Cost(NamedTuple):
    """Seconds of a call, seconds of compiling it, and the operations of its matrix products."""

    seconds: float
    compile_seconds: float
    flops: int


def time_training(
    graph: nnx.GraphDef, weights: Any, batch: int, side: int, repetitions: int = 5
) -> Cost:
    """One training step, optimizer and averages included; operations are those of the gradient."""
    optimizer, _ = make_optimizer(
        num_steps=1000, learning_rate=1e-3, warmup_steps=10, weight_decay=1e-2, clip_norm=1.0
    )
    step = make_train_step(graph, optimizer, pixel_loss, ema_decay=0.999, key=jax.random.key(0))
    image = jax.random.bernoulli(jax.random.key(1), 0.2, (batch, side, side, 1)).astype(jnp.int32)
    inputs = {"image": image, "label": jnp.zeros(batch, jnp.int32)}

    def gradient(weights: Any) -> Any:
        return jax.grad(lambda w: nnx.merge(graph, w).log_prob(image).mean())(weights)

    state = init_state(jax.tree.map(jnp.copy, weights), optimizer)
    compiled, cost = compile_step(step, state, inputs)

    def run() -> Any:
        nonlocal state
        state, metrics = compiled(state, inputs)
        return metrics

    run()
    flops = product_flops(gradient, weights)
    return Cost(best_time(run, repetitions), cost.compile_seconds, flops)


def time_cached(
    graph: nnx.GraphDef, weights: Any, batch: int, side: int, repetitions: int = 3
) -> Cost:
    """Cached sampling of a batch."""
    sampler, noise = cached_sampler(graph), _noise(batch, side)
    start = time.perf_counter()
    compiled = sampler.lower(weights, noise).compile()
    compiling = time.perf_counter() - start
    jax.block_until_ready(compiled(weights, noise))
    seconds = best_time(lambda: compiled(weights, noise), repetitions)
    return Cost(seconds, compiling, product_flops(sampler, weights, noise))


def cached_sampler(graph: nnx.GraphDef) -> Any:
    """The jitted sampler: weights and noise in, grids out."""
    return jax.jit(
        lambda weights, noise: draw_grids(nnx.merge(graph, weights), noise, None, (), "cached")
    )


def time_naive(graph: nnx.GraphDef, weights: Any, batch: int, side: int, pixels: int) -> float:
    """Seconds of naive sampling, worked out from its first pixels: each costs the same.

    Args:
        graph: of the model.
        weights: of the model.
        batch: images drawn at once.
        side: of an image.
        pixels: how many to time.
    """
    if isinstance(nnx.merge(graph, weights), MultiScale):
        return _time_naive_scales(graph, weights, batch, side, pixels)
    timed = min(pixels, side * side)
    naive = jax.jit(
        lambda weights, noise: sample_naive(
            nnx.merge(graph, weights), noise, None, (), positions=timed
        )
    )
    noise = _noise(batch, side)
    compiled = naive.lower(weights, noise).compile()
    return best_time(lambda: compiled(weights, noise), 1) * side * side / timed


def _time_naive_scales(
    graph: nnx.GraphDef, weights: Any, batch: int, side: int, pixels: int
) -> float:
    """The smaller grid's time, and that of the full one given it."""
    model = nnx.merge(graph, weights)
    small = model.coarse.grid.height

    def fine(weights: Any, noise: Any) -> Any:
        model = nnx.merge(graph, weights)
        coarse = jnp.zeros((batch, *model.coarse.grid.shape), jnp.int32)
        context = model.fine_context(None, coarse)
        return sample_naive(model.fine, noise, context, (), model.given(coarse), positions=pixels)

    noise = _noise(batch, side)
    compiled = jax.jit(fine).lower(weights, noise).compile()
    seconds = best_time(lambda: compiled(weights, noise), 1) * side * side / pixels
    return seconds + time_naive(*nnx.split(model.coarse), batch, small, pixels)


def _noise(batch: int, side: int) -> jax.Array:
    return jax.random.uniform(jax.random.key(0), (batch, side, side, 1))
