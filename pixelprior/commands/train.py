"""What ``train.py`` does: from a config and a folder to something trained."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from pixelprior.devices import data_mesh
from pixelprior.errors import InputError
from pixelprior.evaluation.code_use import CodeUse, code_use, is_collapsed
from pixelprior.experiment import check_config
from pixelprior.loading import load_trained
from pixelprior.priors import Prior
from pixelprior.report import warn
from pixelprior.run_folder import RunFolder
from pixelprior.tokenizer_run import TokenizerRun, carry, make_codes, open_tokenizer_run
from pixelprior.tokenizers.vqvae import level_names
from pixelprior.training.loop import TrainResult, train
from pixelprior.training.task import Task
from pixelprior.training.tasks import PixelTask, PriorTask, TokenizerTask


def train_run(
    config: Mapping[str, Any],
    workdir: str | Path,
    *,
    tokenizer: str | Path | None = None,
    prior: str | Path | None = None,
) -> TrainResult:
    """Runs an experiment, or goes on with it where it was interrupted.

    Args:
        config: see `pixelprior.experiment.TASKS`.
        workdir: the run folder; made if it is not there.
        tokenizer: for a prior, the run folder of the tokenizer; not needed to go on with one.
        prior: for a prior that trains some levels only, the run that trained the others.

    Raises:
        InputError: if config, data or folders cannot be used.
        NonFiniteLossError: if training diverges; the last good checkpoint stays.
        CheckpointError: if there are checkpoints but none can be read.
    """
    config = dict(config)
    check_config(config)
    if config["task"] == "compare":
        raise InputError("a config of several runs is for train_list; this trains one of them")
    mesh = data_mesh()
    folder = RunFolder(workdir)
    if config["task"] == "prior":
        return _train_prior(config, folder, tokenizer, prior, mesh)
    for flag, value in (("tokenizer", tokenizer), ("prior", prior)):
        if value is not None:
            raise InputError(
                f"--{flag} is for training a prior, but the config's task is {config['task']!r}"
            )
    return train(claim_run(config, folder, mesh), config, folder, mesh)


def claim_run(config: Mapping[str, Any], folder: RunFolder, mesh: jax.sharding.Mesh) -> Task:
    """What a run on images trains, with its folder claimed for it.

    Raises:
        InputError: if the data, the model or the folder cannot be used; nothing is written then.
    """
    task = (PixelTask if config["task"] == "pixels" else TokenizerTask)(config, mesh)
    # Only traced: whatever a config asks for in vain is refused before anything is written.
    jax.eval_shape(lambda: (task.make(), None)[1])
    folder.claim(config, task.describe())
    return task


def _train_prior(
    config: Mapping[str, Any],
    folder: RunFolder,
    tokenizer: str | Path | None,
    prior: str | Path | None,
    mesh: jax.sharding.Mesh,
) -> TrainResult:
    run = _tokenizer_of(folder, tokenizer)
    names = level_names(run.tokenizer.num_levels)
    if prior is None:
        _check_begun_without(folder, config)
    # Before codes are made, which may take long.
    others = _other_levels(config, names, prior, run)
    codes = make_codes(run, data_dir=config["data_dir"], mesh=mesh)
    task = PriorTask(config, run.tokenizer, codes, run.data, others, mesh)
    for name, counts in zip(names, codes.counts, strict=True):
        for codebook in range(len(counts)):
            # One by one: a mean would hide one that has collapsed among others that have not.
            use = code_use(counts[codebook : codebook + 1])
            if is_collapsed(use, counts.shape[1]):
                warn(_collapsed(name, use, counts.shape[1], run))
    jax.eval_shape(lambda: (task.make(), None)[1])
    folder.claim(config, task.describe())
    carry(run, folder.tokenizer)
    return train(task, config, folder, mesh)


def _collapsed(level: str, use: CodeUse, codebook_size: int, run: TokenizerRun) -> str:
    return (
        f"the {level} level of the tokenizer in {run.folder.path} has collapsed: it uses its "
        f"{codebook_size} codes as if there were {use.perplexity:.1f} (perplexity), so a low loss "
        "of its prior will mean nothing. Train the tokenizer for longer, with fewer codes or "
        "another dead_share, or with the finite_scalar quantizer"
    )


def _tokenizer_of(folder: RunFolder, tokenizer: str | Path | None) -> TokenizerRun:
    """The tokenizer that is given, or else the one that the run folder carries."""
    carried = folder.tokenizer.is_dir()
    if tokenizer is None and not carried:
        raise InputError(
            "a prior is trained on the codes of a tokenizer: give the folder of its run with "
            "--tokenizer=..."
        )
    run = open_tokenizer_run(folder.tokenizer if tokenizer is None else tokenizer)
    if tokenizer is not None and carried:
        own = open_tokenizer_run(folder.tokenizer)
        if own.fingerprint != run.fingerprint:
            raise InputError(
                f"the prior in {folder.path} is of another tokenizer (fingerprint "
                f"{own.fingerprint[:16]}) than the one in {tokenizer} ({run.fingerprint[:16]}); "
                "use another --workdir, or leave --tokenizer out to go on with its own"
            )
    return run


def _check_begun_without(folder: RunFolder, config: Mapping[str, Any]) -> None:
    """Raises an InputError if a run that is to go on has levels from a prior that is not given."""
    if not (folder.path / "data.json").exists():
        return
    trained, learned = list(config["trained_levels"]), folder.data().get("learned_levels", [])
    if folder.config().get("trained_levels") == trained and not set(learned) <= set(trained):
        raise InputError(
            f"the run in {folder.path} was begun with --prior; give the same one again to go on"
        )


def _other_levels(
    config: Mapping[str, Any], names: Sequence[str], prior: str | Path | None, run: TokenizerRun
) -> tuple[Prior, Sequence[str]] | None:
    """The prior of another run that learned what this one does not train, and what it learned."""
    others = [name for name in names if name not in config["trained_levels"]]
    if prior is None:
        return None
    trained = load_trained(prior)
    if trained.task != "prior":
        raise InputError(f"--prior must be the run of a prior, but {prior} is of {trained.task!r}")
    if trained.data["tokenizer"] != run.fingerprint:
        raise InputError(
            f"the prior in {prior} is of another tokenizer than the one in {run.folder.path}; "
            "train both on the same"
        )
    unlearned = [name for name in others if name not in trained.data["learned_levels"]]
    if not others or unlearned:
        raise InputError(
            f"--prior gives the levels that this run does not train ({', '.join(others) or 'none'})"
            f", but {prior} has learned {', '.join(trained.data['learned_levels'])}"
        )
    # As JSON, as the other one's have been: a tuple has become a list.
    ours = json.loads(json.dumps(config))
    for key in ("context", "class_conditional", "label_dropout"):
        if trained.config[key] != ours[key]:
            raise InputError(
                f"config.{key} must be as in {prior}, {trained.config[key]!r}, got {ours[key]!r}"
            )
    for name in others:
        if trained.config["models"][name] != ours["models"].get(name):
            raise InputError(f"config.models.{name} must be as in {prior}, whose weights it takes")
    return trained.model, trained.data["learned_levels"]
