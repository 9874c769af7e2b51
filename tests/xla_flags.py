"""Flags of XLA for tests: programs that compile in less time, and several devices of one CPU."""

import os
from importlib.metadata import version

# The newer code for fusions takes twice as long to compile. Later versions have no other.
SIMPLE_FUSIONS = (
    ("--xla_cpu_use_fusion_emitters=false",) if version("jaxlib").startswith("0.10.") else ()
)
COMPILE_FAST = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    *SIMPLE_FUSIONS,
)


def devices(number):
    """The flag that makes so many devices of a CPU."""
    return f"--xla_force_host_platform_device_count={number}"


def xla_flags(*flags):
    """The variable of the environment, with these flags after those of the session."""
    return {"XLA_FLAGS": " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip()}
