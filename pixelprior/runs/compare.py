"""What ``evaluate.py --compare`` does: several runs measured alike, as a table and as figures.

Legend: n images, h height, w width, c channels.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from jaxtyping import Int

from pixelprior.data import to_pixels
from pixelprior.errors import InputError
from pixelprior.evaluation.comparison import (
    Row,
    check_comparable,
    in_short,
    markdown,
    ranked,
    recorded_test,
    table,
    training_of,
)
from pixelprior.evaluation.likelihood import evaluate_likelihood
from pixelprior.evaluation.receptive_field import centre, receptive_field
from pixelprior.figures.sheets import as_shades
from pixelprior.models.base import AutoregressiveModel
from pixelprior.runs.evaluate.evaluate import check_writable, open_trained_data
from pixelprior.runs.load import load_trained
from pixelprior.runs.run import Run
from pixelprior.sampling import sample
from pixelprior.sampling.labels import label_context
from pixelprior.system.atomic import probe_folder, write_atomically
from pixelprior.system.console import say, warn
from pixelprior.system.devices import check_batch_size, data_mesh
from pixelprior.training.metrics import read_metrics
from pixelprior.training.run_folder import RunFolder

SEED = 0  # of the samples and the receptive fields, the same for all runs
TIMED = 64  # images in a batch whose sampling is timed
REPETITIONS = 3  # of which the fastest counts
SHOWN = 12  # samples of each run in the picture
FIELD_IMAGES = 16  # samples that a receptive field is averaged over


class _Measured(NamedTuple):
    """A run, and what is drawn of it."""

    row: Row
    samples: Int[np.ndarray, "n h w c"]
    field: Any  # of the receptive field, [h w]; None for models that do not go in raster order
    levels: int


def compare_runs(
    workdirs: Sequence[str | Path],
    *,
    split: str,
    out: str | Path,
    json_file: str | Path | None,
    batch_size: int,
) -> dict[str, Any]:
    """Measures runs of models of pixels, prints one table and writes it with figures to a folder.

    The weights are the averaged ones of each run's best checkpoint.

    Args:
        workdirs: run folders, or folders of such: those of `train_list`.
        split: "test" or "validation".
        out: the folder for the table and the figures; made if it is not there.
        json_file: where to write all that was measured, or None.
        batch_size: how many images to score at once.

    Returns:
        What the JSON file holds.

    Raises:
        InputError: if a run cannot be read or is not one of pixels, the runs are not of the same
            data, or the results cannot be written.
    """
    mesh = data_mesh()
    check_batch_size(batch_size, mesh)
    out = Path(out)
    if json_file is not None:
        check_writable(Path(json_file))
    folders = run_folders(workdirs)
    check_comparable({name: (run.config(), run.data()) for name, run in folders.items()})
    prepare(out, "--out")
    measured = []
    for number, (name, folder) in enumerate(folders.items(), 1):
        say(f"{name}, run {number} of {len(folders)}")
        measured.append(_measure(name, folder, split, batch_size, mesh))
    rows = ranked([run.row for run in measured])
    by_name = {run.row.run: run for run in measured}
    data = next(iter(folders.values())).data()
    result = {
        "dataset": data["name"],
        "split": split,
        "split_description": data["splits"][split]["description"],
        "symbols": data["symbols"][split],
        "runs": [{"workdir": str(folders[row.run].path), **_as_json(row)} for row in rows],
    }
    heading = f"{data['name']}, {data['symbols'][split]}; {split} split"
    print("\n".join([heading, "", *table(rows, split)]))
    write_atomically(out / "table.md", "\n".join(markdown(rows, split)) + "\n")
    _draw([by_name[row.run] for row in rows], split, out)
    say(f"figures and table.md in {out}")
    if json_file is not None:
        write_atomically(Path(json_file), json.dumps(result, indent=2) + "\n")
        say(f"results in {json_file}")
    return result


def run_folders(
    workdirs: Sequence[str | Path], *, unfinished: bool = False
) -> dict[str, RunFolder]:
    """The runs in these folders; of a folder of runs those that can be read already.

    By the names of their folders; by their whole paths, where two have the same name.

    Args:
        workdirs: run folders, or folders of such.
        unfinished: whether to return those too that have no checkpoint yet.

    Raises:
        InputError: if there are none, or one was given twice.
    """
    if not workdirs:
        raise InputError("--compare needs run folders, as in evaluate.py --compare runs/a runs/b")
    folders = []
    for workdir in map(Path, workdirs):
        inner = sorted(path.parent for path in workdir.glob("*/config.json"))
        if (workdir / "config.json").exists() or not inner:
            folders.append(RunFolder(workdir))
            continue
        for path in inner:
            folder = RunFolder(path)
            # Made for the whole list before its first run is trained.
            if unfinished or any(folder.checkpoints.glob("[0-9]*")):
                folders.append(folder)
            else:
                warn(f"{path} has no checkpoint yet, and is left out")
        if not folders:
            raise InputError(f"no run in {workdir} has a checkpoint yet; wait for the first")
    places = [folder.path.resolve() for folder in folders]
    for folder, place in zip(folders, places, strict=True):
        if places.count(place) > 1:
            raise InputError(f"{folder.path} was given more than once")
    names = [folder.path.resolve().name for folder in folders]
    return {
        name if names.count(name) == 1 else str(folder.path): folder
        for name, folder in zip(names, folders, strict=True)
    }


def prepare(out: Path, flag: str) -> None:
    """Makes a folder for results, before the measuring, which may take long.

    Raises:
        InputError: if it cannot be written; it names the flag that it was given by.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe_folder(out)
    except OSError as error:
        raise InputError(
            f"{out} cannot be written ({error.strerror}); give another folder with {flag}"
        ) from error


