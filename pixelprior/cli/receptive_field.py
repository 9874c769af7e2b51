"""Picture of a receptive field for ``evaluate.py --receptive_field``."""

from pathlib import Path

from pixelprior.cli.results import make_folder
from pixelprior.errors import InputError
from pixelprior.evaluation.receptive_field import centre
from pixelprior.runs.load import load_trained
from pixelprior.runs.receptive_field import check_has_field, field_of
from pixelprior.system.console import Terminal, say


def draw_receptive_field(
    workdir: str | Path, out: str | Path, *, checkpoint: str, averaged: bool
) -> None:
    """Draw the receptive field of the centre pixel to a PNG file.

    Raises:
        InputError: if the run cannot be read, its model does not predict pixels in raster order, or
            the file cannot be written.
    """
    # Imported here because Matplotlib is slow to import and nothing else needs it.
    from pixelprior.figures.plots import save_receptive_fields

    out = Path(out)
    if out.suffix.lower() != ".png" or out.is_dir():
        raise InputError(f"the receptive field is drawn to a .png file, got {out}")
    run = load_trained(workdir, checkpoint=checkpoint, averaged=averaged, report=Terminal())
    check_has_field(run)
    make_folder(out.parent, out, "give another file")
    field = field_of(run)
    save_receptive_fields({run.config["model"]["name"]: field}, centre(*field.shape), out)
    say(f"receptive field in {out} ({run.provenance})")
