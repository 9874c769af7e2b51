"""Bounds of the Gated PixelCNN on a CPU: the time that its matrix products alone would take.

    python -m benchmarks.bounds [--features=128] [--num_layers=10] [--batch=16] [--rounds=5]

The products have the shapes of the network of `benchmarks.network` on binary 28x28 images. The
first layer and the head are left out. Gathered taps, activations and the optimizer come on top of
the products. Everything takes turns, so that changes in the speed of the machine affect all.

- A training step computes products of one part of the batch at a time.
- Sampling one image multiplies a single vector with each kernel of the horizontal stream, for every
  pixel. Its time is that of reading these kernels. The vertical stream computes row by row.
"""

import argparse
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from benchmarks.machine import best_time, matrix_product_rate
from benchmarks.network import build, network_arguments, title
from benchmarks.our_step import OurStep
from benchmarks.timing import time_cached
from pixelprior.nn.gates import gated_activation
from pixelprior.nn.products import product
from pixelprior.training.tasks.pixels import pixel_loss

SIDE = 28
Run = Callable[[], Any]


def main() -> None:
    """Print the tables."""
    parser = network_arguments("Times the matrix products of the Gated PixelCNN alone.")
    parser.set_defaults(model="gated_pixel_cnn")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{title(arguments)}, binary {SIDE}x{SIDE}")
    training(arguments)
    sampling(arguments)


def training(arguments: argparse.Namespace) -> None:
    """Time the products of a training step one by one, and the whole step."""
    model = nnx.merge(*build(arguments, SIDE))
    image = jax.random.bernoulli(jax.random.key(1), 0.2, (arguments.batch, SIDE, SIDE, 1))
    inputs = {"image": image.astype(jnp.int32), "label": jnp.zeros(arguments.batch, jnp.int32)}
    step = OurStep(model, pixel_loss, inputs)
    positions = arguments.batch // step.parts * SIDE**2
    runs: dict[tuple[str, str], Run] = {
        (name, kind): _product(kind, positions, *shape)
        for name, shape in kernels(arguments.features).items()
        for kind in ("forward", "input", "kernel")
    }
    seconds = _in_turns({**runs, ("step", ""): step.run}, arguments.rounds)
    rate = matrix_product_rate()
    print(f"\ntraining, batch {arguments.batch} in {step.parts} parts; GFLOP/s of each product,")
    print(f"and {rate / 1e9:.0f} for a product of 2048^3")
    print(f"{'kernel':<10} {'shape':>10} {'forward':>8} {'d input':>8} {'d kernel':>8}")
    for name, (d, e) in kernels(arguments.features).items():
        rates = [2e-9 * positions * d * e / seconds[name, kind] for _, kind in list(runs)[:3]]
        print(f"{name:<10} {f'{d}x{e}':>10} " + " ".join(f"{rate:>8.0f}" for rate in rates))
    products = arguments.num_layers * step.parts * sum(seconds[key] for key in runs)
    flops = 6 * positions * step.parts * sum(d * e for d, e in kernels(arguments.features).values())
    whole = seconds["step", ""]
    print(
        f"step {whole:.3f} s; products {products:.3f} s, {products / whole:.0%} of it; at "
        f"{rate / 1e9:.0f} GFLOP/s they would take {arguments.num_layers * flops / rate:.3f} s"
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


def _product(kind: str, positions: int, d: int, e: int) -> Run:
    """Compile one product: forward, or the gradient of its input or kernel."""
    x, kernel, dy = (_normal(shape) for shape in ((positions, d), (d, e), (positions, e)))

    def run(x: Any, kernel: Any, dy: Any) -> Any:
        y, gradients = jax.vjp(product, x, kernel)
        return y if kind == "forward" else gradients(dy)[("input", "kernel").index(kind)]

    return functools.partial(jax.jit(run), x, kernel, dy)


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


def _in_turns(runs: dict[Any, Run], rounds: int) -> dict[Any, float]:
    """Return the shortest time of each function, which take turns."""
    for run in runs.values():
        jax.block_until_ready(run())
    times = [{name: best_time(run, 3) for name, run in runs.items()} for _ in range(rounds)]
    return {name: min(one[name] for one in times) for name in runs}


if __name__ == "__main__":
    main()
