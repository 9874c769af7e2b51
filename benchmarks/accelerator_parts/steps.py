"""Training steps by model, batch and type, beside PyTorch's where PyTorch is installed."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.accelerator_parts.size import Size, make
from benchmarks.machine import best_time
from benchmarks.our_step import OurStep, move_codebooks, vqvae_loss, vqvae_of
from pixelprior.grid import Grid
from pixelprior.training.flops import product_flops
from pixelprior.training.tasks.pixels import pixel_loss

NETWORKS = ("gated_pixel_cnn", "pixel_cnn_pp", "pixel_snail")
TYPES = ("float32", "bfloat16")


def steps(size: Size) -> None:
    """Print a row for each network, batch and type, in milliseconds."""
    print(
        f"{'network':<18} {'batch':>6} {'type':>9} {'ours':>9} {'TFLOP/s':>8} {'memory MB':>10} "
        f"{'PyTorch':>9} {'compiled':>9}"
    )
    networks = NETWORKS[:1] if size.shallow else NETWORKS
    for name in (*networks, "vqvae"):
        for batch in size.batches:
            for dtype in TYPES:
                # The tokenizer computes in float32 only.
                if name != "vqvae" or dtype == "float32":
                    print(_row(name, batch, dtype, size), flush=True)


def _row(name: str, batch: int, dtype: str, size: Size) -> str:
    model, loss, inputs, settings = _network(name, batch, dtype, size)
    step = OurStep(model, loss, inputs, **settings)
    jax.block_until_ready(step.run())
    seconds = best_time(step.run, 5)
    flops = product_flops(step.step, step.state, inputs)
    # PyTorch takes most of a minute to compile a step on a CPU.
    compiles = (False,) if size.shallow else (False, True)
    theirs = [_pytorch(name, model, inputs, dtype, compiled) for compiled in compiles]
    memory = f"{step.memory_bytes / 1e6:.0f}" if step.memory_bytes else "-"
    return (
        f"{name:<18} {batch:>6} {dtype:>9} {1e3 * seconds:>9.2f} {flops / seconds / 1e12:>8.2f} "
        f"{memory:>10} " + " ".join(f"{cell:>9}" for cell in theirs)
    )


def _network(
    name: str, batch: int, dtype: str, size: Size
) -> tuple[Any, Callable[..., Any], dict[str, Any], dict[str, Any]]:
    """Return the model, its loss, a batch and the settings of its step."""
    rng, shape = np.random.default_rng(0), (batch, size.side, size.side, 1)
    if name == "vqvae":
        images = jnp.asarray(rng.integers(0, 256, shape), jnp.int32)
        model = vqvae_of(Grid(size.side, size.side, 1, 256))
        return model, vqvae_loss, {"image": images}, {"after_step": move_codebooks}
    images = jnp.asarray(rng.integers(0, 2, shape), jnp.int32)
    model = make(name, Grid(size.side, size.side, 1, 2), size, dtype=dtype)
    return model, pixel_loss, {"image": images, "label": jnp.zeros(batch, jnp.int32)}, {}


def _pytorch(name: str, model: Any, inputs: dict[str, Any], dtype: str, compiled: bool) -> str:
    """Time the step of PyTorch in milliseconds; "-" without PyTorch or such a network there."""
    if name not in ("gated_pixel_cnn", "vqvae"):
        return "-"
    try:
        import torch
    except ImportError:
        return "-"
    from benchmarks.torch_step import torch_step

    try:
        step = torch_step(name, model, inputs["image"], half=dtype == "bfloat16", compiled=compiled)
        step()
        return f"{1e3 * best_time(step, 5):.2f}"
    except (RuntimeError, torch._dynamo.exc.TorchDynamoException) as error:
        # A machine without a C++ compiler has no compiled step.
        return type(error).__name__[:9]
