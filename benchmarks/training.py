"""Speed of training: the time of a step compared with its matrix products.

python -m benchmarks.training [--model=pixel_cnn] [--features=128] [--num_layers=10]
"""

from benchmarks.machine import matrix_product_rate
from benchmarks.network import build, network_arguments, title
from benchmarks.timing import time_training


def main() -> None:
    """Print the table."""
    parser = network_arguments("Times the training step.")
    parser.add_argument("--batches", type=int, nargs="+", default=[16])
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    graph, weights = build(arguments)
    print(f"training step of {title(arguments)}, binary 28x28")
    print(
        f"{'batch':>6} {'step s':>7} {'images/s':>9} {'compile s':>9} {'GFLOP':>7} {'GFLOP/s':>8} "
        f"{'product':>8} {'share':>6}"
    )
    for batch in arguments.batches:
        seconds, compiling, flops = time_training(graph, weights, batch, 28, arguments.repetitions)
        rate = matrix_product_rate()
        print(
            f"{batch:>6} {seconds:>7.3f} {batch / seconds:>9.1f} {compiling:>9.1f} "
            f"{flops / 1e9:>7.0f} {flops / seconds / 1e9:>8.0f} {rate / 1e9:>8.0f} "
            f"{flops / seconds / rate:>6.0%}"
        )
    print("product: a 2048^3 float32 matrix product in the same run, GFLOP/s")


if __name__ == "__main__":
    main()
