"""Needs of large networks on many accelerators, from compiled shapes alone.

    python -m benchmarks.scaling [--devices 1 8 64] [--batch=64]

The CPU of this machine is divided into virtual devices. The training step is compiled for them, and
nothing is computed. Memory, operations and exchanged data are those of the compiled step. Images
per second follow from stated rates of an accelerator, and are an expectation, not a measurement.
"""

import argparse
import json
import os
import subprocess
import sys
from typing import Any

RATE, SHARE, BANDWIDTH = 312e12, 0.4, 300e9
"""Operations per second in bfloat16, the share that is reached, and bytes per second of a link."""

NETWORKS = ("pixel_cnn_pp", "pixel_snail", "transformer")
MESHES = ("data", "fsdp")


def main() -> None:
    """Print the table; each number of devices is a process of its own."""
    parser = argparse.ArgumentParser(description="Plans large trainings on many devices.")
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--batch", type=int, default=64, help="images on each device")
    parser.add_argument("--inside", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        name, mesh, batch = arguments.inside
        print(json.dumps(_plan(name, mesh, int(batch))))
        return
    print(
        f"{'network':<13} {'mesh':<5} {'devices':>8} {'parameters':>11} {'GFLOP/image':>12} "
        f"{'state GB':>9} {'exchanged MB':>13} {'images/s':>9}"
    )
    for name in arguments.networks:
        for devices in arguments.devices:
            for mesh in MESHES if devices > 1 else MESHES[:1]:
                print(_row(name, mesh, devices, arguments.batch), flush=True)
    print(
        f"images/s: expected at {SHARE:.0%} of {RATE / 1e12:.0f} TFLOP/s and {BANDWIDTH / 1e9:.0f} "
        "GB/s, without overlap"
    )


def _row(name: str, mesh: str, devices: int, on_each: int) -> str:
    """Plan in a new process, since JAX fixes its devices at the start."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    command = [sys.executable, "-m", "benchmarks.scaling", "--inside", name, mesh]
    ran = subprocess.run(
        [*command, str(on_each * devices)],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        check=True,
        capture_output=True,
        text=True,
    )
    plan = json.loads(ran.stdout.splitlines()[-1])
    exchanged = sum(plan["exchanged"].values())
    seconds = on_each * plan["flops_per_image"] / (RATE * SHARE) + exchanged / BANDWIDTH
    return (
        f"{name:<13} {mesh:<5} {devices:>8} {plan['parameters']:>11,} "
        f"{plan['flops_per_image'] / 1e9:>12.1f} {plan['state_bytes'] / 1e9:>9.2f} "
        f"{exchanged / 1e6:>13.0f} {on_each * devices / seconds:>9,.0f}"
    )


def _plan(name: str, mesh_name: str, batch: int) -> dict[str, Any]:
    """Compile the step of a network for the devices of this process."""
    import jax
    import jax.numpy as jnp
    from flax import nnx
    from jax.sharding import NamedSharding, PartitionSpec

    from pixelprior.system.devices import data_mesh, replicated
    from pixelprior.training.collectives import collective_bytes
    from pixelprior.training.flops import product_flops
    from pixelprior.training.layout import bytes_on_each_device, state_layout
    from pixelprior.training.optimizer import make_optimizer
    from pixelprior.training.step import (
        compile_step,
        count_parameters,
        init_state,
        make_train_step,
    )
    from pixelprior.training.tasks.pixels import pixel_loss

    mesh, model = data_mesh(), nnx.eval_shape(lambda: _network(name))
    graph, weights = nnx.split(model)
    optimizer, _ = make_optimizer(
        num_steps=10, learning_rate=1e-3, warmup_steps=1, weight_decay=0.01, clip_norm=1.0
    )
    shapes = jax.eval_shape(lambda weights: init_state(weights, optimizer), weights)
    layout = state_layout(shapes, mesh, fully_sharded=mesh_name == "fsdp")
    state = jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        shapes,
        layout,
    )
    split = NamedSharding(mesh, PartitionSpec(*mesh.axis_names))
    inputs = {
        name: jax.ShapeDtypeStruct(shape, jnp.int32, sharding=split)
        for name, shape in (("image", (batch, *model.grid.shape)), ("label", (batch,)))
    }
    step = make_train_step(
        graph,
        optimizer,
        pixel_loss,
        ema_decay=0.999,
        key=jax.random.key(0),
        sharding=(layout, replicated(mesh)),
    )
    compiled, _ = compile_step(step, state, inputs)
    return {
        "parameters": count_parameters(weights),
        "flops_per_image": product_flops(step, state, inputs) / batch,
        "state_bytes": bytes_on_each_device(state),
        "exchanged": collective_bytes(compiled.as_text()),
    }


def _network(name: str) -> Any:
    """Make a network in the size of its paper; the transformer is one of maps of codes."""
    from flax import nnx

    from pixelprior.grid import Grid
    from pixelprior.models import PixelCNNPP, PixelSNAIL, Transformer

    colour, rngs = Grid(32, 32, 3, 256), nnx.Rngs(0)
    if name == "pixel_cnn_pp":
        # Salimans et al. 2017, section 3.
        return PixelCNNPP(
            colour, features=160, num_blocks=5, head="logistic_mixture", remat=True, rngs=rngs
        )
    if name == "pixel_snail":
        # Chen et al. 2018, section 3.
        return PixelSNAIL(
            colour, features=256, num_layers=12, num_residuals=4, remat=True, rngs=rngs
        )
    codes = Grid(16, 16, 1, 1024)
    return Transformer(codes, features=768, num_layers=14, num_heads=12, remat=True, rngs=rngs)


if __name__ == "__main__":
    main()
