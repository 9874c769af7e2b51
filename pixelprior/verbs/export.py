"""Export of a run to one file."""

from pathlib import Path
from typing import Any

from pixelprior.progress import Report, only_warnings
from pixelprior.runs.one_file.export import export_run
from pixelprior.runs.run import Run
from pixelprior.verbs.arguments import loaded


def export(
    run: Run | str | Path,
    out: str | Path,
    *,
    dtype: str = "float32",
    card: str | Path | None = None,
    measured: bool = True,
    overwrite: bool = False,
    report: Report = only_warnings,
) -> dict[str, Any]:
    """Write a run to one safetensors file, which `load` and `load_trained` read.

    The file has the averaged weights of the best checkpoint, the config, facts about the data,
    class names and results. A prior's file has its tokenizer too. The file names no folder and no
    image file of the user.

    With "int8", each output channel of a kernel has one scale. The other weights stay float32.

    Examples:
        >>> pp.export(run, "model.safetensors", dtype="int8")["cost"]

    Args:
        run: a run, as from `fit` or `load_trained`, or a place that `load_trained` accepts.
        out: the file, ``NAME.safetensors``.
        dtype: the type of the stored kernels: "float32", "bfloat16" or "int8".
        card: the Markdown file of a model card; None for no card.
        measured: measure the test split in float32 and in ``dtype``, if its images are there.
        overwrite: replace files that exist.
        report: receives the cost of ``dtype``.

    Returns:
        ``path``, ``num_bytes``, ``num_parameters``, ``figures``, ``cost`` and ``fingerprint``. The
        cost is the change by ``dtype`` of bits/dim, of a tokenizer's squared error, or of a prior's
        bits/code. It is None if it was not measured.

    Raises:
        InputError: if the run cannot be read, or a file exists or cannot be written.
    """
    return export_run(
        loaded(run, report),
        out,
        dtype=dtype,
        card=card,
        measured=measured,
        overwrite=overwrite,
        report=report,
    )._asdict()
