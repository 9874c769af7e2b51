"""TensorBoard files of a run: its records as curves, its pictures as images."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter

_SPLITS = ("train", "validation", "test")


class EventFile:
    """Writer of a TensorBoard file.

    Each process writes its own file, and TensorBoard merges the files of one run. When a run
    resumes, TensorBoard discards records after the resume step.

    Args:
        folder: folder of the files.
        resume_step: step after which the run resumes.
    """

    def __init__(self, folder: Path, *, resume_step: int):
        self._writer = SummaryWriter(
            str(folder),
            purge_step=resume_step + 1,
            flush_secs=30,
            # Without it, a file that was begun in the same second would be overwritten.
            filename_suffix=f".{os.getpid()}.{resume_step}",
        )

    def close(self) -> None:
        """Write buffered values to disk."""
        self._writer.close()

    def write(self, step: int, **values: Any) -> None:
        """Add a record; ``train_loss`` becomes the curve "loss" in the group "train"."""
        for name, value in values.items():
            split, _, rest = name.partition("_")
            tag = f"{split}/{rest}" if split in _SPLITS else f"run/{name}"
            self._writer.add_scalar(tag, value, step)

    def picture(self, step: int, path: Path) -> None:
        """Add a picture from a file."""
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._writer.add_image("samples", pixels, step, dataformats="HWC")
