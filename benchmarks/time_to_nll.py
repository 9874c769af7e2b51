"""Time until our training reaches the final test NLL of the same training in PyTorch.

    pip install -e ".[bench]"
    python -m benchmarks.time_to_nll [--minutes=15]

Both train a Gated PixelCNN on dynamically binarised MNIST. The initial weights, the order of the
batches, the learning rates and the clipping are the same. PyTorch trains with AdamW. Ours trains
with AdamW, and a second time with Muon, which some of our recipes use.

The trainings take turns, each on all cores, so that changes in the speed of the machine affect all
of them equally. The clock stops while the test split is measured. Ours is measured with averaged
weights, which our runs use for evaluation and sampling. PyTorch has no averaged weights.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from benchmarks.machine import matrix_product_rate
from benchmarks.torch_networks import TorchGatedPixelCNN
from pixelprior.data import Symbols, evaluation_batches, open_dataset, training_batches
from pixelprior.grid import Grid
from pixelprior.models import GatedPixelCNN
from pixelprior.system.devices import data_mesh
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.parts import choose_parts
from pixelprior.training.step import compile_step, init_state, make_train_step
from pixelprior.training.tasks.pixels import pixel_loss

FEATURES, NUM_LAYERS = 48, 8
BATCH, LEARNING_RATE, WARMUP, WEIGHT_DECAY, CLIP_NORM = 16, 3e-3, 100, 1e-4, 1.0
EMA_DECAY = 0.998
MEASURED = 1000  # number of test images for the curves; their ends use all test images

TRAININGS = ("PyTorch", "ours", "ours with Muon")


class Point(NamedTuple):
    """Number of steps, seconds of training, and the test NLL in nats after them."""

    steps: int
    seconds: float
    nats: float


def main() -> None:
    """Print the curves, and the time when ours reach the final NLL of PyTorch."""
    parser = argparse.ArgumentParser(description="Trains against the clock.")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument(
        "--measure_every", type=float, default=45, help="Seconds of training between measurements."
    )
    parser.add_argument("--only", choices=TRAININGS, help="Run one training alone.")
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    if arguments.only is not None:
        # This is a child process. The other half of this function reads its lines.
        sys.stdin.readline()
        for point in train(arguments.only, seconds, arguments.measure_every):
            print(json.dumps(point), flush=True)
            sys.stdin.readline()
        return
    print(f"a 2048^3 product ran at {matrix_product_rate() / 1e9:.0f} GFLOP/s on all cores before")
    children = {name: _start(name) for name in TRAININGS}
    curves: dict[str, list[Point]] = {name: [] for name in TRAININGS}
    while children:
        for name, child in list(children.items()):
            assert child.stdin is not None and child.stdout is not None
            print("your turn", file=child.stdin, flush=True)
            line = child.stdout.readline()
            if line:
                curves[name].append(Point(*json.loads(line)))
                print(name, curves[name][-1], flush=True)
                continue
            if child.wait():
                sys.exit(child.returncode)  # the child has printed the reason
            del children[name]
    # Compare points of the curves, which use the same images. The last point uses all images.
    goal = curves["PyTorch"][-2].nats
    for name in TRAININGS[1:]:
        reached = [point.seconds for point in curves[name][:-1] if point.nats <= goal]
        when = f"after {reached[0]:.0f} s of {seconds:.0f}" if reached else "never"
        print(f"{name} reaches {goal:.2f} nats {when}")


def _start(name: str) -> subprocess.Popen[str]:
    """Start a process that trains until its next point whenever it receives a line."""
    command = [sys.executable, "-m", "benchmarks.time_to_nll", f"--only={name}", *sys.argv[1:]]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def train(name: str, seconds: float, every: float) -> Iterator[Point]:
    """Train for ``seconds``, and yield the curve. Its last point uses the whole test split."""
    dataset, symbols = open_dataset("mnist", validation_fraction=0.1), Symbols(2, "dynamic")
    test = np.concatenate(
        [
            batch["image"][batch["mask"]]
            for batch in evaluation_batches(dataset.splits["test"], symbols, batch_size=500)
        ]
    )
    # All trainings use the same batches.
    batches = training_batches(dataset.splits["train"], symbols, batch_size=BATCH, seed=0)
    model = GatedPixelCNN(
        Grid(28, 28, 1, 2),
        features=FEATURES,
        num_layers=NUM_LAYERS,
        embedding_features=4,
        head_features=2 * FEATURES,
        rngs=nnx.Rngs(0),
    )
    trainer: TheirTraining | OurTraining
    if name == "PyTorch":
        trainer = TheirTraining(model)
    else:
        trainer = OurTraining(model, "muon" if name == "ours with Muon" else "adamw")
    trainer.step(next(batches)["image"])  # not on the clock: it compiles and loads
    steps, clock, due = 1, 0.0, every
    while clock < seconds:
        begun = time.perf_counter()
        trainer.step(next(batches)["image"])
        clock += time.perf_counter() - begun
        steps += 1
        if clock >= due or clock >= seconds:
            due += every
            yield Point(steps, clock, trainer.nats(test[:MEASURED]))
    yield Point(steps, clock, trainer.nats(test))


class TheirTraining:
    """Training as a PyTorch user would write it."""

    def __init__(self, model: GatedPixelCNN):
        self._network = TorchGatedPixelCNN(model)
        named = list(self._network.named_parameters())
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [p for name, p in named if not name.endswith("bias")]},
                {"params": [p for name, p in named if name.endswith("bias")], "weight_decay": 0.0},
            ],
            lr=LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: min(1.0, step / WARMUP)
        )

    def step(self, image: np.ndarray) -> None:
        """Take one step."""
        self._optimizer.zero_grad()
        self._network.loss(torch.from_numpy(image[..., 0]).long()).backward()
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), CLIP_NORM)
        self._optimizer.step()
        self._schedule.step()

    def nats(self, image: np.ndarray) -> float:
        """Mean NLL of images in nats, with the current weights."""
        with torch.no_grad():
            bits = [
                float(self._network.loss(torch.from_numpy(part[..., 0]).long()))
                for part in np.split(image, len(image) // 100)
            ]
        return float(np.mean(bits) * 784 * np.log(2.0))


class OurTraining:
    """Training as in ``train.py``."""

    def __init__(self, model: GatedPixelCNN, optimizer_name: str):
        optimizer, _ = make_optimizer(
            optimizer=optimizer_name,
            schedule="constant",
            num_steps=10**6,
            learning_rate=LEARNING_RATE,
            warmup_steps=WARMUP,
            weight_decay=WEIGHT_DECAY,
            clip_norm=CLIP_NORM,
        )
        graph, weights = nnx.split(model)
        self._state = init_state(jax.tree.map(jnp.copy, weights), optimizer)
        batch = self._batch(np.zeros((BATCH, 28, 28, 1), np.int32))
        step = make_train_step(
            graph,
            optimizer,
            pixel_loss,
            ema_decay=EMA_DECAY,
            key=jax.random.key(0),
            accumulate_steps=choose_parts(model, pixel_loss, batch, data_mesh()),
        )
        self._step, _ = compile_step(step, self._state, batch)
        self._log_prob = jax.jit(lambda weights, x: nnx.merge(graph, weights).log_prob(x).mean())

    def step(self, image: np.ndarray) -> None:
        """Take one step."""
        self._state, metrics = self._step(self._state, self._batch(image))
        jax.block_until_ready(metrics)

    def nats(self, image: np.ndarray) -> float:
        """Mean NLL of images in nats, with the averaged weights."""
        parts = np.split(image, len(image) // 100)
        return -float(np.mean([self._log_prob(self._state.averaged, part) for part in parts]))

    @staticmethod
    def _batch(image: np.ndarray) -> dict[str, Any]:
        return {"image": jnp.asarray(image), "label": jnp.zeros(BATCH, jnp.int32)}


if __name__ == "__main__":
    main()
