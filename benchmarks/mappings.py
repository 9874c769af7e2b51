"""Memory mappings and seconds of many trainings in one process, as in a search for settings.

python -m benchmarks.mappings [--trainings 10] [--vary width learning_rate nothing] [--sample]

Linux gives a process 65,530 mappings. A program that is compiled for a CPU takes some of them.
"""

import argparse
import time
from typing import Any

import jax
import numpy as np

import pixelprior as pp
from pixelprior.system.programs import num_mappings


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Count memory mappings over many trainings.")
    parser.add_argument("--trainings", type=int, default=10, help="Number of trainings of each.")
    kinds = ("nothing", "learning_rate", "width")
    parser.add_argument("--vary", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--sample", action="store_true", help="Sample and evaluate each run too.")
    arguments = parser.parse_args()
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    print(f"{'varied':<14} {'training':>8} {'mappings':>9} {'more':>6} {'seconds':>8}")
    for varied in arguments.vary:
        before = num_mappings()
        for number in range(arguments.trainings):
            start = time.perf_counter()
            run = pp.fit("digits", images, progress=False, **_settings(varied, number))
            if arguments.sample:
                pp.sample(run.model, jax.random.key(0), 4)
                pp.evaluate(run, baselines=False)
            count, seconds = num_mappings(), time.perf_counter() - start
            more = count - before
            print(f"{varied:<14} {number + 1:>8} {count:>9} {more:>6} {seconds:>8.1f}", flush=True)
            before = count


def _settings(varied: str, number: int) -> dict[str, Any]:
    width = 4 + 2 * number if varied == "width" else 4
    return {
        "num_steps": 4,
        "batch_size": 8,
        "levels": 4,
        "learning_rate": 0.001 * (1 + number if varied == "learning_rate" else 1),
        "model": {"num_layers": 1, "features": width, "embedding_features": 4, "head_features": 8},
    }


if __name__ == "__main__":
    main()
