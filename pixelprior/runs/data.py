"""The images that a run was trained on."""

from pixelprior.data import Dataset, Symbols
from pixelprior.errors import InputError
from pixelprior.experiment import open_data
from pixelprior.runs.run import Run


def open_run_data(run: Run) -> tuple[Dataset, Symbols]:
    """Open the images that a run was trained on, with the rule that turns pixels into symbols.

    Raises:
        InputError: if there is no such data, or its shape or levels have changed.
    """
    if run.images is not None:
        return run.images
    dataset, symbols, grid = open_data(run.tokenizer_config or run.config)
    if list(grid.shape) != list(run.data["shape"]) or grid.levels != run.data["levels"]:
        raise InputError(
            f"the run was trained on images of shape {run.data['shape']} with "
            f"{run.data['levels']} levels, but {dataset.name} now has {list(grid.shape)} and "
            f"{grid.levels}; the data set has changed since"
        )
    return dataset, symbols
