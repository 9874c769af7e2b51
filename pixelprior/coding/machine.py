"""Facts about a process that decide how its programs round."""

import importlib.metadata
import os
import re
from collections.abc import Mapping

import jax

from pixelprior.json_forms import Keys, Text

PACKAGES = ("pixelprior", "jax", "jaxlib")

_HARMLESS = re.compile(r"--xla_(dump_\w+|force_host_platform_device_count)\b")
"""Flags of XLA that do not change results."""

MACHINE = Keys({name: Text() for name in (*PACKAGES, "platform", "device", "flags", "precision")})
"""Form of the facts in a file."""


def this_machine() -> dict[str, str]:
    """Describe this process: versions, kind of device, flags of XLA, precision of products."""
    device = jax.devices()[0]
    flags = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if not _HARMLESS.match(flag)]
    settings = ("jax_disable_most_optimizations", "jax_enable_x64")
    flags += [setting for setting in settings if jax.config.values[setting]]
    return {
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": device.platform,
        "device": device.device_kind,
        "flags": " ".join(sorted(flags)),
        "precision": str(jax.config.values["jax_default_matmul_precision"] or "default"),
    }


def differences(there: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Name the facts that differ, with both values."""
    return [
        f"{name} ({there[name] or 'none'!r:.80} there, {here[name] or 'none'!r:.80} here)"
        for name in here
        if there[name] != here[name]
    ]
