"""Install pixelprior if it is missing, and say which device computes."""

import importlib.util
import os
import shutil
import subprocess
import sys

if importlib.util.find_spec("pixelprior") is None:
    # A name, a wheel, the folder of a clone or a git+https address.
    source = os.environ.get("PIXELPRIOR_INSTALL", "pixelprior")
    install = [sys.executable, "-m", "pip", "install", "-q"]
    subprocess.run([*install, source], check=True)
    if shutil.which("nvidia-smi"):
        # JAX needs its parts for NVIDIA's GPUs in the same version.
        subprocess.run([*install, "pixelprior[cuda]"], check=True)

import jax

import pixelprior as pp

device = jax.devices()[0]
found = "no GPU was found" if device.platform == "cpu" else device.device_kind
print(f"pixelprior {pp.__version__} computes on: {device.platform} ({found})")
