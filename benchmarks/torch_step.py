"""The training steps of `benchmarks.our_step` in PyTorch, with the same weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.our_step import CLIP_NORM, LEARNING_RATE, VARIANCE, WEIGHT_DECAY
from benchmarks.torch_networks import TorchGatedPixelCNN, TorchVQVAE
from pixelprior.data import to_pixels


def torch_step(
    name: str, model: Any, images: Any, *, half: bool = False, compiled: bool = False
) -> Callable[[], float]:
    """Make the step of a model on its images; it runs on a GPU if PyTorch finds one.

    Args:
        name: "gated_pixel_cnn" or "vqvae".
        model: our model, whose weights are copied.
        images: symbols ``[b, h, w, 1]``.
        half: compute in bfloat16 where PyTorch's autocast does.
        compiled: use ``torch.compile``.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    symbols = np.asarray(images)
    if name == "vqvae":
        network: Any = TorchVQVAE(model)
        pixels = torch.from_numpy(np.asarray(to_pixels(symbols, model.grid.levels), np.float32))
        inputs: tuple[Any, ...] = (pixels.permute(0, 3, 1, 2).to(device), VARIANCE)
    else:
        network = TorchGatedPixelCNN(model)
        inputs = (torch.from_numpy(symbols[..., 0].astype(np.int64)).to(device),)
    network = network.to(device)
    value = torch.compile(network.loss) if compiled else network.loss

    def loss() -> torch.Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=half):
            return value(*inputs)

    step = their_step(network, loss)
    # The value of the loss is read on the host, so the step has ended when this returns.
    return step


def their_step(network: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], float]:
    """Make the training step of a PyTorch network, with our optimizer."""
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
        if value.is_cuda:
            torch.cuda.synchronize()
        return float(value.detach())

    return run
