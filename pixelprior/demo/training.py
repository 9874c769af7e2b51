"""Training digits from the page, if that run is missing or unfinished."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, NamedTuple

import streamlit as st

import pixelprior as pp
from pixelprior.figures.kept_png import kept_png
from pixelprior.training.metrics import read_metrics
from pixelprior.training.run_folder import RunFolder

NAME = "digits"


class _Training(NamedTuple):
    """Training in its own process, started from a page. It continues when the page is closed."""

    process: subprocess.Popen
    said: IO[str]
    started: float


@st.cache_resource
def _trainings() -> dict[Path, _Training]:
    """Trainings of this server by run folder, shared by all users."""
    return {}


def offer_training(root: Path) -> None:
    """Show a button that trains digits, or the progress if a training is running."""
    path = root / NAME
    training = _trainings().get(path)
    if training is not None and training.process.poll() is None:
        _watch(path, training.started)
        return
    if training is not None and training.process.returncode not in (0, 143):
        training.said.seek(0)
        lines = training.said.read().strip().splitlines() or ["no reason given"]
        st.error(f"Training has failed: {lines[-1]}")
    try:
        if (path / "config.json").exists() and not _unfinished(path):
            return
    except pp.InputError as error:
        # The other runs can still be opened.
        st.error(str(error))
        return
    with st.expander("Train a model"):
        st.write(
            "Train a small model on 1,797 handwritten digits. The data is included. Training takes "
            f"about a minute on two CPU cores. It writes to `{root.name}/{NAME}`. A stopped "
            "training can be resumed."
        )
        pressed = st.button("Train digits")
    if pressed:
        said = tempfile.TemporaryFile("w+")
        command = [sys.executable, "-m", "pixelprior", "train"]
        command += [f"--config={NAME}", f"--workdir={path}"]
        _trainings()[path] = _Training(
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said),
            said,
            time.monotonic(),
        )
        st.rerun()


@st.fragment(run_every=1.0)
def _watch(path: Path, started: float) -> None:
    process = _trainings()[path].process
    if process.poll() is not None:
        st.rerun()
    try:
        step, steps, bits = _progress(path)
    except (OSError, pp.InputError):  # the folder is being deleted
        step, steps, bits = 0, 0, None
    if step:
        told = f", {bits:.2f} bits/dim" if bits is not None else ""
        st.progress(step / steps, f"training digits: step {step:,} of {steps:,}{told}")
    else:
        seconds = time.monotonic() - started
        st.progress(0.0, f"training digits: compiling the first step, {seconds:.0f} s so far")
    drawn = sorted(RunFolder(path).samples.glob("*.png"))
    shown = kept_png(path, drawn[-1]) if drawn else None
    if shown is not None:
        st.image(shown, caption="samples at the last step shown")
    if st.button("Stop training", help="Training saves its state and can resume later."):
        process.terminate()
        process.wait()
        st.rerun()


def _unfinished(path: Path) -> bool:
    step, steps, _ = _progress(path)
    return step < steps


def _progress(path: Path) -> tuple[int, int, float | None]:
    """Last step, number of steps, and the last bits per dimension, or None."""
    folder = RunFolder(path)
    if not folder.metrics.exists() or not (path / "config.json").exists():
        return 0, 0, None
    records = read_metrics(folder.metrics)
    step = max((record["step"] for record in records), default=0)
    bits = [r["train_bits_per_dim"] for r in records if "train_bits_per_dim" in r]
    return step, folder.config()["num_steps"], bits[-1] if bits else None
