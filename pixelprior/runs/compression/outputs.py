"""Decompressed images as files: PNG files with their names, or one ``.npz`` file."""

import abc
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8

from pixelprior.coding.compressed import Images
from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.figures.sheets import as_shades, save_image
from pixelprior.runs.compression.blocks import decoded
from pixelprior.runs.compression.exact import to_shades
from pixelprior.runs.compression.files import check_new_file, written_in_words
from pixelprior.runs.compression.names import is_portable
from pixelprior.runs.run import Run
from pixelprior.system.atomic import probe_folder, save_arrays
from pixelprior.system.leftovers import remove_leftovers
from pixelprior.system.printable import printable


class Output(abc.ABC):
    """A place for decompressed images.

    Attributes:
        done: number of images so far.
    """

    def __init__(self, run: Run, batch_size: int):
        self._run, self._batch_size = run, batch_size
        self.done = 0

    def add(self, images: Images) -> None:
        """Add a block of images.

        Raises:
            InputError: if it cannot be written, or a name is no path below the output.
        """
        shades = self._shades(images)
        self._write(shades, images)
        self.done += len(shades)

    @abc.abstractmethod
    def finish(self) -> None:
        """Complete the output. Raises the errors of `add`."""

    @abc.abstractmethod
    def _write(self, shades: UInt8[np.ndarray, "n h w c"], images: Images) -> None: ...

    def _shades(self, images: Images) -> UInt8[np.ndarray, "n h w c"]:
        tokenizer = self._run.tokenizer
        if tokenizer is None:
            return to_shades(images.maps[0], self._run.model.grid)
        pixels = decoded(tokenizer, images.maps, self._batch_size)
        return as_shades(pixels).astype(np.uint8)


def open_output(run: Run, batch_size: int, out: Path, *, overwrite: bool) -> Output:
    """Open a folder for PNG files, or an ``.npz`` file.

    Args:
        run: the run that reads the images.
        batch_size: the number of images that a tokenizer decodes at once.
        out: the folder, or the file.
        overwrite: replace files that exist.

    Raises:
        InputError: if files are there and must not be replaced, or nothing can be written.
    """
    if out.suffix.lower() == ".npz":
        check_new_file(out, overwrite)
        return _Arrays(run, batch_size, out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; give a folder, or a file NAME.npz")
    with written_in_words(out):
        probe_folder(out if out.is_dir() else out.parent)
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise InputError(f"{out} is not empty; pass --overwrite, or another --out")
    remove_leftovers(out)
    return _Folder(run, batch_size, out)


class _Arrays(Output):
    def __init__(self, run: Run, batch_size: int, out: Path):
        super().__init__(run, batch_size)
        self._out = out
        self._images: list[Any] = []
        self._contexts: list[Any] = []

    def _write(self, shades: UInt8[np.ndarray, "n h w c"], images: Images) -> None:
        self._images.append(shades)
        self._contexts.append(images.context or Context())

    def finish(self) -> None:
        arrays = {"images": np.concatenate(self._images)}
        context = jax.tree.map(lambda *parts: np.concatenate(parts), *self._contexts)
        # Images without a class have the null class.
        null = self._run.model.context_shape.num_classes
        if context.label is not None and not (context.label == null).all():
            arrays["labels"] = context.label
        if context.vector is not None:
            arrays["attributes"] = context.vector
            arrays["attribute_names"] = np.asarray(self._run.data["attribute_names"])
        with written_in_words(self._out):
            save_arrays(self._out, arrays)


class _Folder(Output):
    def __init__(self, run: Run, batch_size: int, out: Path):
        super().__init__(run, batch_size)
        self._out = out

    def _write(self, shades: UInt8[np.ndarray, "n h w c"], images: Images) -> None:
        names = images.facts.get("names")
        if names is None:
            names = [f"{self.done + number:06d}" for number in range(len(shades))]
        if not isinstance(names, list) or len(names) != len(shades):
            raise InputError("the names in the file do not fit its images; write an .npz file")
        # A file of somebody else may have other names than we write.
        if odd := [name for name in names if not is_portable(name)]:
            raise InputError(
                f"an image in the file has the name {printable(str(odd[0]))[:80]!r}, which is no "
                "path below the output; write an .npz file instead"
            )
        with written_in_words(self._out):
            for image, name in zip(shades, names, strict=True):
                path = self._out / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                save_image(image.astype(np.int32), 256, path)

    def finish(self) -> None:
        pass
