"""Processes that begin with the libraries imported: forks of one that has done nothing else.

Imports take over two CPU seconds, and most tests of the command line need no more than that. What
is started here is a process like any other, with its own arguments, variables, output and exit
status, and signals reach it. But it inherits what JAX reads while it is imported: `JAX_*` variables
must be those of the session, but for the folder of the compilation cache. A test of imports, or of
these variables, starts an interpreter.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[1]
CACHE = "JAX_COMPILATION_CACHE_DIR"


class WarmStart:
    """Starts Python scripts in forks of a process that has imported `pixelprior`."""

    def __init__(self, environment):
        self._environment = environment
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._started = []
        with theirs:
            self._parent = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )

    def start(self, script, *arguments, cwd, **variables):
        """Starts a script, with variables beside those of the session."""
        read = [name for name in variables if name.startswith("JAX_") and name != CACHE]
        assert not read, f"JAX has read {read} already"
        request = {
            "arguments": [str(script), *map(str, arguments)],
            "cwd": str(cwd),
            "environment": self._environment | variables,
        }
        process = WarmProcess(self._channel, request)
        self._started.append(process)
        return process

    def run(self, *arguments, **settings):
        """Runs a script to its end: its exit status, and its standard output and error."""
        process = self.start(*arguments, **settings)
        output, errors = process.communicate()
        return SimpleNamespace(status=process.returncode, output=output, errors=errors)

    def close(self):
        """Leaves no process behind."""
        for process in self._started:
            process.kill()
            process.communicate()
        self._channel.close()
        self._parent.wait()


class WarmProcess:
    """The part of `subprocess.Popen` that tests use."""

    def __init__(self, channel, request):
        self.returncode = self._told = None
        self._files = [tempfile.TemporaryFile("w+") for _ in range(2)]
        self._reports, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            descriptors = [theirs.fileno(), *(file.fileno() for file in self._files)]
            socket.send_fds(channel, [json.dumps(request).encode()], descriptors)
        self.pid = int(self._reports.recv(32))

    def poll(self):
        """The exit status, or None where it still runs."""
        try:
            return self.wait(timeout=0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout=None):
        """The exit status, when it has ended."""
        if self.returncode is None:
            self._reports.settimeout(timeout)
            try:
                self.returncode = int(self._reports.recv(32))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(str(self.pid), timeout) from None
            self._reports.close()
        return self.returncode

    def communicate(self, timeout=None):
        """Standard output and standard error, when it has ended."""
        self.wait(timeout)
        if self._told is None:
            self._told = tuple(map(_read_and_close, self._files))
        return self._told

    def send_signal(self, number):
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        """Asks it to end."""
        self.send_signal(signal.SIGTERM)


def _read_and_close(file):
    with file:
        file.seek(0)
        return file.read()


def _serve(channel):
    """Forks a process for each request, and returns its arguments in that process alone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    while True:
        message, descriptors, *_ = socket.recv_fds(channel, 2**20, 3)
        if not message:
            os._exit(0)
        if os.fork():
            for descriptor in descriptors:
                os.close(descriptor)
            continue
        # Here is a process that waits for the one that was asked for, and tells how it ended.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        channel.close()
        report, *outputs = descriptors
        pid = os.fork()
        if pid == 0:
            os.close(report)
            for target, output in enumerate(outputs, 1):
                os.dup2(output, target)
                os.close(output)
            return json.loads(message)
        for output in outputs:
            os.close(output)
        with socket.socket(fileno=report) as reports:
            reports.send(str(pid).encode())
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            try:
                reports.send(str(status).encode())
            except BrokenPipeError:
                pass  # the session has ended
        os._exit(0)


def _import_all():
    """Imports the package, but for what defines flags or needs more than is installed."""
    import importlib
    import pkgutil

    import PIL.Image

    import pixelprior

    apart = ("pixelprior.cli", "pixelprior.demo", "pixelprior.configs", "pixelprior.__main__")
    packages = [(pixelprior.__path__, "pixelprior.")]
    for path, prefix in packages:
        for module in pkgutil.iter_modules(path, prefix):
            if not module.name.startswith(apart):
                found = importlib.import_module(module.name)
                if module.ispkg:
                    packages.append((found.__path__, f"{module.name}."))
    # What functions import when they are called.
    for library in ("grain", "ml_collections.config_flags", "sklearn.datasets"):
        importlib.import_module(library)
    PIL.Image.init()


if __name__ == "__main__":
    import gc
    import runpy
    import warnings

    sys.path[0] = str(ROOT)
    from tests.garbage import collect_less_often

    collect_less_often()
    _import_all()
    gc.freeze()  # else each fork copies what its collector visits
    # JAX warns of forks since its computations have threads; here are none yet.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        request = _serve(socket.socket(fileno=int(sys.argv[1])))
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.modules["jax"].config.update("jax_compilation_cache_dir", os.environ.get(CACHE))
    os.chdir(request["cwd"])
    sys.argv = request["arguments"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
