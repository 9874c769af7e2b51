"""How programs of tests are compiled: in less time, or as users compile them.

Tests are about behaviour. Their programs are small and compiling is most of their time, so they
compile in a quarter of the time to slower programs. ``PIXELPRIOR_TESTS_OPTIMIZE=1`` compiles as
users do: `.ci/run` runs the laws so too, since they would show an optimization that is wrong.
"""

import os
from importlib.metadata import version

OPTIMIZE = "PIXELPRIOR_TESTS_OPTIMIZE"
# The newer code for fusions takes twice as long to compile. Later versions have no other.
SIMPLE_FUSIONS = (
    ("--xla_cpu_use_fusion_emitters=false",) if version("jaxlib").startswith("0.10.") else ()
)
# Small programs gain nothing from being split into parts that are compiled side by side.
LESS_TIME = (*SIMPLE_FUSIONS, "--xla_cpu_parallel_codegen_split_count=1")
LESS_OPTIMIZED = "JAX_DISABLE_MOST_OPTIMIZATIONS"


def compile_in_less_time():
    """Set the environment of this process and of those that it starts, before JAX is imported."""
    if LESS_OPTIMIZED not in os.environ and OPTIMIZE not in os.environ:
        os.environ[LESS_OPTIMIZED] = "1"
        os.environ |= xla_flags(*LESS_TIME)


def as_users_compile():
    """The environment of a process that does not compile in less time."""
    environment = {key: value for key, value in os.environ.items() if key != LESS_OPTIMIZED}
    flags = environment.get("XLA_FLAGS", "").split()
    return environment | {"XLA_FLAGS": " ".join(f for f in flags if f not in LESS_TIME)}


def devices(number):
    """The flag that makes so many devices of a CPU."""
    return f"--xla_force_host_platform_device_count={number}"


def xla_flags(*flags):
    """The variable of the environment, with these flags after those of the session."""
    return {"XLA_FLAGS": " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip()}