def _measure(
    name: str, folder: RunFolder, split: str, batch_size: int, mesh: jax.sharding.Mesh
) -> _Measured:
    trained = load_trained(folder.path)
    config, model = trained.config, trained.model
    records = read_metrics(folder.metrics)
    test = recorded_test(records) if split == "test" else None
    if test is None:
        dataset, symbols = open_trained_data(trained)
        likelihood = evaluate_likelihood(
            model, dataset.splits[split], symbols, batch_size=batch_size, mesh=mesh
        )
        test = likelihood.nats, likelihood.bits_per_dim
    given = ", given classes" if config["class_conditional"] else ""
    samples, rate = _timed_samples(trained)
    row = Row(
        run=name,
        model=f"{config['model']['name']}{given}",
        parameters=sum(weight.size for weight in jax.tree.leaves(nnx.state(model, nnx.Param))),
        training=training_of(records, config["batch_size"]),
        num_steps=config["num_steps"],
        nats=test[0],
        bits_per_dim=test[1],
        samples_per_second=rate,
    )
    field = None
    if isinstance(model, AutoregressiveModel):
        field = receptive_field(
            model,
            key=jax.random.key(SEED),
            images=jax.numpy.asarray(samples[:FIELD_IMAGES]),
            context=label_context(model, None, FIELD_IMAGES),
        )
    return _Measured(row, samples[:SHOWN], field, model.grid.levels)


def _timed_samples(trained: Run) -> tuple[Int[np.ndarray, "n h w c"], float]:
    """A batch of samples, and how many images a second the sampler makes once it is compiled."""
    model = trained.model
    context = label_context(model, None, TIMED)

    def draw() -> Int[np.ndarray, "n h w c"]:
        return np.asarray(sample(model, jax.random.key(SEED), TIMED, context=context))

    draw()
    seconds = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        samples = draw()
        seconds.append(time.perf_counter() - start)
    return samples, TIMED / min(seconds)


def _as_json(row: Row) -> dict[str, Any]:
    values = row._asdict() | row.training._asdict()
    del values["training"]
    values["curve"] = [
        {"step": step, "minutes": minutes, "validation_nats": nats}
        for step, minutes, nats in row.training.curve
    ]
    return values


def _draw(runs: Sequence[_Measured], split: str, out: Path) -> None:
    """The figures, with the runs in this order."""
    # Matplotlib takes a while to import, and nothing else needs it.
    from pixelprior.figures import plots

    rows = [run.row for run in runs]
    names = [row.run for row in rows]
    # Nats are what is quoted for binary images, bits per dimension for all others.
    binary = runs[0].levels == 2
    unit, scale = ("nats", 1.0) if binary else ("bits/dim", rows[0].bits_per_dim / rows[0].nats)
    plots.save_learning_curves(
        {
            row.run: [(step, minutes, nats * scale) for step, minutes, nats in row.training.curve]
            for row in rows
        },
        unit,
        out / "learning_curves.png",
    )
    bits = f"{split} bits/dim"
    plots.save_bars(
        names,
        {
            bits: [(row.bits_per_dim, f"{row.bits_per_dim:.4f}") for row in rows],
            "parameters": [(row.parameters, f"{row.parameters:,}") for row in rows],
            "images/s, training": [_bar(row.training.images_per_second) for row in rows],
            "images/s, sampling": [_bar(row.samples_per_second) for row in rows],
            "memory of a step, MB": [_bar(row.training.memory_bytes, 1e-6) for row in rows],
        },
        out / "bars.png",
        dots=[bits],
    )
    if runs[0].samples.shape[-1] in (1, 3):
        plots.save_rows(
            {
                run.row.run: as_shades(to_pixels(run.samples, run.levels)).astype(np.uint8)
                for run in runs
            },
            out / "samples.png",
        )
    fields = {run.row.run: run.field for run in runs if run.field is not None}
    if fields:
        height, width = next(iter(fields.values())).shape
        plots.save_receptive_fields(fields, centre(height, width), out / "receptive_fields.png")


def _bar(value: float | None, scale: float = 1.0) -> tuple[float, str] | None:
    """A value and how it is written."""
    return None if value is None else (value * scale, in_short(value * scale))
