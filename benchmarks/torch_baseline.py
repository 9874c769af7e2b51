"""Our training step compared with the same network in plain PyTorch.

    pip install -e ".[bench]"
    python -m benchmarks.torch_baseline [--rounds=5]

The weights, the loss, the optimizer (AdamW after clipping) and the batch are the same. Ours also
averages the weights. The two take turns, so that changes in the speed of the machine affect both
equally.
"""

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from benchmarks.machine import best_time, matrix_product_rate
from benchmarks.torch_networks import TorchGatedPixelCNN, TorchVQVAE
from pixelprior.data import to_pixels
from pixelprior.experiment import build_tokenizer
from pixelprior.experiment.recipes import load_recipe
from pixelprior.grid import Grid
from pixelprior.models import GatedPixelCNN
from pixelprior.system.devices import data_mesh
from pixelprior.tokenizers.quantizer import merge_statistics
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.parts import choose_parts
from pixelprior.training.step import compile_step, init_state, make_train_step
from pixelprior.training.task import Loss
from pixelprior.training.tasks.pixels import pixel_loss

LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 1e-3, 1e-2, 1.0
VARIANCE = 0.1


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Times training steps against PyTorch's.")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{'network':<46} {'PyTorch s':>10} {'ours s':>8} {'faster':>7} {'product':>8}")
    for name, make in (
        ("gated_pixel_cnn, 10x128, binary 28x28, batch 16", gated_pixel_cnn),
        ("vqvae of fashion_mnist:vqvae, batch 64", vqvae),
    ):
        ours, theirs = make()
        ours()
        theirs()
        seconds = [(best_time(ours, 1), best_time(theirs, 1)) for _ in range(arguments.rounds)]
        fast, slow = (min(times) for times in zip(*seconds, strict=True))
        print(
            f"{name:<46} {slow:>10.3f} {fast:>8.3f} {slow / fast:>7.2f} "
            f"{matrix_product_rate() / 1e9:>8.0f}",
            flush=True,
        )
    print("product: a 2048^3 float32 matrix product in the same run, GFLOP/s")


def gated_pixel_cnn() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Make our training step and that of PyTorch."""
    model = GatedPixelCNN(Grid(28, 28, 1, 2), features=128, num_layers=10, rngs=nnx.Rngs(0))
    image = np.random.default_rng(0).integers(0, 2, (16, 28, 28, 1))
    network = TorchGatedPixelCNN(model)
    symbols = torch.from_numpy(image[..., 0])
    batch = {"image": jnp.asarray(image, jnp.int32), "label": jnp.zeros(16, jnp.int32)}
    return our_step(model, pixel_loss, batch), their_step(network, lambda: network.loss(symbols))


def vqvae() -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Make our training step and that of PyTorch."""
    config = load_recipe("fashion_mnist:vqvae")
    grid = Grid(28, 28, 1, 256)
    model = build_tokenizer(config["tokenizer"], config["quantizer"], grid, seed=0)
    image = np.random.default_rng(0).integers(0, 256, (config["batch_size"], *grid.shape))
    network = TorchVQVAE(model)
    pixels = torch.from_numpy(np.asarray(to_pixels(image, 256), np.float32)).permute(0, 3, 1, 2)
    batch = {"image": jnp.asarray(image, jnp.int32)}
    ours = our_step(model, vqvae_loss, batch, after_step=move_codebooks)
    return ours, their_step(network, lambda: network.loss(pixels, VARIANCE))


def vqvae_loss(model: Any, batch: Any, keys: jax.Array) -> Loss:
    """Loss of the task of a tokenizer."""
    losses = model.loss(batch["image"], variance=VARIANCE, key=keys)
    return Loss(losses.total, {"loss": losses.total}, losses.statistics)


def move_codebooks(model: Any, statistics: Any) -> None:
    """Update the codebooks as in the task of a tokenizer."""
    model.update_codebooks([merge_statistics(level) for level in statistics])


def our_step(model: Any, loss: Any, batch: Any, **settings: Any) -> Callable[[], Any]:
    """Make a training step with `pixelprior.training`."""
    optimizer, _ = make_optimizer(
        schedule="constant",
        num_steps=1,
        learning_rate=LEARNING_RATE,
        warmup_steps=0,
        weight_decay=WEIGHT_DECAY,
        clip_norm=CLIP_NORM,
    )
    graph, weights = nnx.split(model)
    # Copy the weights, because the step donates its state and the caller keeps the model.
    state = init_state(jax.tree.map(jnp.copy, weights), optimizer)
    step = make_train_step(
        graph,
        optimizer,
        loss,
        ema_decay=0.999,
        key=jax.random.key(0),
        accumulate_steps=choose_parts(model, loss, batch, data_mesh()),
        **settings,
    )
    compiled, _ = compile_step(step, state, batch)

    def run() -> Any:
        nonlocal state
        state, metrics = compiled(state, batch)
        return state, metrics

    return run


def their_step(network: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], Any]:
    """Make the same training step in PyTorch."""
    decayed = [p for name, p in network.named_parameters() if not name.endswith("bias")]
    biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
    optimizer = torch.optim.AdamW(
        [{"params": decayed}, {"params": biases, "weight_decay": 0.0}],
        lr=LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
    )

    def run() -> float:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()
        return float(value.detach())

    return run


if __name__ == "__main__":
    main()
