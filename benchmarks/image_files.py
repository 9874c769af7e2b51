"""Costs of opening a folder of image files: checking all files once, and finding that later.

python -m benchmarks.image_files [--num=10000] [--side=28]
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.machine import matrix_product_rate
from pixelprior.data import open_dataset

SETTLED = 2.5  # seconds after which the times of new files count as final


def main() -> None:
    """Print the table: each row opens a folder in a process of its own."""
    parser = argparse.ArgumentParser(description="Times the opening of a folder of image files.")
    parser.add_argument("--num", type=int, default=10_000)
    parser.add_argument("--side", type=int, default=28)
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.open:
        _open(arguments.open)
        return
    print(f"grey PNG files of {arguments.side}x{arguments.side}")
    print(f"{'files':>8} {'opening':>8} {'seconds':>8} {'peak MB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for num in (arguments.num // 10, arguments.num):
            images = Path(folder) / str(num)
            _write(images, num, arguments.side)
            time.sleep(SETTLED)
            for opening in ("first", "second"):
                seconds, megabytes = _in_own_process(images, Path(folder) / "cache")
                print(f"{num:>8,} {opening:>8} {seconds:>8.2f} {megabytes:>8.0f}")
    print(f"a 2048^3 float32 product in the same run: {matrix_product_rate() / 1e9:.0f} GFLOP/s")


def _write(folder: Path, num: int, side: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(num):
        pixels = rng.integers(0, 256, (side, side), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def _in_own_process(images: Path, cache: Path) -> tuple[float, float]:
    """Return the seconds and the peak memory in MB of opening a folder."""
    command = [sys.executable, "-m", "benchmarks.image_files", f"--open={images}"]
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    seconds, megabytes = map(float, output.stdout.split())
    return seconds, megabytes


def _open(folder: Path) -> None:
    start = time.perf_counter()
    open_dataset(f"folder:{folder}")
    seconds = time.perf_counter() - start
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
