"""Pictures for ``sample.py``: from a run folder to files."""

from collections.abc import Sequence
from pathlib import Path

from pixelprior.cli.sample_figures import FIGURES
from pixelprior.errors import InputError
from pixelprior.figures.outputs import check_free, fill, open_file, open_folder, refused_in_words
from pixelprior.runs.load import load_trained
from pixelprior.runs.pictures import WALK, Subject, pictures
from pixelprior.runs.samples import Request
from pixelprior.sampling.strategies import Strategy
from pixelprior.system.console import Terminal, say


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
    overwrite: bool = False,
    mode: str = "sample",
    guidance: float | None = None,
    data_dir: str | None = None,
    known: str | None = None,
    images: str | None = None,
) -> None:
    """Make ``num`` pictures and write them to one PNG or .npz file, or to a folder of PNG files.

    The pictures are written batch by batch. A job that was interrupted continues after the
    pictures on disk.

    Raises:
        InputError: if the run cannot be read, a setting does not fit its model, or other files are
            in the place of the output.
    """
    out = Path(out)
    if num < 1:
        raise InputError(f"num must be at least 1, got {num}")
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed must be in [0, 2**32), got {seed}")
    if mode == "interpolate" and num % WALK:
        raise InputError(f"each walk has {WALK} images, so num must be a multiple, got {num}")
    report = Terminal()
    run = load_trained(workdir, checkpoint=checkpoint, averaged=averaged, report=report)
    request = Request(seed, strategies, run.class_index(label), guidance, method)
    subject = Subject(data_dir, images, known)
    if mode in FIGURES:
        check_free(out, overwrite)
        with refused_in_words(out):
            FIGURES[mode](run, request, out, num)
        say(f"{num} images in {out} ({run.provenance})")
        return
    wanted = pictures(mode, run, request, subject)
    # Too few images for one complete row are laid out like any others.
    columns = wanted.columns if wanted.columns and num >= wanted.columns else None
    # All settings that the pictures depend on. Samplers and batch sizes do not change them.
    about = {
        "mode": mode,
        "run": str(Path(workdir).resolve()),
        "data": run.data["name"],
        "weights": run.provenance,
        **request._asdict(),
        **subject._asdict(),
        "strategies": repr(strategies),
        "method": None,
    }
    output = (
        open_folder(out, about, overwrite=overwrite)
        if individual
        else open_file(out, about, overwrite=overwrite, columns=columns)
    )
    fill(output, wanted.draw, num, batch_size=batch_size, report=report)
    say(f"{num} images in {out} ({run.provenance})")
