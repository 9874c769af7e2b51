"""Fine-tuning against a fresh start: the validation NLL after equally many steps.

python -m benchmarks.fine_tune [--source=fashion_mnist] [--target=mnist] [--steps=200]

A small Gated PixelCNN is trained on binarised images of the source. A second one starts from its
weights, and a third one from fresh weights. Both are trained on binarised images of the target,
with the same batches.
"""

import argparse
from typing import Any

import pixelprior as pp

NETWORK = {"features": 16, "num_layers": 2, "head_features": 64}
SEED = 1
"""Seed of both trainings on the target: of batches, binarisation and fresh weights."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Compares fine-tuning with a fresh start.")
    parser.add_argument("--source", default="fashion_mnist", help="Data set of TFDS.")
    parser.add_argument("--target", default="mnist", help="Data set of TFDS.")
    parser.add_argument("--source_steps", type=int, default=400)
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    source = train(arguments.source, arguments.source_steps, seed=0)
    print(f"source: {arguments.source}, {arguments.source_steps} steps, {source.provenance}")
    fresh = losses(train(arguments.target, arguments.steps, seed=SEED))
    tuned = losses(train(arguments.target, arguments.steps, seed=SEED, init_from=source))
    print(f"{arguments.target}\n steps   fresh   tuned   ratio")
    for step, nats in fresh.items():
        print(f"{step:>6}  {nats:>6.2f}  {tuned[step]:>6.2f}  {tuned[step] / nats:>6.3f}")


def train(dataset: str, num_steps: int, *, seed: int, init_from: pp.Run | None = None) -> pp.Run:
    """Train the network on binarised images."""
    return pp.fit(
        "mnist",
        dataset=dataset,
        model=NETWORK,
        batch_size=32,
        num_steps=num_steps,
        warmup_steps=num_steps // 10,
        checkpoint_every=num_steps // 4,
        validation_fraction=0.02,
        seed=seed,
        init_from=init_from,
        progress=False,
    )


def losses(run: pp.Run) -> dict[int, Any]:
    """Validation NLL of a run in nats, by step."""
    return {r["step"]: r["validation_nats"] for r in run.metrics if "validation_nats" in r}


if __name__ == "__main__":
    main()
