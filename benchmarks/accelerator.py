"""Facts that only an accelerator can give, on any device, in one command.

    python -m benchmarks.accelerator [--small] [--deterministic] [--only laws steps]
        [--minutes=5] [--out=accelerator.png]

The parts are independent, and a failed part does not end the others. With ``--small``, networks
and batches are small enough for a CPU. With ``--deterministic``, products have the highest
precision, and all images are drawn in batches of one shape.
"""

import argparse
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import jax

from benchmarks.accelerator_parts.agreement import agreement
from benchmarks.accelerator_parts.laws import laws
from benchmarks.accelerator_parts.products import products
from benchmarks.accelerator_parts.samplers import samplers
from benchmarks.accelerator_parts.size import SMALL, WHOLE
from benchmarks.accelerator_parts.steps import steps
from benchmarks.accelerator_parts.training import train_for


def main() -> None:
    """Run the parts in turn, and end with status 1 if one has failed."""
    parser = argparse.ArgumentParser(description="Measures training and sampling on a device.")
    parser.add_argument("--small", action="store_true", help="sizes for a CPU")
    parser.add_argument("--deterministic", action="store_true", help="one precision, one batch")
    parser.add_argument("--only", nargs="+", default=[], help="names of parts; all by default")
    parser.add_argument("--minutes", type=float, default=5.0, help="minutes of training")
    parser.add_argument("--out", type=Path, default=Path("accelerator.png"), help="the samples")
    arguments = parser.parse_args()
    size = SMALL if arguments.small else WHOLE
    parts: dict[str, Callable[[], None]] = {
        "products": lambda: products(size),
        "steps": lambda: steps(size),
        "samplers": lambda: samplers(size),
        "laws": lambda: laws(size),
        "agreement": lambda: agreement(size, deterministic=arguments.deterministic),
        "training": lambda: train_for(size, arguments.minutes, arguments.out),
    }
    unknown = set(arguments.only) - set(parts)
    if unknown:
        parser.error(f"--only takes some of {', '.join(parts)}, got {', '.join(sorted(unknown))}")
    if arguments.deterministic:
        jax.config.update("jax_default_matmul_precision", "highest")
    device = jax.devices()[0]
    print(f"{jax.device_count()} x {device.device_kind}, jax {jax.__version__}")
    failed = [name for name in arguments.only or parts if not _tried(name, parts[name])]
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def _tried(name: str, part: Callable[[], None]) -> bool:
    """Run a part, and print its time; return False if it raised an exception."""
    print(f"\n[{name}]", flush=True)
    start = time.perf_counter()
    try:
        part()
    except Exception:
        traceback.print_exc()
        return False
    finally:
        print(f"[{name}: {time.perf_counter() - start:.0f} s]", flush=True)
    return True


if __name__ == "__main__":
    main()
