"""Costs of checkpoints: training with one every 100 steps, and reading the latest one.

python -m benchmarks.checkpoints [--features=128] [--num_layers=10] [--batch=32] [--steps=100]
"""

import statistics
import tempfile
import time
from pathlib import Path

import jax

from benchmarks.machine import matrix_product_rate
from benchmarks.network import build, network_arguments, title
from benchmarks.timing import Training, make_training
from pixelprior.system.console import warn
from pixelprior.training.checkpoints import Checkpoints
from pixelprior.training.step import TrainState


def main() -> None:
    """Print the table: equally many steps without and with a checkpoint, in turn."""
    parser = network_arguments("Times checkpoints.")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    graph, weights = build(arguments)
    training = make_training(graph, weights, arguments.batch, 28)
    megabytes = sum(leaf.nbytes for leaf in jax.tree.leaves(training.state)) / 1e6
    print(
        f"{title(arguments)}, binary 28x28, batch {arguments.batch}; a state of {megabytes:.1f} MB"
    )
    state, costs = take_steps(training, training.state, 2), []
    with tempfile.TemporaryDirectory() as folder:
        with Checkpoints(Path(folder), warn=warn) as checkpoints:
            start = time.perf_counter()
            checkpoints.save(state)
            begun = time.perf_counter()
            checkpoints.wait()
            print(
                f"one alone: {time.perf_counter() - start:.2f} s, which a step would wait for "
                f"{begun - start:.2f} s of"
            )
            print(f"{arguments.steps} steps   without s   with one s    cost")
            for _ in range(arguments.rounds):
                start = time.perf_counter()
                state = take_steps(training, state, arguments.steps)
                between = time.perf_counter()
                # The checkpoint is written in the background, during the next steps.
                checkpoints.save(state)
                state = take_steps(training, state, arguments.steps)
                checkpoints.wait()
                without, with_one = between - start, time.perf_counter() - between
                costs.append(with_one / without - 1)
                print(f"{without:>20.2f} {with_one:>12.2f} {costs[-1]:>7.1%}")
        print(f"median {statistics.median(costs):>34.1%}")
        start = time.perf_counter()
        with Checkpoints(Path(folder), warn=warn) as checkpoints:
            restored = checkpoints.restore_latest(state)
            jax.block_until_ready(restored)
            print(f"opening the folder and reading the latest: {time.perf_counter() - start:.2f} s")
    print(f"a 2048^3 float32 product in the same run: {matrix_product_rate() / 1e9:.0f} GFLOP/s")


def take_steps(training: Training, state: TrainState, number: int) -> TrainState:
    """Take ``number`` steps on the same batch; return the state."""
    for _ in range(number):
        state, _ = training.step(state, training.batch)
    return jax.block_until_ready(state)


if __name__ == "__main__":
    main()
