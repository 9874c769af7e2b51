"""Costs of training and sampling for each architecture of configs/compare.py.

    python -m benchmarks.architectures [--only pixel_cnn transformer] [--batch=16]

A training step is compared with its matrix products, and cached sampling with naive sampling. Only
the first pixels of naive sampling are timed, because every pixel costs the same.
"""

import argparse

import jax
from flax import nnx

from benchmarks.machine import matrix_product_rate
from benchmarks.timing import time_cached, time_naive, time_training
from pixelprior.experiment import build_model
from pixelprior.experiment.recipes import load_recipe
from pixelprior.grid import Grid


def main() -> None:
    """Print the table."""
    runs = load_recipe("compare")["runs"]
    parser = argparse.ArgumentParser(description="Times every architecture.")
    parser.add_argument("--only", nargs="+", choices=list(runs), default=list(runs))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--naive_pixels", type=int, default=8, help="Number of pixels to time.")
    arguments = parser.parse_args()
    batch, side = arguments.batch, 28

    print(f"binary {side}x{side}, batch {batch}")
    print(
        f"{'model':<16} {'weights':>8} | {'step s':>7} {'images/s':>9} {'compile s':>9} "
        f"{'GFLOP':>6} {'share':>6} | {'cached s':>9} {'compile s':>9} "
        f"{'naive s':>8} {'naive/cached':>12} | {'product':>8}"
    )
    for name in arguments.only:
        model = build_model(runs[name]["model"], Grid(side, side, 1, 2), num_classes=0, seed=0)
        graph, weights = nnx.split(model)
        size = sum(weight.size for weight in jax.tree.leaves(weights))
        before = matrix_product_rate()
        training = time_training(graph, weights, batch, side)
        cached = time_cached(graph, weights, batch, side)
        naive = time_naive(graph, weights, batch, side, arguments.naive_pixels)
        # The speed of the machine varies. Results are compared with the mean of the rates before
        # and after.
        rate = (before + matrix_product_rate()) / 2
        print(
            f"{name:<16} {size:>8,} | {training.seconds:>7.3f} {batch / training.seconds:>9.1f} "
            f"{training.compile_seconds:>9.1f} {training.flops / 1e9:>6.1f} "
            f"{training.flops / training.seconds / rate:>6.0%} | {cached.seconds:>9.3f} "
            f"{cached.compile_seconds:>9.1f} "
            f"{naive:>8.1f} {naive / cached.seconds:>12.0f} | {rate / 1e9:>8.0f}",
            flush=True,
        )
    print("share, product: of a 2048^3 float32 matrix product in the same run, GFLOP/s")


if __name__ == "__main__":
    main()
