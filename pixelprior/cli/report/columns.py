"""Columns of the table of a group of runs, and their cells, by task."""

from collections.abc import Callable, Mapping
from typing import Any

from pixelprior.cli.report.elements import NOTHING, Column, with_error
from pixelprior.cli.tables.comparison import in_short
from pixelprior.experiment.conditioning import conditioning_in_words
from pixelprior.runs.compared import ComparedRun

Cell = Callable[[Mapping[str, Any]], str]


def _number(name: str, form: str) -> Cell:
    """Format a result."""
    return lambda measured: format(measured[name], form) if name in measured else NOTHING


def _mean(name: str, form: str) -> Cell:
    """Format a result with its standard error, which baselines do not have."""

    def cell(measured: Mapping[str, Any]) -> str:
        if f"{name}_error" not in measured:
            return _number(name, form)(measured)
        return with_error(measured[name], measured[f"{name}_error"], form)

    return cell


RESULTS: dict[str, dict[Column, Cell]] = {
    "pixels": {
        Column("nats/image"): _mean("nats", ".2f"),
        Column("bits/dim"): _number("bits_per_dim", ".4f"),
    },
    "tokenizer": {
        Column("MSE"): _mean("squared_error", ".6f"),
        Column("PSNR, dB"): _number("psnr", ".2f"),
        Column("SSIM", minor=True): _number("ssim", ".4f"),
        Column("LPIPS", minor=True): _number("lpips", ".4f"),
        Column("bits of codes"): _number("code_bits", ",.0f"),
    },
    "prior": {
        Column("nats/image"): _mean("nats", ".2f"),
        Column("bits/code"): _number("bits_per_code", ".4f"),
        Column("bits/dim with decoder"): _number("bits_per_dim", ".4f"),
    },
}
"""Columns of the results of each task. Baselines have cells in them too."""


def _parameters(run: ComparedRun) -> str:
    return NOTHING if run.num_parameters is None else f"{run.num_parameters:,}"


def _steps(run: ComparedRun) -> str:
    steps, planned = run.training.steps, run.config["num_steps"]
    # A file has no records of its training.
    if steps == 0:
        return NOTHING
    return f"{steps:,}" if steps >= planned else f"{steps:,} of {planned:,}"


def _minutes(run: ComparedRun) -> str:
    return f"{run.training.minutes:.1f}" if run.training.steps else NOTHING


def _speed(run: ComparedRun) -> str:
    speed = run.training.images_per_second
    return NOTHING if speed is None else in_short(speed)


TRAINING: dict[str, Callable[[ComparedRun], str]] = {
    "parameters": _parameters,
    "steps": _steps,
    "minutes": _minutes,
    "training images/s": _speed,
}
"""Figures of the training. Narrow pages show them only in the card of each run."""


def model_of(run: ComparedRun) -> str:
    """Name the model of a run."""
    config = run.config
    conditioning = conditioning_in_words(config)
    given = f", {conditioning}" if conditioning else ""
    if run.task == "pixels":
        return config["model"]["name"] + given
    if run.task == "tokenizer":
        return f"{config['tokenizer']['name']}, {config['quantizer']['name']} quantizer"
    return " + ".join(model["name"] for model in config["models"].values()) + given
