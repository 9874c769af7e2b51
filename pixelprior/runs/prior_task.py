"""Inputs for training a prior: a tokenizer, its codes, and levels trained by another run."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from pixelprior.errors import InputError
from pixelprior.evaluation.code_use import CodeUse, code_use, is_collapsed
from pixelprior.experiment import SAME_PLACE, Place, count_attributes
from pixelprior.experiment.differences import differences
from pixelprior.experiment.schema import NEUTRAL
from pixelprior.prior import Prior
from pixelprior.progress import Caution, Report
from pixelprior.runs.load import load_trained
from pixelprior.runs.run import Run
from pixelprior.runs.tokenizer import TokenizerRun, make_codes, open_tokenizer_run
from pixelprior.system.processes import first_then_others
from pixelprior.tokenizers.code_maps import level_names
from pixelprior.training.run_folder import RunFolder
from pixelprior.training.tasks import PriorTask

_ATTRIBUTES = ("attribute_names", "attribute_contents")
"""Facts about the attributes of the images."""


def open_prior_task(
    config: Mapping[str, Any],
    folder: RunFolder | None,
    tokenizer: str | Path | Run | None,
    prior: str | Path | None,
    mesh: jax.sharding.Mesh,
    *,
    model: Prior | None = None,
    in_memory: bool = False,
    place: Place = SAME_PLACE,
    report: Report,
) -> tuple[PriorTask, TokenizerRun]:
    """Open the task of a prior, and the run of its tokenizer.

    Missing codes are made in the folder of the tokenizer. Nothing else is written. If there are
    several processes, all read the checkpoints together, and the first one makes the codes.

    Args:
        config: a config of the task "prior".
        folder: the folder of the prior, which may contain a tokenizer; None if there is none yet.
        tokenizer: the run of a tokenizer, or its folder. Not needed if ``folder`` contains one.
        prior: the run that trained the other levels, if this prior trains only some levels.
        mesh: the devices.
        model: see `PriorTask`.
        in_memory: keep the codes in memory.
        place: the place of the images, if they have moved since the tokenizer was trained.
        report: receives a caution for each codebook that has collapsed.

    Raises:
        InputError: if config, data or folders cannot be used.
    """
    if place.data_dir is None and config["data_dir"]:
        place = place._replace(data_dir=config["data_dir"])
    run = _tokenizer_of(folder, tokenizer, place, report)
    names = level_names(run.tokenizer.num_levels)
    if prior is None and folder is not None:
        _check_begun_without(folder, config)
    encoded = run
    if config["attribute_conditional"]:
        with first_then_others():
            encoded = _with_attributes(run, config, folder, report)
    data = encoded.run.data
    count_attributes(config, data["attribute_names"], data["name"])  # raises if there are none
    # Check this first, because making codes may take long.
    others = _other_levels(config, names, prior, run, data, report)
    with first_then_others():
        codes = make_codes(encoded, in_memory=in_memory, report=report)
    for name, counts in zip(names, codes.counts, strict=True):
        for codebook in range(len(counts)):
            # Check each codebook, because a mean would hide one that has collapsed.
            use = code_use(counts[codebook : codebook + 1])
            if is_collapsed(use, counts.shape[1]):
                report(Caution(_collapsed(name, use, counts.shape[1], run)))
    task = PriorTask(config, run.tokenizer, codes, data, others, mesh, model=model)
    if run.run.images is not None:
        # The run of the prior has no folder either, and reads these images.
        run = run._replace(run=dataclasses.replace(run.run, images=encoded.run.images))
    return task, run


def _with_attributes(
    run: TokenizerRun, config: Mapping[str, Any], folder: RunFolder | None, report: Report
) -> TokenizerRun:
    """Return the run of a tokenizer with the attributes of its images, for a prior.

    A new prior takes the attributes that the images have now. A resumed one keeps its own.
    """
    trained = run.run
    if folder is None or not folder.has_checkpoint or trained.images is not None:
        return run._replace(run=trained.with_attributes(report))
    folder.check_identity(config)
    facts = folder.data()
    own = {key: facts[key] for key in _ATTRIBUTES}
    return run._replace(
        run=dataclasses.replace(
            trained,
            config={**trained.config, "attribute_conditional": True},
            data={**trained.data, **own},
        )
    )


def _collapsed(level: str, use: CodeUse, codebook_size: int, run: TokenizerRun) -> str:
    return (
        f"the {level} level of the tokenizer in {run.place} has collapsed: it uses its "
        f"{codebook_size} codes as if there were {use.perplexity:.1f} (perplexity), so a low loss "
        "of its prior will mean nothing. Train the tokenizer for longer, with fewer codes or "
        "another dead_share, or with the finite_scalar quantizer"
    )


def _tokenizer_of(
    folder: RunFolder | None, tokenizer: str | Path | Run | None, place: Place, report: Report
) -> TokenizerRun:
    """Open the given tokenizer, or else the one in the run folder."""
    carried = folder.tokenizer if folder is not None and folder.tokenizer.is_dir() else None
    if tokenizer is None:
        if carried is None:
            raise InputError(
                "a prior is trained on the codes of a tokenizer: give the folder of its run with "
                "--tokenizer=..."
            )
        return open_tokenizer_run(carried, report, place=place)
    run = open_tokenizer_run(tokenizer, report, place=place)
    # Without a checkpoint, nothing was trained on the codes of the old tokenizer.
    if folder is not None and carried is not None and folder.has_checkpoint:
        own = open_tokenizer_run(carried, report)
        if own.fingerprint != run.fingerprint:
            raise InputError(
                f"the prior in {carried.parent} is of another tokenizer (fingerprint "
                f"{own.fingerprint[:16]}) than the one in {run.place} ({run.fingerprint[:16]}); "
                "use another --workdir, or leave --tokenizer out to use its own"
            )
    return run


def _check_begun_without(folder: RunFolder, config: Mapping[str, Any]) -> None:
    """Raise an InputError if a resumed run has levels of another prior, but no prior is given."""
    if not folder.has_data:
        return
    trained, learned = list(config["trained_levels"]), folder.data().get("learned_levels", [])
    if folder.config().get("trained_levels") == trained and not set(learned) <= set(trained):
        raise InputError(
            f"the run in {folder.path} was started with --prior; give the same prior to resume"
        )


def _other_levels(
    config: Mapping[str, Any],
    names: Sequence[str],
    prior: str | Path | None,
    run: TokenizerRun,
    data: Mapping[str, Any],
    report: Report,
) -> tuple[Prior, Sequence[str]] | None:
    """Load the prior that trained the other levels, and the names of all levels it trained."""
    others = [name for name in names if name not in config["trained_levels"]]
    if prior is None:
        return None
    trained = load_trained(prior, report=report)
    if trained.task != "prior":
        raise InputError(f"--prior must be the run of a prior, but {prior} is of {trained.task!r}")
    if trained.data["tokenizer"] != run.fingerprint:
        raise InputError(
            f"the prior in {prior} is of another tokenizer than the one in {run.place}; "
            "train both on the same"
        )
    unlearned = [name for name in others if name not in trained.data["learned_levels"]]
    if not others or unlearned:
        raise InputError(
            f"--prior gives the levels that this run does not train ({', '.join(others) or 'none'})"
            f", but {prior} has learned {', '.join(trained.data['learned_levels'])}"
        )
    for key in ("context", "class_conditional", "attribute_conditional", "label_dropout"):
        if differences({key: trained.config[key]}, {key: config[key]}, NEUTRAL):
            raise InputError(
                f"config.{key} must be as in {prior}, {trained.config[key]!r}, got {config[key]!r}"
            )
    if config["attribute_conditional"] and any(trained.data[x] != data[x] for x in _ATTRIBUTES):
        raise InputError(
            f"the prior in {prior} was trained with other attributes of the images; train both on "
            "the same"
        )
    for name in others:
        theirs, wanted = (
            {"models": {name: c["models"].get(name)}} for c in (trained.config, config)
        )
        if differences(theirs, wanted, NEUTRAL):
            raise InputError(f"config.models.{name} must be as in {prior}, whose weights it takes")
    return trained.model, trained.data["learned_levels"]
