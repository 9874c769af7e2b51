"""Versions and devices, which are recorded with results."""

import importlib.metadata

import jax

PACKAGES = ("pixelprior", "jax", "flax", "orbax-checkpoint")


def versions() -> dict[str, str]:
    """Return the version of each package that weights depend on; "unknown" if not installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def devices() -> str:
    """Describe the devices of all processes, such as "8 x TPU v4 (tpu)"."""
    first = jax.devices()[0]
    return f"{jax.device_count()} x {first.device_kind} ({first.platform})"
