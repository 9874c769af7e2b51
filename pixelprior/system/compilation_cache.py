"""Compiled programs, kept on disk for later processes."""

import hashlib
import os
import platform

import jax
import jaxlib

from pixelprior.system.cache_folder import cache_folder
from pixelprior.system.cpu import cpu_fact

MAX_BYTES = 2 * 10**9
"""Largest size of the cache; beyond it, the least recently used programs are deleted."""


def keep_compiled_programs() -> None:
    """Make JAX keep compiled programs in the cache folder and reuse them; see `cache_folder`.

    Nothing changes if the user has set ``JAX_COMPILATION_CACHE_DIR`` or
    ``JAX_ENABLE_COMPILATION_CACHE=false``, or if the folder cannot be written.
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
    """Hash of the versions and the CPU, in addition to the checks of JAX.

    JAX itself compares the program, its options, the versions and the kind of device. But machines
    can share a home folder, and JAX does not distinguish CPUs.
    """
    about = [jax.__version__, jaxlib.__version__, platform.machine(), *_cpu_features()]
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]


def _cpu_features() -> list[str]:
    """Features of the CPU on Linux; elsewhere the description from Python."""
    # These are the names on x86 and on ARM.
    return sorted(cpu_fact("flags", "Features").split()) or [platform.processor()]
