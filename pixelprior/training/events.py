"""TensorBoard files of a run: its records as curves, its pictures as images."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pixelprior.system.hidden import hidden

# It imports PyTorch for the type of an argument, which takes seconds.
with hidden("torch"):
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    from tensorboardX.summary import image, scalar

_SPLITS = ("train", "validation", "test")


class EventFile:
    """Writer of a TensorBoard file.

    Each process writes its own file, and TensorBoard merges the files of one run. When a run
    resumes, TensorBoard discards records after the resume step.

    Everything is written at once. A writer with a thread of its own would hide that a disk is full.

    Args:
        folder: folder of the files.
        resume_step: step after which the run resumes.

    Raises:
        OSError: if the file cannot be written, also by all methods.
    """

    def __init__(self, folder: Path, *, resume_step: int):
        folder.mkdir(exist_ok=True)
        self._writer = EventsWriter(
            str(folder / "events"),
            # Without it, a file that was begun in the same second would be overwritten.
            filename_suffix=f".{os.getpid()}.{resume_step}",
        )
        self._add(resume_step + 1, session_log=SessionLog(status=SessionLog.START))

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def write(self, step: int, **values: Any) -> None:
        """Add a record; ``train_loss`` becomes the curve "loss" in the group "train"."""
        for name, value in values.items():
            split, _, rest = name.partition("_")
            tag = f"{split}/{rest}" if split in _SPLITS else f"run/{name}"
            self._add(step, summary=scalar(tag, value))

    def picture(self, step: int, path: Path) -> None:
        """Add a picture from a file."""
        with Image.open(path) as file:
            pixels = np.asarray(file.convert("RGB"))
        self._add(step, summary=image("samples", pixels, dataformats="HWC"))

    def _add(self, step: int, **content: Any) -> None:
        self._writer.write_event(Event(wall_time=time.time(), step=step, **content))
        self._writer.flush()
