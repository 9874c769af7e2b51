"""Time from a new installation to a picture of samples: a new process with empty caches.

python -m benchmarks.first_picture [--model=mnist] [--num=64] [--repetitions=3]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import matrix_product_rate


def main() -> None:
    """Print the time of each repetition, and their median."""
    parser = argparse.ArgumentParser(description="Times the first picture of a bundled model.")
    parser.add_argument("--model", default="mnist")
    parser.add_argument("--num", type=int, default=64)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    seconds = [_time(arguments.model, arguments.num) for _ in range(arguments.repetitions)]
    print(f"{arguments.num} samples of {arguments.model}, {os.cpu_count()} CPU cores")
    print(", ".join(f"{one:.1f} s" for one in seconds), end="; ")
    print(f"median {statistics.median(seconds):.1f} s")
    print(f"a 2048^3 float32 product in the same run: {matrix_product_rate() / 1e9:.0f} GFLOP/s")


def _time(model: str, num: int) -> float:
    """Seconds of one process that starts, loads, compiles, draws and writes the picture."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"XDG_CACHE_HOME": f"{folder}/caches"}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        command = [sys.executable, "-m", "pixelprior", "sample", f"--workdir={model}"]
        out = Path(folder) / "samples.png"
        start = time.perf_counter()
        subprocess.run(
            [*command, f"--num={num}", f"--out={out}"],
            env=environment,
            cwd=folder,
            check=True,
            stderr=subprocess.DEVNULL,
        )
        assert out.is_file()
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
