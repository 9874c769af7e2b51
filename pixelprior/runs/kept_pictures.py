"""Pictures of a run, kept in its folder for the report that compares runs."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pixelprior.errors import InputError
from pixelprior.evaluation.receptive_field import centre
from pixelprior.figures.kept_png import kept_png
from pixelprior.figures.sheets import save_pixels
from pixelprior.models import MODELS, AutoregressiveModel
from pixelprior.progress import Event, Report, only_warnings
from pixelprior.runs.images import TestImages
from pixelprior.runs.pictures import Subject
from pixelprior.runs.pictures import pictures as pictures_of
from pixelprior.runs.receptive_field import field_of
from pixelprior.runs.run import Run
from pixelprior.runs.samples import Request, has_learned_all
from pixelprior.sampling.methods import AUTO
from pixelprior.training.run_folder import RunFolder

SHOWN = 16  # number of images in a picture
COLUMNS = 8
SEED = 0  # seed of the samples


def kept_pictures(run: Run) -> dict[str, bytes] | None:
    """Read the pictures of a run that its folder keeps. The run needs no weights.

    Returns:
        The content of the PNG file of each kind of picture. It is None if pictures of these weights
        are missing, no PNG files, or reached by a link.
    """
    folder = run.folder
    if folder is None or folder.kept_evaluation("pictures", report=_unheard) != run.identity:
        return None
    kept = {name: kept_png(folder.path, path) for name, path in _paths(run, folder).items()}
    found = {name: png for name, png in kept.items() if png is not None}
    return found if len(found) == len(kept) else None


def keep_pictures(run: Run, report: Report = only_warnings) -> dict[str, bytes]:
    """Draw the pictures of a run into its folder, if `kept_pictures` does not find them there.

    A run without a folder keeps nothing.

    Returns:
        The content of the PNG file of each kind of picture.

    Raises:
        InputError: if the data of the run cannot be read, or the folder of pictures is a link.
    """
    folder = run.folder
    if folder is None:
        with tempfile.TemporaryDirectory() as drawn:
            return _draw(run, {name: Path(drawn, f"{name}.png") for name in _kinds(run)}, report)
    if folder.evaluation.is_symlink():
        raise InputError(
            f"{folder.evaluation} is a link, and no pictures are read through links; put the "
            "folder itself there"
        )
    kept = kept_pictures(run)
    if kept is not None:
        return kept
    drawn_now = _draw(run, _paths(run, folder), report)
    folder.keep_evaluation("pictures", run.identity, report)
    return drawn_now


def _unheard(_: Event) -> None:
    """Ignore an event: a damaged list of pictures is written again."""


def _paths(run: Run, folder: RunFolder) -> dict[str, Path]:
    return {name: folder.evaluation / f"{name}.png" for name in _kinds(run)}


def _draw(run: Run, paths: Mapping[str, Path], report: Report) -> dict[str, bytes]:
    """Draw the pictures of a run to these files, and read them."""
    request = Request(SEED, [()], None, None, AUTO)
    # Imported here because Matplotlib is slow to import.
    from pixelprior.figures.plots import save_receptive_fields

    for name, path in paths.items():
        if name == "receptive_field":
            field = field_of(run)
            save_receptive_fields({run.config["model"]["name"]: field}, centre(*field.shape), path)
            continue
        draw = (
            TestImages(run, SEED, report).pixels
            if name == "real"
            else pictures_of(name, run, request, Subject(), report).draw
        )
        save_pixels(draw(np.arange(SHOWN)), path, columns=COLUMNS)
    return {name: path.read_bytes() for name, path in paths.items()}


def _kinds(run: Run) -> list[str]:
    """Kinds of pictures of a run: modes of ``sample.py``, "real" and "receptive_field"."""
    if run.data["shape"][-1] not in (1, 3):
        return []
    if run.task == "tokenizer":
        return ["reconstruct"]
    if run.task == "prior":
        return [*(["sample", "real"] if has_learned_all(run) else []), "reconstruct"]
    raster = issubclass(MODELS[run.config["model"]["name"]], AutoregressiveModel)
    return ["sample", "real", "likelihood", *(["receptive_field"] if raster else [])]
