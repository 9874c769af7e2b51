"""Open a page in the browser with samples of all runs and of the bundled models.

pixelprior demo
pixelprior demo --runs=runs --port=8502
"""

import importlib.util
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

import pixelprior
from pixelprior.cli import app
from pixelprior.cli.flags import Flags
from pixelprior.cli.help import FlagGroups
from pixelprior.errors import InputError

FLAGS = Flags()

_RUNS = FLAGS.path("runs", "runs", "Folder of the runs to show.")
_DATA = FLAGS.path("data", None, "Folder or .npz file of the test images, if it has moved.")
_DATA_DIR = FLAGS.path("data_dir", None, "Folder of TensorFlow Datasets, if it has moved.")
_PORT = FLAGS.integer("port", 8501, "Port of the page.")
_ADDRESS = FLAGS.string(
    "address", "localhost", "Address that the page listens on. localhost is this machine alone."
)

FLAG_GROUPS: FlagGroups = {
    "The runs": {"runs": "runs", "data": "/data/faces", "data_dir": "/data/tensorflow_datasets"},
    "The page": {"port": "8502", "address": "0.0.0.0"},
}

SETTINGS = {
    # The first start would otherwise ask for an address of the user in the terminal.
    "server.showEmailPrompt": "false",
    "browser.gatherUsageStats": "false",
    # In megabytes, as `pixelprior.data.pictures.upload` allows.
    "server.maxUploadSize": "5",
    # Without the button that deploys the page.
    "client.toolbarMode": "viewer",
}
"""Settings of Streamlit."""


def main() -> NoReturn:
    """Replace this process by the server of the page.

    Raises:
        InputError: if Streamlit is not installed, or a value is not valid.
    """
    if not 1 <= _PORT.value <= 65535:
        raise InputError(f"--port must be from 1 to 65535, got {_PORT.value}")
    if not _ADDRESS.value:
        raise InputError("--address is empty; leave it out for this machine alone")
    try:
        socket.getaddrinfo(_ADDRESS.value, _PORT.value)
        Path.cwd()
    except socket.gaierror as error:
        raise InputError(f"--address={_ADDRESS.value} is not known: {error.strerror}") from error
    except FileNotFoundError as error:
        raise InputError("the working folder was deleted; change to another one") from error
    if importlib.util.find_spec("streamlit") is None:
        raise InputError('the demo needs Streamlit; install it: pip install "pixelprior[demo]"')
    page = Path(pixelprior.__file__).parent / "demo" / "__main__.py"
    settings = SETTINGS | {"server.address": _ADDRESS.value, "server.port": str(_PORT.value)}
    places = {"runs": _RUNS.value, "data": _DATA.value, "data_dir": _DATA_DIR.value}
    command = [sys.executable, "-m", "streamlit", "run", str(page)]
    command += [f"--{name}={value}" for name, value in settings.items()]
    command += ["--", *(f"--{name}={value}" for name, value in places.items() if value)]
    # Signals then reach the server itself.
    os.execv(sys.executable, command)


def run() -> NoReturn:
    """Run the command line and exit the process."""
    app.run(main, FLAGS, FLAG_GROUPS, uses_jax=False)
