"""Sequential evaluations of sampling with guesses, and the time that guesses save.

    python -m benchmarks.fixed_point --workdir=runs/mnist [--batches 1 16] [--columns 1 4 7 14 28]

One column at a time is cached sampling. Several columns are guessed and evaluated at once, until
nothing changes. The number of evaluations depends on the certainty of the model. The model must
therefore be trained.
"""

import argparse
import time

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.machine import matrix_product_rate
from pixelprior.errors import InputError
from pixelprior.models.base import GridModel
from pixelprior.runs.load import load_trained
from pixelprior.sampling import InColumns, Sampler, WholeGrids
from pixelprior.sampling.draw import grid_noise
from pixelprior.sampling.draw_grids import draw_grids
from pixelprior.sampling.labels import label_context
from pixelprior.sampling.sampler import Inputs


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description="Time the sampler that guesses many pixels at once."
    )
    parser.add_argument("--workdir", required=True, help="Run folder of a pixel model.")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--columns", type=int, nargs="+", default=[1, 2, 4, 7, 14, 28])
    parser.add_argument("--whole_grids", action="store_true", help="Time this sampler too.")
    parser.add_argument(
        "--images", type=int, default=16, help="Number of images to average, at batch 1."
    )
    arguments = parser.parse_args()
    trained = load_trained(arguments.workdir)
    model = trained.model
    if not isinstance(model, GridModel):
        raise InputError(f"expected the run of a pixel model, got one of a {trained.task}")

    height, width, channels = model.grid.shape
    print(
        f"{trained.config['model']['name']}, {trained.config['dataset']}, {height}x{width}x"
        f"{channels}, {model.grid.levels} levels, {trained.provenance}"
    )
    print(
        f"{'batch':>6} {'columns':>8} {'seconds':>8} {'evaluations':>12} "
        f"{'of positions':>13} {'faster':>7}"
    )
    for batch in arguments.batches:
        samplers: dict[str, Sampler] = {str(n): InColumns(n) for n in arguments.columns}
        if arguments.whole_grids:
            samplers["grid"] = WholeGrids()
        cached = None
        for name, sampler in samplers.items():
            seconds, evaluations = _time(model, sampler, batch, max(1, arguments.images // batch))
            cached = cached or seconds
            print(
                f"{batch:>6} {name:>8} {seconds:>8.3f} {evaluations:>12.1f} "
                f"{evaluations / (height * width):>13.1%} {cached / seconds:>7.2f}",
                flush=True,
            )
    print(
        f"faster: than the first line of the batch; a 2048^3 float32 matrix product ran at "
        f"{matrix_product_rate() / 1e9:.0f} GFLOP/s"
    )


def _time(model: GridModel, sampler: Sampler, batch: int, repetitions: int) -> tuple[float, float]:
    """Mean seconds and evaluations of a batch, over several batches of different images."""
    graph, weights = nnx.split(model)
    draw = jax.jit(
        lambda weights, noise, context: draw_grids(
            nnx.merge(graph, weights), Inputs(noise, context), sampler
        )
    )
    seconds, evaluations = 0.0, 0
    for repetition in range(repetitions + 1):
        first = repetition * batch
        noise = grid_noise(jax.random.key(0), first + jnp.arange(batch), model.grid)
        context = label_context(model, None, batch, first_image=first)
        start = time.perf_counter()
        drawn = jax.block_until_ready(draw(weights, noise, context))
        if repetition:  # the first batch includes the compilation
            seconds += time.perf_counter() - start
            evaluations += int(drawn.evaluations[0])
    return seconds / repetitions, evaluations / repetitions


if __name__ == "__main__":
    main()
