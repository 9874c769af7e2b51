"""How fast a model learns: the time of a training step against its matrix products.

python -m benchmarks.training [--model=pixel_cnn] [--features=128] [--num_layers=10]
"""

import time

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.flops import product_flops
from benchmarks.machine import best_time, matrix_product_rate
from benchmarks.network import build, network_arguments, title
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.step import init_state, make_train_step
from pixelprior.training.tasks.pixels import pixel_loss


def main() -> None:
    """Prints the table."""
    parser = network_arguments("Times the training step.")
    parser.add_argument("--batches", type=int, nargs="+", default=[16])
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    graph, weights = build(arguments)
    optimizer, _ = make_optimizer(
        num_steps=1000, learning_rate=1e-3, warmup_steps=10, weight_decay=1e-2, clip_norm=1.0
    )
    print(f"training step of {title(arguments)}, binary 28x28")
    print(
        f"{'batch':>6} {'step s':>7} {'images/s':>9} {'compile s':>9} {'GFLOP':>7} {'GFLOP/s':>8} "
        f"{'product':>8} {'share':>6}"
    )
    for batch in arguments.batches:
        step = make_train_step(graph, optimizer, pixel_loss, ema_decay=0.999, key=jax.random.key(0))
        image = jax.random.bernoulli(jax.random.key(1), 0.2, (batch, 28, 28, 1)).astype(jnp.int32)
        inputs = {"image": image, "label": jnp.zeros(batch, jnp.int32)}

        def gradient(weights: object, image: jax.Array = image) -> object:
            return jax.grad(lambda w: nnx.merge(graph, w).log_prob(image).mean())(weights)

        flops = product_flops(gradient, weights)
        state = init_state(jax.tree.map(jnp.copy, weights), optimizer)
        start = time.perf_counter()
        compiled = step.lower(state, inputs).compile()  # type: ignore[attr-defined]
        compiling = time.perf_counter() - start

        def run() -> object:
            nonlocal state
            state, metrics = compiled(state, inputs)  # noqa: B023 - called before the next batch
            return metrics

        run()
        seconds = best_time(run, arguments.repetitions)
        rate = matrix_product_rate()
        print(
            f"{batch:>6} {seconds:>7.3f} {batch / seconds:>9.1f} {compiling:>9.1f} "
            f"{flops / 1e9:>7.0f} {flops / seconds / 1e9:>8.0f} {rate / 1e9:>8.0f} "
            f"{flops / seconds / rate:>6.0%}"
        )
    print("product: a 2048^3 float32 matrix product in the same run, GFLOP/s")


if __name__ == "__main__":
    main()
