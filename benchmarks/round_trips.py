"""Check of compression: every model, head, type and batch size restores every symbol of its grids.

python -m benchmarks.round_trips [--models pixel_cnn ...] [--num=1000] [--batches 1 7 64]

The networks are small and have new weights. Half of the grids are samples. The others are noise,
which a model takes for unlikely.
"""

import argparse
import time
from typing import Any

import jax
import numpy as np

import pixelprior as pp
from pixelprior.coding.codec import Codec, DamagedStreamError
from pixelprior.configs.common import BASELINES, SMALL, network
from pixelprior.experiment.build import build_model
from pixelprior.grid import Grid

GRID = Grid(4, 6, 3, 32)
HEADS = ("softmax", "logistic_mixture")
TYPES = ("float32", "bfloat16")
# Small enough to compile in seconds. A setting that a model does not have is left out.
SIZES = {
    "features": 8,
    "num_layers": 2,
    "num_blocks": 1,
    "num_scales": 2,
    "num_residuals": 1,
    "num_heads": 2,
    "embedding_features": 4,
    "head_features": 8,
    "num_mixtures": 3,
    "output_features": 8,
}
NETWORKS = SMALL | BASELINES


def main() -> None:
    """Print a row for each model, head and type, and end with status 1 after any difference."""
    parser = argparse.ArgumentParser(description="Checks that compression restores every symbol.")
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--num", type=int, default=1000)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 7, 64])
    arguments = parser.parse_args()
    different = 0
    columns = "".join(f" batch {batch} |" for batch in arguments.batches)
    print(f"| model | head | type |{columns} seconds |")
    print("|---|---|---|" + "---:|" * (len(arguments.batches) + 1))
    for name in arguments.models:
        for head in HEADS:
            for dtype in TYPES:
                start = time.perf_counter()
                model = _model(name, head, dtype)
                grids = _grids(model, arguments.num)
                counts = [_differences(model, grids, batch) for batch in arguments.batches]
                different += sum(counts)
                cells = [name, head, dtype, *counts, f"{time.perf_counter() - start:.0f}"]
                print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)
    print(f"\n{different} of the grids in all rows differ from what was compressed")
    raise SystemExit(bool(different))


def _model(name: str, head: str, dtype: str) -> Any:
    settings = network(name, **NETWORKS[name])
    own = {key: value for key, value in SIZES.items() if key in settings}
    settings |= own | {"head": head, "dtype": dtype}
    return build_model(settings, GRID, num_classes=0, seed=0)


def _grids(model: Any, num: int) -> np.ndarray:
    """Samples of the model, then noise: ``[num, height, width, channels]``."""
    samples = np.asarray(pp.sample(model, jax.random.key(0), num // 2, method="cached"))
    size = (num - num // 2, *GRID.shape)
    noise = np.random.default_rng(0).integers(0, GRID.levels, size, np.int32)
    return np.concatenate([samples, noise])


def _differences(model: Any, grids: np.ndarray, batch: int) -> int:
    """Number of grids that differ after compression in batches of this size; all if unreadable."""
    codec = Codec(model, batch_size=batch)
    stream = codec.write([grids], None)
    try:
        (again,) = codec.read(stream, len(grids), None)
    except DamagedStreamError:
        return len(grids)
    return int((again != grids).any(axis=(1, 2, 3)).sum())


if __name__ == "__main__":
    main()
