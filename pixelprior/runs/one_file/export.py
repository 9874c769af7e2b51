"""Export of a run: its file, the cost of its type, and its model card."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
from flax import nnx

from pixelprior.errors import InputError
from pixelprior.progress import Report, only_warnings
from pixelprior.runs.one_file.card import card_of
from pixelprior.runs.one_file.figures import cost_of_type, measure_figures
from pixelprior.runs.one_file.layout import DTYPES, SUFFIX
from pixelprior.runs.one_file.weights import models_of
from pixelprior.runs.one_file.write import write_file
from pixelprior.runs.run import Run
from pixelprior.system.atomic import probe_folder, write_atomically
from pixelprior.system.leftovers import remove_leftovers_of
from pixelprior.system.paths import checked_path


class Exported(NamedTuple):
    """An exported file.

    Attributes:
        path: the file.
        num_bytes: the size of the file.
        num_parameters: the number of trained weights, including those of a prior's tokenizer.
        figures: results of the run; see `measure_figures`.
        cost: the growth of the result in `COST` by storing kernels in another type; None if it was
            not measured.
        fingerprint: the hash of settings, data and weights.
    """

    path: Path
    num_bytes: int
    num_parameters: int
    figures: dict[str, Any]
    cost: float | None
    fingerprint: str


def export_run(
    run: Run,
    out: str | Path,
    *,
    dtype: str = "float32",
    card: str | Path | None = None,
    loaded_as: str | None = None,
    measured: bool = True,
    overwrite: bool = False,
    report: Report = only_warnings,
) -> Exported:
    """Write a run to one file, and a model card if requested.

    Args:
        run: the run.
        out: the file, ``NAME.safetensors``.
        dtype: the type of the kernels: "float32", "bfloat16" or "int8".
        card: the Markdown file of the model card; None for no card.
        loaded_as: the name by which the card loads the file; by default the name of the file.
        measured: measure the test split in float32 and in ``dtype``, if its images are there.
        overwrite: replace files that exist.
        report: receives the cost of ``dtype``.

    Raises:
        InputError: if an argument does not fit, or a file exists or cannot be written.
    """
    out = checked_path(out, "the exported file")
    card = None if card is None else checked_path(card, "the card")
    if dtype not in DTYPES:
        raise InputError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r:.80}")
    if out.suffix != SUFFIX:
        raise InputError(f"a run is exported to a file NAME{SUFFIX}, got {out}")
    if card is not None and card.resolve() == out.resolve():
        raise InputError(f"the card and the run need two files, got {out} for both")
    for path in filter(None, (out, card)):
        _check_writable(path, overwrite)
        remove_leftovers_of(path)
    figures = measure_figures(run, dtype, report) if measured and dtype != "float32" else {}
    try:
        about = write_file(run, out, dtype, figures)
        num_bytes, num_parameters = out.stat().st_size, _num_parameters(run)
        if card is not None:
            write_atomically(
                card,
                card_of(
                    about,
                    name=out.stem,
                    loaded_as=loaded_as or out.name,
                    num_bytes=num_bytes,
                    num_parameters=num_parameters,
                ),
            )
    except OSError as error:
        raise InputError(
            f"{out} cannot be written ({error.strerror}); give another file"
        ) from error
    cost = cost_of_type(run.task, figures, dtype)
    return Exported(out, num_bytes, num_parameters, figures, cost, about["fingerprint"])


def _check_writable(path: Path, overwrite: bool) -> None:
    """Raise an InputError if a file cannot be written, or exists and must not be replaced."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise InputError(f"{path} is there already; give another name, or --overwrite")
    try:
        probe_folder(path.parent)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}); make its folder, or give another file"
        ) from error


def _num_parameters(run: Run) -> int:
    models = models_of(run).values()
    return sum(
        leaf.size for model in models for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))
    )
