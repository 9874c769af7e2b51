"""Bounds of speed on a CPU: the time that matrix products and convolutions alone would take.

    python -m benchmarks.bounds [--features=128] [--num_layers=10] [--batch=16] [--rounds=5]

- A training step computes the products of one part of the batch at a time. The benchmark traces the
  gradient of one part, and times each of its products alone. Gathered taps, activations and the
  optimizer come on top of them.
- Sampling one image multiplies a single vector with each kernel of the horizontal stream, for every
  pixel. Its time is that of reading these kernels. The vertical stream computes row by row. The
  first layer and the head are left out.
"""

import argparse
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from benchmarks.isolated import isolated_products
from benchmarks.machine import best_time, matrix_product_rate
from benchmarks.network import build, network_arguments, title
from benchmarks.our_step import OurStep, move_codebooks, vqvae_loss, vqvae_of
from benchmarks.timing import time_cached
from pixelprior.experiment.recipes import load_recipe
from pixelprior.grid import Grid
from pixelprior.nn.gates import gated_activation
from pixelprior.nn.image_keys import image_keys
from pixelprior.training.tasks.pixels import pixel_loss

SIDE = 28
LISTED = 6  # products in each table
Run = Callable[[], Any]


def main() -> None:
    """Print the tables."""
    parser = network_arguments("Times the matrix products of the Gated PixelCNN alone.")
    parser.set_defaults(model="gated_pixel_cnn")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    gated_pixel_cnn(arguments)
    vqvae(arguments)
    sampling(arguments)


def training(name: str, model: Any, loss: Any, batch: Any, rounds: int, **settings: Any) -> None:
    """Time the products of a training step alone, and the whole step."""
    step = OurStep(model, loss, batch, **settings)
    graph, weights = nnx.split(model)
    size = len(batch["image"]) // step.parts
    part, keys = jax.tree.map(lambda x: x[:size], batch), image_keys(jax.random.key(0), size)

    def gradient(weights: Any) -> Any:
        return jax.grad(lambda w: loss(nnx.merge(graph, w), part, keys).value)(weights)

    jax.block_until_ready(step.run())
    whole = best_time(step.run, rounds)
    products = isolated_products(gradient, weights)
    rate = matrix_product_rate()
    seconds = step.parts * sum(one.calls * one.seconds for one in products)
    ideal = step.parts * sum(one.calls * one.flops for one in products) / rate
    print(
        f"\n{name}, batch of {len(batch['image'])} in {step.parts} parts: step {whole:.4f} s, its "
        f"products alone {seconds:.4f} s ({seconds / whole:.0%});"
        f"\nat {rate / 1e9:.0f} GFLOP/s they would take {ideal:.4f} s. The longest of one part:"
    )
    print(f"{'calls':>5} {'ms':>7} {'GFLOP/s':>8}  shapes")
    for one in products[:LISTED]:
        print(
            f"{one.calls:>5} {1e3 * one.calls * one.seconds:>7.2f} "
            f"{one.flops / one.seconds / 1e9:>8.0f}  {one.shapes}"
        )


def gated_pixel_cnn(arguments: argparse.Namespace) -> None:
    """Measure a step of the network of the other benchmarks."""
    image = jax.random.bernoulli(jax.random.key(1), 0.2, (arguments.batch, SIDE, SIDE, 1))
    batch = {"image": image.astype(jnp.int32), "label": jnp.zeros(arguments.batch, jnp.int32)}
    model = nnx.merge(*build(arguments, SIDE))
    training(title(arguments), model, pixel_loss, batch, arguments.rounds)


def vqvae(arguments: argparse.Namespace) -> None:
    """Measure a step of the tokenizer of ``fashion_mnist:vqvae``."""
    grid = Grid(SIDE, SIDE, 1, 256)
    num = load_recipe("fashion_mnist:vqvae")["batch_size"]
    image = jax.random.randint(jax.random.key(1), (num, *grid.shape), 0, grid.levels)
    training(
        *("vqvae of fashion_mnist:vqvae", vqvae_of(grid), vqvae_loss, {"image": image}),
        arguments.rounds,
        after_step=move_codebooks,
    )


def sampling(arguments: argparse.Namespace) -> None:
    """Time the products of sampling one image, and the whole sampler."""
    graph, weights = build(arguments, SIDE)
    seconds = {
        "horizontal": best_time(_horizontal(arguments), arguments.rounds),
        "vertical": best_time(_vertical(arguments), arguments.rounds),
    }
    whole = time_cached(graph, weights, 1, SIDE, arguments.rounds).seconds
    shapes = kernels(arguments.features)
    size = arguments.num_layers * sum(d * e for d, e in (shapes["left"], shapes["output"]))
    print(f"\nsampling one image; the horizontal kernels hold {4 * size / 1e6:.1f} MB")
    print(
        f"cached {whole:.3f} s; products of the horizontal stream {seconds['horizontal']:.3f} s "
        f"({4e-9 * size * SIDE**2 / seconds['horizontal']:.0f} GB/s), of the vertical stream "
        f"{seconds['vertical']:.3f} s; together {sum(seconds.values()) / whole:.0%} of it"
    )


def kernels(features: int) -> dict[str, tuple[int, int]]:
    """Return the sizes of a layer's kernels, as matrices from gathered taps to features."""
    return {
        "above": (6 * features, 2 * features),
        "link": (2 * features, 2 * features),
        "left": (2 * features, 2 * features),
        "output": (features, features),
    }


def _horizontal(arguments: argparse.Namespace) -> Run:
    """Compile the horizontal products and gates of all pixels of one image."""
    d = arguments.features

    def pixel(carry: Any, _: Any) -> tuple[Any, None]:
        x, layers = carry
        for left, output in layers:
            y = gated_activation(x @ left) @ output
            x = jnp.concatenate([x[:, d:], y], axis=-1)
        return (x, layers), None

    return _loop(pixel, _normal((1, 2 * d)), _layers(arguments, "left", "output"), SIDE**2)


def _vertical(arguments: argparse.Namespace) -> Run:
    """Compile the vertical products and gates of all rows of one image."""

    def row(carry: Any, _: Any) -> tuple[Any, None]:
        x, layers = carry
        for above, link in layers:
            y = x @ above
            x = jnp.concatenate(
                [gated_activation(y), x[:, : x.shape[1] - y.shape[1] // 2]], axis=-1
            )
            x = x + (y @ link).sum()
        return (x, layers), None

    x = _normal((SIDE, 6 * arguments.features))
    return _loop(row, x, _layers(arguments, "above", "link"), SIDE)


def _layers(arguments: argparse.Namespace, *names: str) -> list[tuple[Any, ...]]:
    shapes = kernels(arguments.features)
    return [tuple(_normal(shapes[name]) for name in names) for _ in range(arguments.num_layers)]


def _loop(body: Callable[[Any, Any], Any], x: Any, layers: Any, length: int) -> Run:
    run = jax.jit(lambda x, layers: lax.scan(body, (x, layers), None, length=length)[0][0])
    jax.block_until_ready(run(x, layers))
    return functools.partial(run, x, layers)


def _normal(shape: tuple[int, ...]) -> jax.Array:
    return 0.05 * jax.random.normal(jax.random.key(0), shape)


if __name__ == "__main__":
    main()
