"""Speed of sampling images from a trained prior: codes of every level, then pixels.

python -m benchmarks.codes --workdir=runs/fashion_mnist_prior [--batches 1 64]
"""

import argparse
import time
from typing import Any

import jax

from benchmarks.machine import best_time, matrix_product_rate
from pixelprior.runs.load import load_trained
from pixelprior.sampling.labels import label_context


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Time the samples of a prior, from key to pixels.")
    parser.add_argument("--workdir", required=True, help="Run folder of a prior.")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    trained = load_trained(arguments.workdir)
    prior = trained.model
    maps = ", ".join(f"{g.height}x{g.width}x{g.channels} of {g.levels}" for g in prior.grids)
    print(f"images of {trained.data['name']} from codes {maps}")
    print(f"{'batch':>6} {'seconds':>8} {'images/s':>9} {'first s':>8} {'product':>8}")
    for batch in arguments.batches:
        given = {"context": label_context(prior, None, batch), "tokenizer": trained.tokenizer}

        def draw(batch: int = batch, given: dict[str, Any] = given) -> object:
            return prior.sample(jax.random.key(0), batch, **given)

        start = time.perf_counter()
        jax.block_until_ready(draw())
        first = time.perf_counter() - start
        seconds = best_time(draw, arguments.repetitions)
        print(
            f"{batch:>6} {seconds:>8.3f} {batch / seconds:>9.1f} {first:>8.1f} "
            f"{matrix_product_rate() / 1e9:>8.0f}"
        )
    print(
        "first: with compiling; product: a 2048^3 float32 matrix product in the same run, GFLOP/s"
    )


if __name__ == "__main__":
    main()
