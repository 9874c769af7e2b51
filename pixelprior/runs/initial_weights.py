"""Initial weights of a new run, from another run or model: fine-tuning."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flax import nnx

from pixelprior.errors import InputError
from pixelprior.models.base import GridModel
from pixelprior.prior import Prior
from pixelprior.progress import Caution, Message, Report
from pixelprior.runs.load import load_trained
from pixelprior.runs.run import Run
from pixelprior.runs.take_weights import Group, Names, Part, take_weights
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.code_maps import level_names
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.task import InitialWeights, Task
from pixelprior.training.tasks import PixelTask, PriorTask, TokenizerTask

Source = str | Path | Run | GridModel | VQVAE | Prior
"""A run folder, a single file, the name of a bundled model, a run, or a model."""

FEW = 0.5
"""Share of the weights below which taking them is doubtful."""


def start_from(task: Task, source: Source, folder: RunFolder | None, report: Report) -> None:
    """Set the initial weights of a task, if its run is new.

    A run with a checkpoint needs no initial weights, and the source is not read.

    Args:
        task: the task of the run.
        source: see `initial_weights`.
        folder: the folder of the run; None for a run in memory.
        report: see `initial_weights`.

    Raises:
        InputError: as `initial_weights` does.
    """
    if folder is not None and folder.has_checkpoint:
        report(Message(f"{folder.path} has a checkpoint, so --init_from has no effect"))
        return
    task.initial = initial_weights(task, source, report)


def initial_weights(task: Task, source: Source, report: Report) -> InitialWeights:
    """Take the weights of another run or model, wherever they fit the model of a task.

    See `take_weights` for what fits. The levels of a prior are matched by name, and only trained
    levels are taken. The weights of a run are the averaged weights of its best checkpoint. The
    classes of a model without a run are called by their numbers.

    Args:
        task: the task of the new run.
        source: a run folder, a single file, the name of a bundled model, a run, or a model.
        report: receives the groups of weights that are taken and fresh, and a caution if a prior is
            of another tokenizer.

    Raises:
        InputError: if the source cannot be read, is of another task or kind of model, or nothing
            fits.
    """
    origin = _open(source, report)
    fresh = task.build()
    name = _task_name(fresh)
    if origin.task != name:
        raise InputError(
            f"--init_from needs a run of the task {name!r}, but {origin.place} has the task "
            f"{origin.task!r}; give another run, or another config"
        )
    if isinstance(task, PriorTask):
        parts = _levels_of_prior(task, fresh, origin, report)
    elif isinstance(task, TokenizerTask):
        parts = _levels_of_tokenizer(fresh, origin)
    else:
        assert isinstance(task, PixelTask)
        _check_kind(fresh, origin)
        parts = [Part("", (), ())]
    facts = task.describe()
    classes = isinstance(task, PixelTask | PriorTask) and task.num_classes
    attributes = isinstance(task, PixelTask | PriorTask) and task.num_attributes
    model, groups = take_weights(
        fresh,
        origin.model,
        parts,
        names=Names(
            facts["class_names"] if classes else (),
            facts["attribute_names"] if attributes else (),
        ),
        source_names=origin.names,
    )
    taken = sum(group.taken for group in groups)
    total = taken + sum(group.fresh for group in groups)
    if not taken:
        raise InputError(
            f"no weight of {origin.place} fits the new model ({_first(groups[0].notes)}); give "
            "another run, or the settings of its model"
        )
    weights = f", {origin.provenance}" if origin.provenance else ""
    report(Message(f"initial weights from {origin.place}{weights}: {taken:,} of {total:,} taken"))
    for line in _lines(groups):
        report(Message(f"  {line}"))
    if taken < FEW * total:
        report(
            Caution(
                f"most of the initial weights are fresh; with the settings of the model in "
                f"{origin.place}, more of them fit"
            )
        )
    return InitialWeights(model, _summary(origin, groups), _kept_codebooks(model, groups))


class _Origin(NamedTuple):
    """A model whose weights are taken, and the facts about its run."""

    model: Any
    place: str
    task: str
    provenance: str
    step: int | None
    names: Names
    learned_levels: Sequence[str]
    tokenizer: str | None


def _open(source: Source, report: Report) -> _Origin:
    if isinstance(source, GridModel | VQVAE | Prior):
        levels = level_names(len(source.grids)) if isinstance(source, Prior) else ()
        classes = attributes = 0
        if isinstance(source, GridModel | Prior):
            classes = source.context_shape.num_classes
            attributes = source.context_shape.vector_features
        kind = type(source).__name__
        names = Names(*(tuple(map(str, range(num))) for num in (classes, attributes)))
        return _Origin(source, f"a {kind}", _task_name(source), "", None, names, levels, None)
    if isinstance(source, Run):
        run, place = source, "memory" if source.folder is None else str(source.folder.path)
    else:
        run, place = load_trained(source, report=report), str(source)
    return _Origin(
        run.model,
        place,
        run.task,
        run.provenance,
        run.step,
        Names(
            run.data["class_names"] if run.num_classes else (),
            run.data["attribute_names"] if run.config.get("attribute_conditional") else (),
        ),
        run.data.get("learned_levels", ()),
        run.data.get("tokenizer"),
    )


def _task_name(model: Any) -> str:
    if isinstance(model, Prior):
        return "prior"
    return "tokenizer" if isinstance(model, VQVAE) else "pixels"


def _check_kind(fresh: nnx.Module, origin: _Origin) -> None:
    ours, theirs = type(fresh).__name__, type(origin.model).__name__
    if ours != theirs:
        raise InputError(
            f"--init_from must be a {ours}, as config.model.name says, but {origin.place} is a "
            f"{theirs}"
        )


def _levels_of_tokenizer(fresh: VQVAE, origin: _Origin) -> list[Part]:
    """Match levels from the finest one, which reads the pixels."""
    names = level_names(fresh.num_levels)[::-1]
    return [
        Part(name, path, path)
        if number < origin.model.num_levels
        else Part(name, path, None, "no such level in the source")
        for number, name in enumerate(names)
        for path in [("_levels", number)]
    ]


def _levels_of_prior(task: PriorTask, fresh: Prior, origin: _Origin, report: Report) -> list[Part]:
    """Match the trained levels, and the networks that carry coarser codes to them, by name."""
    if origin.tokenizer not in (None, task.codes.facts.fingerprint):
        report(
            Caution(
                f"{origin.place} is a prior over the codes of another tokenizer, so the same code "
                "means something else there; taken weights may help less than expected"
            )
        )
    theirs = level_names(len(origin.model.grids))
    parts = []
    for number in task.trained:
        name, reason = task.names[number], ""
        there = theirs.index(name) if name in theirs else -1
        if there < 0:
            reason = "no such level in the source"
        elif name not in origin.learned_levels:
            reason = "not learned in the source"
        else:
            ours, its = type(fresh.levels[number]), type(origin.model.levels[there])
            if ours is not its:
                reason = f"a {ours.__name__} here and a {its.__name__} there"
        parts.append(Part(name, ("levels", number), None if reason else ("levels", there), reason))
        if number:
            # The top level has no context network, so the first one belongs to the second level.
            known = None if reason else ("contexts", there - 1)
            parts.append(Part(f"{name} context", ("contexts", number - 1), known, reason))
    return parts


def _kept_codebooks(model: Any, groups: Sequence[Group]) -> frozenset[int]:
    """Return the numbers of a tokenizer's levels whose codebooks are taken."""
    if not isinstance(model, VQVAE):
        return frozenset()
    whole = {group.name for group in groups if not group.fresh}
    names = level_names(model.num_levels)
    return frozenset(number for number, name in enumerate(names) if f"{name} codebook" in whole)


def _lines(groups: Sequence[Group]) -> list[str]:
    """Describe groups for people: complete groups in one line, and each other group in its own."""
    whole = [group.name for group in groups if not group.fresh and not group.notes]
    lines = [f"taken as a whole: {', '.join(whole)}"] if whole else []
    for group in groups:
        if group.name not in whole:
            total = group.taken + group.fresh
            share = f"{group.taken:,} of {total:,} taken" if group.taken else "fresh"
            lines.append(f"{group.name}: {share}; {_first(group.notes)}")
    return lines


def _first(notes: Sequence[str]) -> str:
    return notes[0] + (f", and {len(notes) - 1} more arrays" if len(notes) > 1 else "")


def _summary(origin: _Origin, groups: Sequence[Group]) -> dict[str, Any]:
    """Describe the weights as JSON."""
    return {
        "init_from": origin.place,
        "provenance": origin.provenance,
        "step": origin.step,
        "taken": {group.name: group.taken for group in groups if group.taken},
        "fresh": {group.name: group.fresh for group in groups if group.fresh},
        "notes": {group.name: list(group.notes) for group in groups if group.notes},
    }
