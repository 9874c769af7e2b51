"""What ``evaluate.py --receptive_field`` does: which earlier positions a run's model sees."""

from pathlib import Path

import jax

from pixelprior.errors import InputError
from pixelprior.evaluation.receptive_field import centre, receptive_field
from pixelprior.models.base import AutoregressiveModel
from pixelprior.runs.load import load_trained
from pixelprior.runs.run import Run
from pixelprior.system.atomic import probe_folder
from pixelprior.system.console import say

SEED = 0


def draw_receptive_field(
    workdir: str | Path, out: str | Path, *, checkpoint: str, averaged: bool
) -> None:
    """Draws the receptive field of the centre of a run's images to a PNG file.

    Raises:
        InputError: if the run cannot be read, is not one of pixels in raster order, or the file
            cannot be written.
    """
    out = Path(out)
    if out.suffix.lower() != ".png" or out.is_dir():
        raise InputError(f"the receptive field is drawn to a .png file, got {out}")
    trained = load_trained(workdir, checkpoint=checkpoint, averaged=averaged)
    if not isinstance(trained.model, AutoregressiveModel):
        raise InputError(
            "a receptive field is that of a model of pixels in raster order; this run is of the "
            f"task {trained.task!r}, with a {type(trained.model).__name__}"
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        probe_folder(out.parent)
    except OSError as error:
        raise InputError(
            f"{out} cannot be written ({error.strerror}); give another file"
        ) from error
    draw_field(trained, out)
    say(f"receptive field in {out} ({trained.provenance})")


def draw_field(trained: Run, out: Path) -> None:
    """Draws the receptive field of the centre, of a model of pixels in raster order."""
    # Matplotlib takes a while to import, and nothing else needs it.
    from pixelprior.figures.plots import save_receptive_fields

    field = receptive_field(trained.model, key=jax.random.key(SEED))
    save_receptive_fields({trained.config["model"]["name"]: field}, centre(*field.shape), out)
