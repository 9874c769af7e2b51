"""How fast images are drawn: cached against naive, by batch and by size of the image.

    python -m benchmarks.sampling [--model=pixel_cnn] [--features=128] [--num_layers=10]

Naive sampling runs the whole network once per pixel, and each of these runs costs the same. So a
few are timed and the time of all is worked out from them, unless ``--full`` is given.
"""

from typing import Any

import jax.numpy as jnp
from flax import nnx

from benchmarks.machine import matrix_product_rate
from benchmarks.network import build, network_arguments, title
from benchmarks.timing import cached_sampler, time_cached, time_naive


def main() -> None:
    """Prints the two tables."""
    parser = network_arguments("Times the samplers.")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--naive_batch", type=int, default=16)
    parser.add_argument("--naive_pixels", type=int, default=16, help="how many pixels to time")
    parser.add_argument("--full", action="store_true", help="time all pixels of naive sampling")
    parser.add_argument("--sides", type=int, nargs="+", default=[14, 28, 56])
    arguments = parser.parse_args()
    graph, weights = build(arguments)
    pixels = 28 * 28

    print(f"{title(arguments)}, binary 28x28")
    print(
        f"{'batch':>6} {'cached s':>9} {'images/s':>9} {'compile s':>9} {'GFLOP/s':>8} "
        f"{'product':>8} {'share':>6} {'naive s':>9} {'naive/cached':>12}"
    )
    for batch in arguments.batches:
        cached, compiling, flops = time_cached(graph, weights, batch, 28)
        rate = matrix_product_rate()
        naive = ""
        if batch == arguments.naive_batch:
            timed = pixels if arguments.full else arguments.naive_pixels
            seconds = time_naive(graph, weights, batch, 28, timed)
            naive = f" {seconds:>9.1f} {seconds / cached:>12.0f}"
        print(
            f"{batch:>6} {cached:>9.3f} {batch / cached:>9.1f} {compiling:>9.1f} "
            f"{flops / cached / 1e9:>8.0f} {rate / 1e9:>8.0f} {flops / cached / rate:>6.0%}{naive}"
        )

    print(f"\nby size of the image, batch {arguments.naive_batch}")
    print(f"{'size':>8} {'cached s':>9} {'us/pixel':>9} {'working memory MB':>18} {'product':>8}")
    for side in arguments.sides:
        graph, weights = build(arguments, side)
        cached, _, _ = time_cached(graph, weights, arguments.naive_batch, side)
        memory = _working_memory(graph, weights, arguments.naive_batch, side)
        print(
            f"{f'{side}x{side}':>8} {cached:>9.3f} {cached / side**2 * 1e6:>9.0f} "
            f"{memory / 1e6:>18.1f} {matrix_product_rate() / 1e9:>8.0f}"
        )
    print("\nproduct: a 2048^3 float32 matrix product in the same run, GFLOP/s")


def _working_memory(graph: nnx.GraphDef, weights: Any, batch: int, side: int) -> int:
    """Bytes that the compiled sampler needs beside its arguments and its result."""
    noise = jnp.zeros((batch, side, side, 1))
    compiled = cached_sampler(graph).lower(weights, noise).compile()
    return compiled.memory_analysis().temp_size_in_bytes


if __name__ == "__main__":
    main()
