"""What ``sample.py`` does: from a run folder to pictures on disk."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pixelprior.commands.draw import WALK, Request, pictures
from pixelprior.errors import InputError
from pixelprior.loading import load_trained
from pixelprior.pictures import save_grid, save_images
from pixelprior.report import say
from pixelprior.run_folder import probe_folder
from pixelprior.sampling.strategies import Strategy


def sample_to_files(
    workdir: str | Path,
    out: str | Path,
    *,
    num: int,
    batch_size: int,
    seed: int,
    strategies: Sequence[Sequence[Strategy]],
    label: str | None,
    method: str,
    checkpoint: str,
    averaged: bool,
    individual: bool,
    mode: str = "sample",
    guidance: float | None = None,
    data_dir: str | None = None,
) -> None:
    """Makes ``num`` pictures and writes them to one PNG sheet, or to a folder of PNG files.

    Individual pictures are written batch by batch, so that an interrupted job keeps what it has.

    Raises:
        InputError: if the run cannot be read, or a setting does not fit its model.
    """
    if num < 1:
        raise InputError(f"num must be at least 1, got {num}")
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    out = Path(out)
    if not individual and out.suffix.lower() != ".png":
        raise InputError(
            f"out must be a .png file, got {out}; with --individual it is a folder instead"
        )
    if not 0 <= seed < 2**32:
        raise InputError(f"seed must be in [0, 2**32), got {seed}")
    if mode == "interpolate" and num % WALK:
        raise InputError(f"each walk has {WALK} images, so num must be a multiple, got {num}")
    trained = load_trained(workdir, checkpoint=checkpoint, averaged=averaged)
    request = Request(seed, strategies, label_index(label, trained.data), guidance, method)
    wanted = pictures(mode, trained, request, data_dir)
    _prepare(out, individual)
    size = min(batch_size, num)
    sheet = []
    with tqdm(total=num, unit="image", disable=num <= batch_size) as bar:
        for first in range(0, num, size):
            # The last batch is drawn whole and cut: another shape would compile anew.
            images = wanted.draw(first, size)[: num - first]
            if individual:
                save_images(images, wanted.levels, out, start=first)
            else:
                sheet.append(images)
            bar.update(len(images))
    if not individual:
        # Fewer images than make a row that belongs together are laid out like any others.
        columns = wanted.columns if wanted.columns and num >= wanted.columns else None
        save_grid(np.concatenate(sheet), wanted.levels, out, columns=columns)
    say(f"{num} images in {out} ({trained.weights})")


def _prepare(out: Path, individual: bool) -> None:
    """Makes the folder that the pictures go to; raises an InputError if it cannot be written."""
    folder = out if individual else out.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe_folder(folder)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({error.strerror}); set another out"
        ) from error
    if not individual and out.is_dir():
        raise InputError(f"{out} is a folder; give another name, or --individual to fill it")


def label_index(label: str | None, data: Mapping[str, Any]) -> int | None:
    """The index of a class given by number or by name.

    Raises:
        InputError: if it is neither.
    """
    names = list(data["class_names"])
    if label is None:
        return None
    # A name first: the classes of digits are named "0" to "9" whatever their order.
    if label in names:
        return names.index(label)
    try:
        return int(label)
    except ValueError:
        raise InputError(
            f"label must be the number or the name of a class ({', '.join(names) or 'none'}), "
            f"got {label!r}"
        ) from None
