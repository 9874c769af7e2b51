"""Speed of sampling: by batch size, by image size, with large networks, and from a cold start.

    python -m benchmarks.sampling [--parts batches sizes large start] [--devices=1]

Naive sampling runs the whole network once per pixel, and every pixel costs the same. The time of
all pixels is therefore extrapolated from a few, unless ``--full`` is given. On CPUs every core is
its own device, as in ``sample.py``.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.machine import best_time, matrix_product_rate
from benchmarks.network import build, network_arguments, title
from benchmarks.timing import compile_sampler, jitted, time_cached, time_naive, time_sampler
from pixelprior.grid import Grid
from pixelprior.models import GatedPixelCNN
from pixelprior.sampling.methods import METHODS
from pixelprior.sampling.whole_grids import Naive
from pixelprior.system.devices import num_cores

SIDE = 28
ROUNDS = 5
LARGE: dict[str, tuple[int, Grid, dict[str, Any]]] = {
    "16 images 32x32x3, 8 bits": (16, Grid(32, 32, 3, 256), dict(features=48, num_layers=8)),
    "10 maps 32x32 of 512 codes": (10, Grid(32, 32, 1, 512), dict(features=160, num_layers=9)),
}


def main() -> None:
    """Print the tables."""
    parts: dict[str, Callable[[argparse.Namespace], None]] = {
        "batches": by_batch,
        "sizes": by_size,
        "large": large_networks,
        "start": from_a_cold_start,
    }
    parser = network_arguments("Times the samplers.")
    parser.add_argument("--parts", nargs="+", choices=list(parts), default=list(parts))
    parser.add_argument(
        "--devices", type=int, default=num_cores(), help="Number of devices, on a CPU."
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--naive_batches", type=int, nargs="+", default=[16, 256])
    parser.add_argument("--naive_pixels", type=int, default=3, help="Number of pixels to time.")
    parser.add_argument("--full", action="store_true", help="Time all pixels of naive sampling.")
    parser.add_argument("--sides", type=int, nargs="+", default=[14, 28, 56, 112])
    parser.add_argument(
        "--compile", choices=list(METHODS), help="Time only the compilation of one method."
    )
    arguments = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", arguments.devices)
    if arguments.compile:
        return compile_one(arguments)
    print(f"{title(arguments)}, binary; {jax.device_count()} devices")
    for name in arguments.parts:
        parts[name](arguments)
    print("\nproduct: a 2048^3 float32 matrix product in the same run, GFLOP/s")


def by_batch(arguments: argparse.Namespace) -> None:
    """Time cached sampling for several batch sizes, and naive sampling for some of them."""
    graph, weights = build(arguments)
    print(f"\nby batch, {SIDE}x{SIDE}")
    print(
        f"{'batch':>6} {'cached s':>9} {'images/s':>9} {'compile s':>9} {'GFLOP/s':>8} "
        f"{'product':>8} {'share':>6} {'naive s':>9} {'naive/cached':>12}"
    )
    for batch in arguments.batches:
        cached, compiling, flops = time_cached(graph, weights, batch, SIDE)
        rate = matrix_product_rate()
        naive = ""
        if batch in arguments.naive_batches:
            timed = SIDE * SIDE if arguments.full else arguments.naive_pixels
            seconds = time_naive(graph, weights, batch, SIDE, timed)
            naive = f" {seconds:>9.1f} {seconds / cached:>12.0f}"
        print(
            f"{batch:>6} {cached:>9.3f} {batch / cached:>9.1f} {compiling:>9.1f} "
            f"{flops / cached / 1e9:>8.0f} {rate / 1e9:>8.0f} {flops / cached / rate:>6.0%}{naive}",
            flush=True,
        )


def by_size(arguments: argparse.Namespace) -> None:
    """Measure time and memory for several image sizes."""
    batch = arguments.naive_batches[0]
    print(f"\nby size of the image, batch {batch}, the best of {ROUNDS} rounds")
    print(f"{'size':>8} {'cached s':>9} {'us/pixel':>9} {'working memory MB':>18} {'product':>8}")
    draws, memory = {}, {}
    for side in arguments.sides:
        graph, weights = build(arguments, side)
        noise = jax.random.uniform(jax.random.key(0), (batch, side, side, 1))
        draws[side], _ = compile_sampler(graph, weights, METHODS["cached"], noise)
        memory[side] = _working_memory(graph, weights, batch, side)
        jax.block_until_ready(draws[side]())
    # The sizes take turns. Otherwise a change in the speed of the machine would look like an
    # effect of the size.
    timed = [
        {side: (best_time(draw, 1), matrix_product_rate()) for side, draw in draws.items()}
        for _ in range(ROUNDS)
    ]
    for side in draws:
        seconds, rate = min(one[side][0] for one in timed), max(one[side][1] for one in timed)
        print(
            f"{f'{side}x{side}':>8} {seconds:>9.3f} {seconds / side**2 * 1e6:>9.0f} "
            f"{memory[side] / 1e6:>18.1f} {rate / 1e9:>8.0f}",
            flush=True,
        )


def large_networks(arguments: argparse.Namespace) -> None:
    """Time larger networks and grids, which took older systems minutes."""
    print("\nlarger grids, Gated PixelCNN with a softmax head")
    print(
        f"{'what':<28} {'weights':>9} {'cached s':>9} {'compile s':>9} {'naive s':>9} "
        f"{'naive/cached':>12} {'product':>8}"
    )
    for name, (batch, grid, settings) in LARGE.items():
        graph, weights = nnx.split(GatedPixelCNN(grid, **settings, rngs=nnx.Rngs(0)))
        size = sum(weight.size for weight in jax.tree.leaves(weights))
        noise = jax.random.uniform(jax.random.key(0), (batch, *grid.shape))
        cached = time_sampler(graph, weights, METHODS["cached"], noise)
        positions = grid.height * grid.width
        timed = positions if arguments.full else arguments.naive_pixels
        naive = time_sampler(graph, weights, Naive(timed), noise, 1).seconds * positions / timed
        print(
            f"{name:<28} {size:>9,} {cached.seconds:>9.3f} {cached.compile_seconds:>9.1f} "
            f"{naive:>9.1f} {naive / cached.seconds:>12.0f} {matrix_product_rate() / 1e9:>8.0f}",
            flush=True,
        )


def from_a_cold_start(arguments: argparse.Namespace) -> None:
    """Time the compilation of each sampler, and of a second process that uses the cache."""
    print(f"\ncompiling, {SIDE}x{SIDE}, batch 16")
    print(f"{'method':<12} {'seconds':>8} {'from the cache':>15}")
    network = [f"--{key}={getattr(arguments, key)}" for key in ("model", "features", "num_layers")]
    with tempfile.TemporaryDirectory() as cache:
        for method in METHODS:
            first, second = (
                subprocess.run(
                    [
                        *(sys.executable, "-m", "benchmarks.sampling", f"--compile={method}"),
                        f"--devices={arguments.devices}",
                        *network,
                    ],
                    env=os.environ | {"JAX_COMPILATION_CACHE_DIR": cache},
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout.strip()
                for _ in range(2)
            )
            print(f"{method:<12} {first:>8} {second:>15}", flush=True)


def compile_one(arguments: argparse.Namespace) -> None:
    """Print the seconds of compiling one sampler."""
    graph, weights = build(arguments)
    noise = jax.random.uniform(jax.random.key(0), (16, SIDE, SIDE, 1))
    cost = time_sampler(graph, weights, METHODS[arguments.compile], noise, 0)
    print(f"{cost.compile_seconds:.1f}")


def _working_memory(graph: nnx.GraphDef, weights: Any, batch: int, side: int) -> int:
    """Bytes that the compiled sampler needs in addition to its arguments and its result."""
    noise = jnp.zeros((batch, side, side, 1))
    compiled = jitted(graph, METHODS["cached"]).lower(weights, noise).compile()
    return compiled.memory_analysis().temp_size_in_bytes


if __name__ == "__main__":
    main()
