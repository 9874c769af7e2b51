"""Output files of many pictures, written batch by batch. No picture is lost or made twice.

An interrupted job keeps its written batches, and the same command continues after them. The request
of the job is stored with them. A job with another request does not continue after them.

Legend: n images, h height, w width, c channels.
"""

import abc
import contextlib
import itertools
import json
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import jax
import numpy as np
from jaxtyping import Float, Int, UInt8

from pixelprior.errors import InputError
from pixelprior.figures.sheets import as_shades, image_file, save_grid, save_image
from pixelprior.progress import Advance, Finished, Report
from pixelprior.system.atomic import probe_folder, replacing, write_atomically

REQUEST = ".request.json"

RESUME = "its finished part is kept, and the same command resumes after it"
"""Remedy if a job of many pictures cannot write."""


class Output(abc.ABC):
    """A place for pictures, opened for one job.

    Args:
        folder: the folder of the request; an earlier request is replaced.
        request: see `open_file`.

    Attributes:
        done: the number of pictures that are already written, from the first.
    """

    def __init__(self, folder: Path, request: Mapping[str, Any]):
        folder.mkdir(parents=True, exist_ok=True)
        probe_folder(folder)
        write_atomically(folder / REQUEST, json.dumps(request, indent=2) + "\n")
        self.done = 0

    @abc.abstractmethod
    def add(self, images: UInt8[np.ndarray, "n h w c"]) -> None:
        """Write the next pictures.

        Raises:
            InputError: if they cannot be written, for example to a full disk. Earlier pictures are
                kept.
        """

    @abc.abstractmethod
    def finish(self) -> None:
        """Complete the output after the last picture. Raises the errors of `add`."""


def open_file(
    out: Path, request: Mapping[str, Any], *, overwrite: bool, columns: int | None = None
) -> Output:
    """Open one file: a PNG sheet, or an .npz archive of all ``images``.

    The archive also contains the request, as JSON, in the array ``request``.

    Args:
        out: the file; missing parent folders are created.
        request: all settings that the pictures depend on; JSON must be able to represent them.
        overwrite: replace an existing file.
        columns: the number of columns of a sheet; None for a nearly square sheet.

    Raises:
        InputError: if the file exists and must not be replaced, if it has another suffix, or if it
            cannot be written.
    """
    if out.suffix.lower() not in (".png", ".npz"):
        raise InputError(
            f"out must be a .png or an .npz file, got {out}; with --individual it is a folder "
            "instead"
        )
    with refused_in_words(out):
        return _File(out, _as_json(request), overwrite, columns)


def open_folder(
    out: Path,
    request: Mapping[str, Any],
    *,
    overwrite: bool,
    names: Sequence[str] | None = None,
) -> Output:
    """Open a folder with one PNG file per picture. See `open_file` for other arguments and errors.

    Args:
        out: the folder.
        request: see `open_file`.
        overwrite: see `open_file`.
        names: the names of all files, without suffix; by default they are numbered.
    """
    with refused_in_words(out):
        return _Folder(out, _as_json(request), overwrite, names)


