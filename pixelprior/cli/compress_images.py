"""Compression of images to a file for ``pixelprior compress``."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from pixelprior.coding.codec import BATCH_SIZE, Codec
from pixelprior.coding.compressed import write_images
from pixelprior.data.words import plural
from pixelprior.errors import InputError
from pixelprior.experiment import Place
from pixelprior.runs.compression.blocks import Blocks
from pixelprior.runs.compression.files import check_new_file, written_in_words
from pixelprior.runs.compression.sources import Given, open_source
from pixelprior.runs.compression.tokenizer import facts_of_tokenizer
from pixelprior.runs.load import load_trained
from pixelprior.runs.samples import check_learned
from pixelprior.system.atomic import replacing
from pixelprior.system.console import Terminal, say

SUFFIX = ".ppz"


def compress_images(
    places: Sequence[str],
    out: str | Path,
    *,
    workdir: str | Path,
    split: str | None,
    limit: int | None,
    label: str | None,
    attributes: Mapping[str, float],
    quantise: bool,
    codes: bool,
    batch_size: int | None,
    verify: bool,
    overwrite: bool,
    place: Place,
) -> None:
    """Compress image files, or images of the data of a run, and print the sizes.

    Args:
        places: image files and folders of them; none for images of the data of the run.
        out: the file to write.
        workdir: the run to compress with, in any place that `load_trained` accepts.
        split: the split of the data of the run, or None.
        limit: the number of images, from the first; None for all.
        label: the class of all images, or None.
        attributes: attributes of all images by name.
        quantise: round pixels to the shades of the model.
        codes: compress the codes of a prior.
        batch_size: the number of images to code at once; None for the default.
        verify: decompress everything again, and compare.
        overwrite: replace the file if it exists.
        place: the place of the data, if they have moved.

    Raises:
        InputError: if the run or an image cannot be used, or the file cannot be written.
    """
    out, report = Path(out), Terminal()
    if out.suffix != SUFFIX:
        raise InputError(f"images are compressed to a file NAME{SUFFIX}, got {out}")
    check_new_file(out, overwrite)
    run = load_trained(workdir, **place._asdict(), report=report)
    _check_task(run.task, codes)
    check_learned(run)
    if label is not None and not run.num_classes:
        raise InputError("--label was given, but this run has no classes; leave it out")
    source = open_source(
        run,
        places,
        split=split,
        limit=limit,
        given=Given(run.class_index(label), attributes),
        quantise=quantise,
        report=report,
    )
    codec = Codec(
        run.model,
        batch_size=min(len(source), BATCH_SIZE) if batch_size is None else batch_size,
    )
    blocks = Blocks(run, codec, source)
    about = {"workdir": run.source or str(workdir), **facts_of_tokenizer(run)}
    with written_in_words(out), replacing(out) as temporary, open(temporary, "wb") as file:
        sizes = write_images(
            file, codec, blocks, len(source), about=about, verify=verify, report=report
        )
    bits = 8 * sizes.stream_bytes / (sizes.num_images * codec.num_symbols)
    unit = "bits/code" if run.task == "prior" else "bits/dim"
    say(
        f"{plural(sizes.num_images, 'image')} in {out}: {sizes.num_bytes:,} bytes; "
        f"{sizes.stream_bytes:,} of them are symbols, {bits:.4f} {unit}; the others are header, "
        "conditions and names"
    )
    if blocks.mean_squared_error is not None:
        error = blocks.mean_squared_error
        psnr = math.inf if error == 0 else -10 * math.log10(error)
        say(f"the reconstructions have a mean squared error of {error:.6f}, {psnr:.2f} dB PSNR")


def _check_task(task: str, codes: bool) -> None:
    if task == "tokenizer":
        raise InputError("a tokenizer has no distribution of codes; give a prior, with --codes")
    if task == "prior" and not codes:
        raise InputError(
            "a prior compresses codes, and the images come back as reconstructions; add --codes, "
            "or give a pixel model"
        )
    if task == "pixels" and codes:
        raise InputError("--codes is for a prior, and this run is a pixel model; leave it out")
