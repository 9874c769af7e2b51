"""Where many pictures go, batch by batch: what is there is never lost, and never drawn twice.

A job that is interrupted, however it ends, keeps the batches it has written; the same command goes
on after them. So beside what it writes lies a request: what the job was asked for, by which one
that is to go on knows that it is the same.

Legend: n images, h height, w width, c channels.
"""

import abc
import contextlib
import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from jaxtyping import UInt8

from pixelprior.errors import InputError
from pixelprior.figures.sheets import image_file, save_grid, save_images
from pixelprior.system.atomic import probe_folder, write_atomically

REQUEST = ".request.json"


class Output(abc.ABC):
    """A place for pictures, opened for one job.

    Attributes:
        done: how many pictures are there already, the first ones.
    """

    done: int

    @abc.abstractmethod
    def add(self, images: UInt8[np.ndarray, "n h w c"]) -> None:
        """Writes the pictures that follow those that are there.

        Raises:
            InputError: if they cannot be written, for one thing because the disk is full. What was
                there before is kept.
        """

    @abc.abstractmethod
    def finish(self) -> None:
        """Puts the last touch, once all pictures are there. Raises as `add` does."""


def open_output(
    out: Path, request: Mapping[str, Any], *, individual: bool, overwrite: bool, columns: int | None
) -> Output:
    """A folder of PNG files, or one file: a PNG sheet, or an .npz archive with all ``images``.

    The archive tells the request too, as JSON, by the name ``request``.

    Args:
        out: the folder or the file; folders above it are made if they are missing.
        request: what the job was asked for, as JSON can tell it.
        individual: whether it is to be a folder.
        overwrite: whether what is there may be replaced.
        columns: of a sheet; None for nearly square.

    Raises:
        InputError: if something else is there and may not be replaced, the name does not say what
            kind of file it is to be, or nothing can be written there.
    """
    if not individual and out.suffix.lower() not in (".png", ".npz"):
        raise InputError(
            f"out must be a .png or an .npz file, got {out}; with --individual it is a folder "
            "instead"
        )
    # By JSON, as what is there has been: a tuple has become a list.
    request = json.loads(json.dumps(request))
    with refused_in_words(out):
        return (
            _Folder(out, request, overwrite)
            if individual
            else _File(out, request, overwrite, columns)
        )


def check_free(out: Path, overwrite: bool) -> None:
    """Raises an InputError unless a file may be written."""
    if out.is_dir():
        raise InputError(f"{out} is a folder; give another name, or --individual to fill it")
    if out.exists() and not overwrite:
        raise InputError(f"{out} is there already; give another --out, or --overwrite")


class _Folder(Output):
    """One PNG file for each picture."""

    def __init__(self, out: Path, request: Mapping[str, Any], overwrite: bool):
        self._folder = out
        if out.is_dir() and any(out.iterdir()) and not _is_for(out, request):
            if not overwrite:
                raise InputError(
                    f"{out} has files in it that are of no job like this one; give another --out, "
                    "or --overwrite to write over them"
                )
            for picture in out.glob("[0-9]" * 6 + "*.png"):
                picture.unlink()
        _claim(out, request)
        self.done = 0
        while image_file(out, self.done).is_file():
            self.done += 1

    def add(self, images: UInt8[np.ndarray, "n h w c"]) -> None:
        with refused_in_words(self._folder):
            for image in images:
                save_images(image[None].astype(np.int32), 256, self._folder, start=self.done)
                self.done += 1

    def finish(self) -> None:
        pass


class _File(Output):
    """One file, of batches that wait in a folder beside it until they are all there."""

    def __init__(self, out: Path, request: Mapping[str, Any], overwrite: bool, columns: int | None):
        self._out, self._columns, self._request = out, columns, request
        check_free(out, overwrite)
        self._batches = out.with_name(f".{out.name}.unfinished")
        if self._batches.is_dir() and not _is_for(self._batches, request):
            # What is left of another job: its pictures are not among these.
            shutil.rmtree(self._batches)
        _claim(self._batches, request)
        self.done = 0
        for batch in self._read():
            self.done += len(batch)

    def add(self, images: UInt8[np.ndarray, "n h w c"]) -> None:
        path = self._path(self.done)
        with refused_in_words(self._out):
            whole = path.with_suffix(".writing")
            try:
                with open(whole, "wb") as file:
                    _write_array(file, images.shape, [images])
                whole.replace(path)
            finally:
                whole.unlink(missing_ok=True)
        self.done += len(images)

    def finish(self) -> None:
        with refused_in_words(self._out):
            if self._out.suffix.lower() == ".png":
                sheet = np.concatenate(list(self._read())).astype(np.int32)
                save_grid(sheet, 256, self._out, columns=self._columns)
            else:
                self._archive()
            shutil.rmtree(self._batches)

    def _archive(self) -> None:
        """An .npz file of all batches as one array; only one of them is in memory at a time."""
        unfinished = self._batches / "archive"
        shape = self.done, *next(self._read()).shape[1:]
        with zipfile.ZipFile(unfinished, "w") as archive:
            with archive.open("images.npy", "w", force_zip64=True) as file:
                _write_array(file, shape, self._read())
            with archive.open("request.npy", "w") as file:
                np.save(file, np.array(json.dumps(self._request)), allow_pickle=False)
        unfinished.replace(self._out)

    def _path(self, first: int) -> Path:
        return self._batches / f"{first:09d}.npy"

    def _read(self) -> Iterator[UInt8[np.ndarray, "n h w c"]]:
        """The batches, as far as they follow each other."""
        first = 0
        while (path := self._path(first)).is_file():
            batch = np.load(path, allow_pickle=False)
            yield batch
            first += len(batch)


def _write_array(
    file: IO[bytes], shape: tuple[int, ...], parts: Iterable[UInt8[np.ndarray, "n h w c"]]
) -> None:
    """One array in NumPy's format, part by part.

    Not by NumPy itself, which wants all of it at once, and says nothing of a disk that is full.
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for part in parts:
        file.write(np.ascontiguousarray(part).data)


def _is_for(folder: Path, request: Mapping[str, Any]) -> bool:
    """Whether a folder is that of a job with this request."""
    try:
        return json.loads((folder / REQUEST).read_text()) == request
    except (OSError, ValueError):
        return False


def _claim(folder: Path, request: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    probe_folder(folder)
    write_atomically(folder / REQUEST, json.dumps(request, indent=2) + "\n")


@contextlib.contextmanager
def refused_in_words(path: Path) -> Iterator[None]:
    """Turns the system's refusal to write into an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}); what is there already is kept, and the "
            "same command goes on after it"
        ) from error
