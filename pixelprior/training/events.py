"""A run for TensorBoard: its records as curves, its pictures as images."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter

_SPLITS = ("train", "validation", "test")


class EventFile:
    """Writes what TensorBoard shows of a run.

    A process writes a file of its own; TensorBoard puts those of one run together, and leaves out
    what a killed process wrote after the step that the next one resumed at.

    Args:
        folder: that the files are in.
        resume_step: the step that the run goes on after.
    """

    def __init__(self, folder: Path, *, resume_step: int):
        self._writer = SummaryWriter(
            str(folder),
            purge_step=resume_step + 1,
            flush_secs=30,
            # Without it, a file that was begun in the same second would be written over.
            filename_suffix=f".{os.getpid()}.{resume_step}",
        )

    def close(self) -> None:
        """Writes what is not on disk yet."""
        self._writer.close()

    def write(self, step: int, **values: Any) -> None:
        """Adds a record; ``train_loss`` becomes the curve "loss" in the group "train"."""
        for name, value in values.items():
            split, _, rest = name.partition("_")
            tag = f"{split}/{rest}" if split in _SPLITS else f"run/{name}"
            self._writer.add_scalar(tag, value, step)

    def picture(self, step: int, path: Path) -> None:
        """Adds a picture that lies on disk."""
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._writer.add_image("samples", pixels, step, dataformats="HWC")
