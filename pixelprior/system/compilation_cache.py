"""Compiled programs, kept on disk from one process to the next."""

import hashlib
import os
import platform

import jax
import jaxlib

from pixelprior.system.cache_folder import cache_folder

MAX_BYTES = 2 * 10**9
"""When there is more, what has not been used for the longest time is deleted."""


def keep_compiled_programs() -> None:
    """Has JAX keep what it compiles, and look there first.

    In the folder for caches, see `cache_folder`.
    Where the user has told JAX something else, by ``JAX_COMPILATION_CACHE_DIR`` or
    ``JAX_ENABLE_COMPILATION_CACHE=false``, or that folder cannot be written, nothing changes.
    """
    settings = jax.config.values
    if settings["jax_compilation_cache_dir"] or not settings["jax_enable_compilation_cache"]:
        return
    folder = cache_folder("compiled") / fingerprint()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_compilation_cache_max_size", MAX_BYTES)


def fingerprint() -> str:
    """Of what a program was compiled by and for, beside what JAX itself asks of an entry.

    JAX compares the program, its options, the versions and the kind of device. But a home folder
    may be on several machines, and to JAX every CPU is the same.
    """
    about = [jax.__version__, jaxlib.__version__, platform.machine(), *_cpu_features()]
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]


def _cpu_features() -> list[str]:
    """As Linux tells them; elsewhere what Python knows of the processor."""
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                name, _, value = line.partition(":")
                # As x86 and as ARM call them.
                if name.strip() in ("flags", "Features"):
                    return sorted(value.split())
    except OSError:
        pass
    return [platform.processor()]