def _as_json(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Convert a request to the form of the one on disk: JSON turns a tuple into a list."""
    return json.loads(json.dumps(request))


def fill(
    output: Output,
    draw: Callable[[Int[np.ndarray, " n"]], Float[np.ndarray, "n h w c"]],
    num: int,
    *,
    batch_size: int,
    report: Report,
) -> None:
    """Add pictures to an output until it has ``num``, and finish it.

    Args:
        output: the output, which may already have the first pictures.
        draw: a function from consecutive numbers of pictures to pixels in [0, 1].
        num: the number of pictures.
        batch_size: the number of pictures to draw at once, rounded up to a multiple of the devices.
        report: receives the progress, if there are several batches.
    """
    devices = jax.local_device_count()
    size = -(-min(batch_size, num) // devices) * devices
    several = num > size
    try:
        while output.done < num:
            # The last batch is drawn at full size and cut. Another shape would need a compilation.
            numbers = np.arange(output.done, output.done + size)
            output.add(as_shades(draw(numbers))[: num - output.done].astype(np.uint8))
            if several:
                report(Advance("images", output.done, num, "image"))
    finally:
        if several:
            report(Finished("images"))
    output.finish()


def check_free(out: Path, overwrite: bool) -> None:
    """Raise an InputError if the file is a folder, or exists and must not be replaced."""
    if out.is_dir():
        raise InputError(f"{out} is a folder; give another name, or --individual to fill it")
    if out.exists() and not overwrite:
        raise InputError(f"{out} is there already; give another --out, or --overwrite")


class InMemory(Output):
    """Pictures that are kept in memory.

    Attributes:
        images: all pictures, after the output is finished.
    """

    def __init__(self) -> None:
        self.done = 0
        self.images = np.zeros((0, 0, 0, 0), np.uint8)
        self._batches: list[UInt8[np.ndarray, "n h w c"]] = []

    def add(self, images: UInt8[np.ndarray, "n h w c"]) -> None:
        """Keep the pictures."""
        self._batches.append(images)
        self.done += len(images)

    def finish(self) -> None:
        """Join the batches."""
        self.images = np.concatenate(self._batches)


class _Folder(Output):
    """One PNG file for each picture."""

    def __init__(
        self,
        out: Path,
        request: Mapping[str, Any],
        overwrite: bool,
        names: Sequence[str] | None,
    ):
        self._folder, self._names = out, names
        if out.is_dir() and any(out.iterdir()) and not _is_for(out, request):
            if not overwrite:
                raise InputError(
                    f"{out} has files in it that are of no job like this one; give another --out, "
                    "or --overwrite to write over them"
                )
            for picture in self._files() if names else out.glob("[0-9]" * 6 + "*.png"):
                picture.unlink(missing_ok=True)
        super().__init__(out, request)
        for path in self._files():
            if not path.is_file():
                break
            self.done += 1

    def add(self, images: UInt8[np.ndarray, "n h w c"]) -> None:
        with refused_in_words(self._folder):
            paths = itertools.islice(self._files(), self.done, None)
            for image, path in zip(images, paths, strict=False):
                save_image(image.astype(np.int32), 256, path)
                self.done += 1

    def _files(self) -> Iterator[Path]:
        """Yield the files of all pictures in turn."""
        if self._names is None:
            return (image_file(self._folder, number) for number in itertools.count())
        return (self._folder / f"{name}.png" for name in self._names)

    def finish(self) -> None:
        pass


class _File(Output):
    """One file. Its batches are kept in a folder next to it until all are there."""

    def __init__(self, out: Path, request: Mapping[str, Any], overwrite: bool, columns: int | None):
        self._out, self._columns, self._request = out, columns, request
        check_free(out, overwrite)
        self._batches = out.with_name(f".{out.name}.unfinished")
        if self._batches.is_dir() and not _is_for(self._batches, request):
            # The batches belong to another job, with other pictures.
            shutil.rmtree(self._batches)
        super().__init__(self._batches, request)
        for batch in self._read():
            self.done += len(batch)

    def add(self, images: UInt8[np.ndarray, "n h w c"]) -> None:
        with refused_in_words(self._out), replacing(self._path(self.done)) as temporary:
            with open(temporary, "wb") as file:
                _write_array(file, images.shape, [images])
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
        """Write an .npz file of all batches as one array, with one batch in memory at a time."""
        shape = self.done, *next(self._read()).shape[1:]
        # The temporary file is in the folder of the batches. That folder is removed later even if
        # this process is killed now.
        unfinished = self._batches / "archive"
        with (
            replacing(self._out, temporary=unfinished) as temporary,
            zipfile.ZipFile(temporary, "w") as archive,
        ):
            with archive.open("images.npy", "w", force_zip64=True) as file:
                _write_array(file, shape, self._read())
            with archive.open("request.npy", "w") as file:
                np.save(file, np.array(json.dumps(self._request)), allow_pickle=False)

    def _path(self, first: int) -> Path:
        return self._batches / f"{first:09d}.npy"

    def _read(self) -> Iterator[UInt8[np.ndarray, "n h w c"]]:
        """Yield the batches in order, up to the first one that is missing or damaged."""
        first = 0
        while (path := self._path(first)).is_file():
            try:
                batch = np.load(path, allow_pickle=False)
            # It is damaged, so it is made again.
            except (OSError, ValueError, EOFError):
                return
            if batch.dtype != np.uint8 or batch.ndim != 4 or not len(batch):
                return
            yield batch
            first += len(batch)


def _write_array(
    file: IO[bytes], shape: tuple[int, ...], parts: Iterable[UInt8[np.ndarray, "n h w c"]]
) -> None:
    """Write one array in NumPy's format, part by part.

    NumPy's own function needs the whole array at once, and does not report a full disk.
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    for part in parts:
        file.write(np.ascontiguousarray(part).data)


def _is_for(folder: Path, request: Mapping[str, Any]) -> bool:
    """Check if the folder holds the same request."""
    try:
        return json.loads((folder / REQUEST).read_text()) == request
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def refused_in_words(path: Path, remedy: str = RESUME) -> Iterator[None]:
    """Turn an OSError of writing into an InputError that ends with a remedy."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}); {remedy}"
        ) from error
