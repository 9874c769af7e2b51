"""Training, from a config and a folder to a trained model.

The phases: claim the folder, open the data, build the model, resume, then step; and at every
``checkpoint_every`` steps measure the validation NLL and save.

Killed at any moment and started again, a run ends with the same weights, bit for bit: the state is
all that a step depends on beside the config, since batch and dropout are functions of (seed, step).
"""

import math
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from tqdm import tqdm

from pixelprior.data import Dataset, Symbols, training_batches
from pixelprior.devices import check_batch_size, data_mesh, put_batch, replicated
from pixelprior.errors import InputError
from pixelprior.evaluation.likelihood import Likelihood, check_labels, evaluate_likelihood
from pixelprior.experiment import build_model, check_config, open_data
from pixelprior.keys import named_key
from pixelprior.pictures import save_grid
from pixelprior.report import say, warn
from pixelprior.run_folder import RunFolder
from pixelprior.sampling import sample
from pixelprior.sampling.labels import label_context
from pixelprior.training.checkpoints import Checkpoints
from pixelprior.training.interruption import Interruption
from pixelprior.training.metrics import MetricsFile
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.step import TrainState, init_state, make_train_step


class NonFiniteLossError(InputError):
    """The loss became infinite or not a number."""


class TrainResult(NamedTuple):
    """How a run ended.

    Attributes:
        step: how many steps have been taken in all.
        stopped_by: the signal that ended it early, if one did; it can be resumed.
        test: the test NLL of the best checkpoint's averaged weights, for a run that is complete.
    """

    step: int
    stopped_by: int | None
    test: Likelihood | None


def train(config: Mapping[str, Any], workdir: str | Path) -> TrainResult:
    """Runs an experiment, or goes on with it where it was interrupted.

    Args:
        config: see `pixelprior.experiment.KEYS`.
        workdir: the run folder; made if it is not there.

    Raises:
        InputError: if config, data or folder cannot be used.
        NonFiniteLossError: if training diverges; the last good checkpoint stays.
        CheckpointError: if there are checkpoints but none can be read.
    """
    config = dict(config)
    check_config(config)
    mesh = data_mesh()
    check_batch_size(config["batch_size"], mesh)
    folder = RunFolder(workdir)
    dataset, symbols, grid = open_data(config)
    num_classes = len(dataset.class_names) if config["class_conditional"] else 0
    model = build_model(config["model"], grid, num_classes=num_classes, seed=config["seed"])
    folder.claim(config, _describe(dataset, symbols))

    optimizer, schedule = make_optimizer(
        num_steps=config["num_steps"],
        learning_rate=config["learning_rate"],
        warmup_steps=config["warmup_steps"],
        weight_decay=config["weight_decay"],
        clip_norm=config["clip_norm"],
    )
    graph, weights = nnx.split(model)
    state = jax.device_put(init_state(weights, optimizer), replicated(mesh))
    run = _Run(config, folder, dataset, symbols, num_classes, graph, mesh, schedule)
    say(f"{run.title()}, {mesh.size} device(s)")

    with (
        # In this order, so that a second SIGTERM cannot cut short what the first one saves.
        Interruption() as interruption,
        Checkpoints(folder.checkpoints, warn=warn) as checkpoints,
    ):
        resumed = checkpoints.restore_latest(state)
        if resumed is not None:
            state = resumed
            say(f"resuming at step {int(state.step)}")
        metrics = MetricsFile(folder.path / "metrics.jsonl", resume_step=int(state.step))
        step = make_train_step(
            graph,
            optimizer,
            ema_decay=config["ema_decay"],
            dropout_key=named_key(config["seed"], "dropout"),
        )
        state = run.steps(state, step, checkpoints, metrics, interruption)
        taken = int(state.step)
        if interruption.signal is not None:
            checkpoints.wait()
            name = signal.Signals(interruption.signal).name
            say(f"{name}: saved step {taken}; run the same command to go on")
            return TrainResult(taken, interruption.signal, None)
        best_step = checkpoints.best_step()
        assert best_step is not None
        best_step, best = checkpoints.restore_weights(best_step, state.averaged, averaged=True)
        test = run.likelihood(best, "test")
        metrics.write(taken, best_step=best_step, **_as_metrics("test", test))
    say(
        f"done: best step {best_step}, test NLL {test.nats:.3f} nats, "
        f"{test.bits_per_dim:.4f} bits/dim ({run.title()}); everything lies in {folder.path}"
    )
    return TrainResult(taken, None, test)


