"""Pictures for ``sample.py``: from a run folder to files."""

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path

from pixelprior.cli.sample_figures import FIGURES
from pixelprior.data.words import plural
from pixelprior.errors import InputError
from pixelprior.figures.outputs import check_free, fill, open_file, open_folder, refused_in_words
from pixelprior.runs.load import load_trained
from pixelprior.runs.pictures import WALK, Pictures, Subject, pictures
from pixelprior.runs.samples import Request, methods_of, sees_all_known
from pixelprior.sampling.methods import AUTO
from pixelprior.sampling.strategies import Strategy
from pixelprior.system.console import Terminal, say

NUM = 64
"""Default number of pictures."""

LONGEST_NAME = 200  # characters of the name of a picture, of the 255 bytes that systems allow


def sample_to_files(
    workdir: str | Path,
    out: str | Path,
    *,
    num: int | None,
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
    guidance_schedule: str = "constant",
    attributes: Mapping[str, float] | None = None,
    data: str | None = None,
    data_dir: str | None = None,
    known: str | None = None,
    images: str | None = None,
) -> None:
    """Make ``num`` pictures and write them to one PNG or .npz file, or to a folder of PNG files.

    By default, each image of the user gives one picture, and otherwise there are 64. The pictures
    are written batch by batch. A job that was interrupted continues after the pictures on disk.

    Raises:
        InputError: if the run cannot be read, a setting does not fit its model, or other files are
            in the place of the output.
    """
    out = Path(out)
    if num is not None and not 1 <= num < 2**31:
        raise InputError(f"num must be in [1, 2**31), got {num}")
    if not 1 <= batch_size < 2**31:
        raise InputError(f"batch_size must be in [1, 2**31), got {batch_size}")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed must be in [0, 2**32), got {seed}")
    if mode == "interpolate" and num is not None and num % WALK:
        raise InputError(f"each walk has {WALK} images, so num must be a multiple, got {num}")
    report = Terminal()
    run = load_trained(
        workdir,
        checkpoint=checkpoint,
        averaged=averaged,
        data=data,
        data_dir=data_dir,
        report=report,
    )
    request = Request(
        seed,
        strategies,
        run.class_index(label),
        guidance,
        method,
        guidance_schedule,
        attributes or None,
    )
    if mode in FIGURES:
        num = num or NUM
        check_free(out, overwrite)
        with refused_in_words(out):
            FIGURES[mode](run, request, out, num)
        say(f"{num} images in {out} ({run.provenance})")
        return
    subject = Subject(images, known)
    wanted = pictures(mode, run, request, subject, report)
    num = _number(num, wanted)
    images_of = wanted.images
    own_names = None if images_of is None else images_of.names
    # Too few images for one complete row are laid out like any others.
    columns = wanted.columns if wanted.columns and num >= wanted.columns else None
    # All settings that the pictures depend on. Samplers and batch sizes do not change them.
    about = {
        "mode": mode,
        "run": run.source or str(Path(workdir).resolve()),
        "data": run.data["name"],
        "contents": run.data["contents"],
        "weights": run.provenance,
        **request._asdict(),
        **subject._asdict(),
        "image_contents": None if images_of is None else images_of.contents,
        "strategies": repr(strategies),
        "method": None,
    }
    output = (
        open_folder(
            out, about, overwrite=overwrite, names=own_names and _file_names(own_names, num)
        )
        if individual
        else open_file(out, about, overwrite=overwrite, columns=columns)
    )
    fill(output, wanted.draw, num, batch_size=batch_size, report=report)
    how = ""
    if method == AUTO and mode in ("sample", "complete"):
        how = f", method {methods_of(run, method, min(num, batch_size))}"
    say(f"{num} images in {out} ({run.provenance}{how})")
    if mode == "complete":
        one = "pixel" if run.task == "pixels" else "code"
        known = f"all known {one}s"
        if not sees_all_known(run):
            known = f"the known {one}s before it in the order of the model"
        say(f"each drawn {one} is conditioned on {known}")


def _number(num: int | None, wanted: Pictures) -> int:
    """Number of pictures: the requested one, or one for each image, at most `NUM` test images.

    Raises:
        InputError: if pictures without chance would be repeated.
    """
    images = wanted.images
    if num is not None:
        if images is not None and not wanted.drawn and num > len(images):
            raise InputError(
                f"there are {plural(len(images), 'image')}, and each gives one picture; num must "
                f"be at most {len(images)}, got {num}"
            )
        return num
    if images is None:
        return NUM
    return len(images) if images.names is not None else min(NUM, len(images))


def _file_names(names: Sequence[str], num: int) -> list[str]:
    """Names of ``num`` pictures of images in turn, all different."""
    stems = [str(Path(name).with_suffix(""))[:LONGEST_NAME] for name in names]
    # Some file systems do not distinguish the case.
    times = collections.Counter(stem.lower() for stem in stems)
    found: list[str] = []
    used: set[str] = set()
    for number in range(num):
        turn, place = divmod(number, len(names))
        name = stems[place]
        if times[name.lower()] > 1:
            name += names[place][-4:].replace(".", "_")
        if turn:
            name += f"_{turn + 1}"
        while name.lower() in used:
            name += "_"
        used.add(name.lower())
        found.append(name)
    return found
