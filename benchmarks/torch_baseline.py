"""Our training step compared with the same network in plain PyTorch.

    pip install -e ".[bench]"
    python -m benchmarks.torch_baseline [--rounds=5]

The weights, the loss, the optimizer (AdamW after clipping) and the batch are the same. Ours also
averages the weights. The two take turns, so that changes in the speed of the machine affect both
equally. The column ``parts`` is the number of parts in which our gradient is computed.
"""

import argparse
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks.machine import best_time, matrix_product_rate
from benchmarks.our_step import OurStep, move_codebooks, vqvae_loss, vqvae_of
from benchmarks.torch_step import torch_step
from pixelprior.experiment.recipes import load_recipe
from pixelprior.grid import Grid
from pixelprior.models import GatedPixelCNN
from pixelprior.training.tasks.pixels import pixel_loss


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Times training steps against PyTorch's.")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(
        f"{'network':<46} {'PyTorch s':>10} {'ours s':>8} {'faster':>7} {'parts':>6} {'product':>8}"
    )
    for name, make in (
        ("gated_pixel_cnn, 10x128, binary 28x28, batch 16", gated_pixel_cnn),
        ("vqvae of fashion_mnist:vqvae, batch 64", vqvae),
    ):
        ours, theirs = make()
        ours.run()
        theirs()
        seconds = [(best_time(ours.run, 1), best_time(theirs, 1)) for _ in range(arguments.rounds)]
        fast, slow = (min(times) for times in zip(*seconds, strict=True))
        print(
            f"{name:<46} {slow:>10.3f} {fast:>8.3f} {slow / fast:>7.2f} {ours.parts:>6} "
            f"{matrix_product_rate() / 1e9:>8.0f}",
            flush=True,
        )
    print("product: a 2048^3 float32 matrix product in the same run, GFLOP/s")


def gated_pixel_cnn() -> tuple[OurStep, Callable[[], Any]]:
    """Make our training step and that of PyTorch."""
    model = GatedPixelCNN(Grid(28, 28, 1, 2), features=128, num_layers=10, rngs=nnx.Rngs(0))
    image = np.random.default_rng(0).integers(0, 2, (16, 28, 28, 1))
    batch = {"image": jnp.asarray(image, jnp.int32), "label": jnp.zeros(16, jnp.int32)}
    return OurStep(model, pixel_loss, batch), torch_step("gated_pixel_cnn", model, image)


def vqvae() -> tuple[OurStep, Callable[[], Any]]:
    """Make our training step and that of PyTorch."""
    grid = Grid(28, 28, 1, 256)
    model = vqvae_of(grid)
    num = load_recipe("fashion_mnist:vqvae")["batch_size"]
    image = np.random.default_rng(0).integers(0, 256, (num, *grid.shape))
    batch = {"image": jnp.asarray(image, jnp.int32)}
    ours = OurStep(model, vqvae_loss, batch, after_step=move_codebooks)
    return ours, torch_step("vqvae", model, image)


if __name__ == "__main__":
    main()