class _Run(NamedTuple):
    """What stays the same from step to step."""

    config: Mapping[str, Any]
    folder: RunFolder
    dataset: Dataset
    symbols: Symbols
    num_classes: int
    graph: nnx.GraphDef
    mesh: jax.sharding.Mesh
    schedule: Any

    def title(self) -> str:
        return f"{self.dataset.name}, {self.symbols.describe('train')}"

    def likelihood(self, weights: Any, split: str) -> Likelihood:
        return evaluate_likelihood(
            nnx.merge(self.graph, weights),
            self.dataset.splits[split],
            self.symbols,
            batch_size=self.config["batch_size"],
            mesh=self.mesh,
        )

    def steps(
        self,
        state: TrainState,
        step: Any,
        checkpoints: Checkpoints,
        metrics: MetricsFile,
        interruption: Interruption,
    ) -> TrainState:
        """Takes all steps that are left, or as many as a signal allows."""
        config = self.config
        start, end = int(state.step), config["num_steps"]
        split = self.dataset.splits["train"]
        batches = training_batches(
            split,
            self.symbols,
            batch_size=config["batch_size"],
            seed=config["seed"],
            flip=config["flip"],
            start_step=start,
        )
        # Losses stay on the device until they are looked at, so that the host never holds up a
        # step; and they are always looked at before a state is saved.
        pending: list[Any] = []
        since = time.perf_counter()
        with tqdm(total=end, initial=start, unit="step", disable=start == end) as bar:
            for number in range(start + 1, end + 1):
                batch = next(batches)
                check_labels(self.num_classes, batch["label"], split)
                state, step_metrics = step(state, put_batch(batch, self.mesh))
                pending.append(step_metrics)
                last = number == end
                stop = interruption.signal is not None
                due = last or number % config["checkpoint_every"] == 0
                if stop or due or number % config["log_every"] == 0:
                    values = _check_finite(jax.device_get(pending), number)
                    images = len(pending) * config["batch_size"]
                    rate = images / (time.perf_counter() - since)
                    metrics.write(
                        number,
                        **values,
                        learning_rate=float(self.schedule(number - 1)),
                        images_per_second=rate,
                    )
                    bar.set_postfix_str(f"{values['train_bits_per_dim']:.3f} b/d, {rate:.0f} img/s")
                    bar.update(number - bar.n)
                    pending, since = [], time.perf_counter()
                if due:
                    validation = self.likelihood(state.averaged, "validation")
                    # Steps of finite loss can still end in weights of none.
                    if not math.isfinite(validation.nats):
                        raise _diverged(f"the validation NLL after step {number}", validation.nats)
                    metrics.write(number, **_as_metrics("validation", validation))
                    bar.write(
                        f"step {number}: validation {validation.nats:.3f} nats, "
                        f"{validation.bits_per_dim:.4f} bits/dim",
                        file=sys.stderr,
                    )
                # Before the state is saved: what was saved is not done again.
                if last or number % config["sample_every"] == 0:
                    self.draw_samples(state.averaged, number)
                if due:
                    checkpoints.save(state, validation_nats=validation.nats)
                elif stop:
                    checkpoints.save(state)
                if due or number % config["sample_every"] == 0:
                    since = time.perf_counter()
                if stop:
                    break
        return state

    def draw_samples(self, weights: Any, number: int) -> None:
        """Writes a picture of samples; the same key each time, so that progress can be seen."""
        model = nnx.merge(self.graph, weights)
        num = self.config["num_samples"]
        if model.grid.channels not in (1, 3):
            return
        symbols = sample(
            model,
            named_key(self.config["seed"], "samples"),
            num,
            context=label_context(model, None, num),
        )
        path = self.folder.samples / f"step_{number:07d}.png"
        save_grid(np.asarray(symbols), model.grid.levels, path)


def _describe(dataset: Dataset, symbols: Symbols) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "shape": dataset.shape,
        "levels": symbols.levels,
        "native_levels": dataset.native_levels,
        "symbols": {split: symbols.describe(split) for split in dataset.splits},
        "splits": {
            name: {"description": split.description, "images": len(split)}
            for name, split in dataset.splits.items()
        },
        "class_names": dataset.class_names,
        "note": dataset.note,
    }


def _as_metrics(split: str, likelihood: Likelihood) -> dict[str, float]:
    return {
        f"{split}_nats": likelihood.nats,
        f"{split}_bits_per_dim": likelihood.bits_per_dim,
    }


def _diverged(what: str, value: float) -> NonFiniteLossError:
    return NonFiniteLossError(
        f"{what} is {value}; the last good checkpoint, if there is one, is kept. Try a lower "
        "learning_rate or clip_norm, or a longer warm-up, in another --workdir"
    )


def _check_finite(pending: list[Any], number: int) -> dict[str, float]:
    """The means of the steps up to ``number``; raises if one of them was not finite."""
    losses = [float(metrics.bits_per_dim) for metrics in pending]
    norms = [float(metrics.gradient_norm) for metrics in pending]
    for step, (loss, norm) in enumerate(zip(losses, norms, strict=True), number - len(losses) + 1):
        if not math.isfinite(loss):
            raise _diverged(f"the loss of step {step}", loss)
        if not math.isfinite(norm):
            raise _diverged(f"the gradient's norm of step {step}", norm)
    return {
        "train_bits_per_dim": sum(losses) / len(losses),
        "gradient_norm": sum(norms) / len(norms),
    }
