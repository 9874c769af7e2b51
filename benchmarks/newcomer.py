"""Path of a newcomer, timed: from a new environment to a first picture, and to an own model.

    python -m benchmarks.newcomer [--source=.]

The environment, the folder and the cache of compiled programs are new. The packages come from pip's
own cache, if a run before has filled it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.machine import matrix_product_rate


def main() -> None:
    """Print the time of each step, and the sum so far."""
    parser = argparse.ArgumentParser(description="Times the steps of a newcomer.")
    parser.add_argument("--source", default=".", help="The folder or wheel to install.")
    source = Path(parser.parse_args().source).resolve()
    constraints = Path(__file__).parents[1] / "constraints.txt"
    with tempfile.TemporaryDirectory() as folder:
        python, pixelprior = (f"{folder}/new/bin/{name}" for name in ("python", "pixelprior"))
        steps: dict[str, list[Sequence[str]]] = {
            "environment and installation": [
                (sys.executable, "-m", "venv", "new"),
                (python, "-m", "pip", "install", "-q", "-c", str(constraints), str(source)),
            ],
            "samples of a bundled model": [
                (pixelprior, "sample", "--workdir=mnist", "--out=mnist.png")
            ],
            "training of an own model": [
                (pixelprior, "train", "--config=digits:class_conditional", "--workdir=runs/digits")
            ],
            "samples of the own model": [
                (pixelprior, "sample", "--workdir=runs/digits", "--out=digits.png")
            ],
        }
        print(f"{os.cpu_count()} CPU cores")
        print(f"{'step':<30} {'seconds':>8} {'so far':>8}")
        environment = dict(os.environ)
        total = 0.0
        for name, commands in steps.items():
            seconds = sum(_time(command, folder, environment) for command in commands)
            total += seconds
            print(f"{name:<30} {seconds:>8.1f} {total:>8.1f}", flush=True)
            # After the installation, which may use pip's cache.
            environment["XDG_CACHE_HOME"] = f"{folder}/caches"
            environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    print(f"a 2048^3 float32 product in the same run: {matrix_product_rate() / 1e9:.0f} GFLOP/s")


def _time(command: Sequence[str], folder: str, environment: Mapping[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
