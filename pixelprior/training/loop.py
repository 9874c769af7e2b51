"""Training, from a task and a store to a trained model.

The phases are: make the model, resume, then step. Every ``checkpoint_every`` steps, training saves
the state, and then measures its validation loss. Progress is reported through one callback.

A run that is killed at any moment and started again ends with the same weights, bit for bit. A step
depends only on the config and the state: batches and random draws are functions of (seed, step).
"""

import contextlib
import math
import signal
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from flax import nnx

from pixelprior.data.words import plural
from pixelprior.errors import InputError
from pixelprior.progress import (
    Advance,
    Caution,
    Finished,
    Message,
    Picture,
    Record,
    Report,
    only_warnings,
)
from pixelprior.system.devices import on_this_process, put_batch
from pixelprior.system.processes import (
    from_first,
    is_first,
    several,
    wait_for_all,
)
from pixelprior.training.early_stopping import has_stalled
from pixelprior.training.interruption import Interruption, Stopped
from pixelprior.training.layout import bytes_on_each_device
from pixelprior.training.optimizer import last_learning_rate, next_learning_rate
from pixelprior.training.profile import Profile
from pixelprior.training.program import Program, make_program, schedule_of
from pixelprior.training.step import (
    StepCost,
    StepMetrics,
    TrainState,
    compile_step,
    count_parameters,
)
from pixelprior.training.store import Start, Store
from pixelprior.training.task import Evaluation, Task

JOB = "training"  # name of the job in progress reports


class NonFiniteLossError(InputError):
    """A loss or a gradient became infinite or NaN."""


class TrainResult(NamedTuple):
    """Result of a run.

    Attributes:
        step: total number of steps taken.
        stopped_by: signal that ended the run early, or None; such a run can be resumed.
        test: evaluation of the best checkpoint's averaged weights on the test split; None if the
            run is not complete.
    """

    step: int
    stopped_by: int | None
    test: Evaluation | None


def train(
    task: Task,
    config: Mapping[str, Any],
    store: Store,
    mesh: jax.sharding.Mesh,
    *,
    profile: Profile | None = None,
    report: Report = only_warnings,
) -> TrainResult:
    """Train the model of a task, or resume an interrupted run.

    Args:
        task: the model, its loss and its data.
        config: see `pixelprior.experiment.TASKS`.
        store: the place for states, records and pictures.
        mesh: the devices.
        profile: traces some of the steps; None for no trace.
        report: receives records, pictures, sentences and the number of steps taken.

    Raises:
        InputError: if the data cannot be used.
        NonFiniteLossError: if training diverges; the last good checkpoint stays.
        CheckpointError: if there are checkpoints but none can be read.
    """
    begun = time.perf_counter()
    # Only traced: a resumed run needs no fresh weights, which take seconds to make.
    graph, shapes = nnx.split(nnx.eval_shape(task.make))
    program = make_program(task, config, graph, shapes, mesh)
    run = _Run(task, config, store, graph, mesh, program, report, begun, losses={})
    processes = f" of {jax.process_count()} processes" if several() else ""
    report(Message(f"{task.title}, {plural(mesh.size, 'device')}{processes}"))

    Interruption.say_if_unheeded(report)
    with (
        # In this order, so that a second SIGTERM cannot interrupt the save after the first one.
        Interruption() as interruption,
        store,
        profile or contextlib.nullcontext(),
    ):
        state = store.restore_latest(program.state)
        if state is None:
            state = program.init(from_first(nnx.state(task.make())))
        else:
            report(Message(f"resuming at step {int(state.step)}"))
        origin = task.initial.summary if task.initial and not int(state.step) else None
        start = store.begin(int(state.step), origin)
        state = run.changed(state, start)
        state, stopped_by = run.steps(state, start, interruption, profile)
        taken, test = int(state.step), None
        if not stopped_by:
            best_step, best = store.best(state.averaged)
            with contextlib.suppress(Stopped):
                test = task.evaluate(nnx.merge(graph, best), "test", interruption.check)
            stopped_by = interruption.at_end()
        if test is None or stopped_by:
            assert stopped_by
            store.wait()
            name = signal.Signals(stopped_by).name
            report(Message(f"{name}: saved step {taken}; {store.how_to_resume}"))
            return TrainResult(taken, stopped_by, None)
        run.record(taken, best_step=best_step, **_named("test", test.metrics))
    report(Message(f"done: best step {best_step}, test {test.words} ({task.title}); {store.place}"))
    return TrainResult(taken, None, test)


class _Run(NamedTuple):
    """Everything that stays the same from step to step.

    ``begun`` is the start of the run, by `time.perf_counter`. ``losses`` are the validation losses
    so far, by step. Several processes keep them, since only the first one writes them.
    """

    task: Task
    config: Mapping[str, Any]
    store: Store
    graph: nnx.GraphDef
    mesh: jax.sharding.Mesh
    program: Program
    report: Report
    begun: float
    losses: dict[int, float]

    def record(self, step: int, **values: Any) -> None:
        """Keep one record, and report it."""
        self.store.write(step, **values)
        self.report(Record(step, values))

    def changed(self, state: TrainState, start: Start) -> TrainState:
        """Report changes to the config; return the state with an optimizer that fits them."""
        step, before = int(state.step), start.before
        if start.changes:
            words = ", ".join(f"{key} {old} -> {new}" for key, (old, new) in start.changes.items())
            self.say(f"changed from step {step} on: {words}")
        is_fresh = state.optimizer is None
        if is_fresh:
            state = self.program.renew(state)
            self.say("the state of the earlier optimizer does not fit; it starts fresh")
        if before is not None and start.changes:
            rate = next_learning_rate(state.optimizer, self.program.schedule)
            would_be = next_learning_rate(state.optimizer, schedule_of(before))
            if rate != would_be:
                self.say(
                    f"the learning rate of the next step is {rate:.3g}, by the schedule "
                    f"{self.config['schedule']!r} over {self.config['num_steps']} steps; without "
                    f"the changes it would have been {would_be:.3g}"
                )
        return state

    def steps(
        self,
        state: TrainState,
        start: Start,
        interruption: Interruption,
        profile: Profile | None,
    ) -> tuple[TrainState, int | None]:
        """Take all remaining steps, or stop early by a signal or early stopping.

        Returns:
            The state, which is saved, and the signal that ended the run, or None.
        """
        config, task = self.config, self.task
        begin, end = int(state.step), config["num_steps"]
        self.losses.update(self.store.validation_losses(begin))
        # A run that was killed after a save has not measured this state.
        if begin:
            is_last, stopped_by = self.measure(begin, state, interruption)
            if is_last or stopped_by:
                return state, stopped_by
        batches = (put_batch(batch, self.mesh) for batch in task.batches(start.position))
        first = next(batches)
        step, cost = compile_step(self.program.step, state, first)
        if begin == 0:
            self.record(begin, **self.describe(state, cost))
        # Losses stay on the device until they are read, so that the host never delays a step.
        # They are always read before a state is saved.
        pending: list[StepMetrics] = []
        skipped = 0
        since, waited = time.perf_counter(), 0.0
        self.report(Advance(JOB, begin, end, "step"))
        try:
            for number in range(begin + 1, end + 1):
                before = time.perf_counter()
                batch = first if number == begin + 1 else next(batches)
                waited += time.perf_counter() - before
                if profile is not None:
                    profile.before(number, state)
                state, step_metrics = step(state, batch)
                pending.append(step_metrics)
                if profile is not None:
                    profile.after(number, state)
                if number == begin + 1:
                    jax.block_until_ready(state)
                    self.say(
                        f"first step after {time.perf_counter() - self.begun:.1f} s, "
                        f"{cost.compile_seconds:.1f} s of them compiling"
                    )
                stopped_by, wants_save = interruption.at_step()
                due = self.is_due(number)
                saves = due or wants_save or bool(stopped_by)
                if saves or number % config["log_every"] == 0:
                    told = jax.device_get(pending)
                    values = _check_finite(told, number)
                    counted = task.counted(_total([metrics.counts for metrics in told]))
                    if counted is not None:
                        values |= _named("train", counted.metrics)
                    images = len(pending) * config["batch_size"]
                    elapsed = time.perf_counter() - since
                    rate = images / elapsed
                    self.record(
                        number,
                        **values,
                        learning_rate=last_learning_rate(state.optimizer, self.program.schedule),
                        images_per_second=rate,
                        # An upper bound: the device may have been busy meanwhile.
                        input_share=waited / elapsed,
                    )
                    skipped += int(values["skipped_steps"])
                    note = (
                        f"{values[f'train_{task.headline}']:.4g} {task.unit}, {rate:.0f} img/s"
                        + (f", {skipped} skipped" if skipped else "")
                        + (f"; {counted.words}" if counted is not None else "")
                    )
                    self.report(Advance(JOB, number, end, "step", note))
                    pending, since, waited = [], time.perf_counter(), 0.0
                # Before it is measured: measuring may take long, and a killed run repeats it.
                if saves:
                    self.store.save(state)
                if stopped_by:
                    return state, stopped_by
                if wants_save:
                    self.say(f"SIGUSR1: saved step {number}")
                if due:
                    is_last, stopped_by = self.measure(number, state, interruption)
                    if is_last or stopped_by:
                        return state, stopped_by
                    since = time.perf_counter()
        finally:
            self.report(Finished(JOB))
        return state, None

    def is_due(self, number: int) -> bool:
        """Return True if a state is to be validated or drawn, and therefore saved."""
        return self.validates(number) or (
            self.store.takes_pictures and number % self.config["sample_every"] == 0
        )

    def validates(self, number: int) -> bool:
        """Return True if a state is to be validated."""
        config = self.config
        return number >= config["num_steps"] or number % config["checkpoint_every"] == 0

    def measure(
        self, number: int, state: TrainState, interruption: Interruption
    ) -> tuple[bool, int | None]:
        """Validate a saved state and draw with it, if this is due and not done yet.

        Returns:
            True if the run ends with this state, and the signal that ended it early, or None.
        """
        try:
            if self.validates(number):
                self.validate(number, state, interruption)
            is_last = number >= self.config["num_steps"]
            if not is_last and has_stalled(list(self.losses.values()), self.config["patience"]):
                is_last = True
                self.say(
                    f"step {number}: the last, with none better in the last "
                    f"{self.config['patience']} validations"
                )
            if is_last or number % self.config["sample_every"] == 0:
                self.picture(number, state, interruption)
        except Stopped:
            return False, interruption.at_end()
        return is_last, None

    def validate(self, number: int, state: TrainState, interruption: Interruption) -> None:
        """Measure the validation loss of a saved state, and record it."""
        if number not in self.losses:
            validation = self.task.evaluate(
                self.model(state.averaged), "validation", interruption.check
            )
            loss = validation.loss
            # After steps with finite losses, the weights may still give a non-finite loss.
            if not math.isfinite(loss):
                self.store.discard(number)
                raise _diverged(f"the validation loss after step {number}", loss)
            self.record(
                number,
                **{"validation_loss": loss} | _named("validation", validation.metrics),
            )
            self.say(f"step {number}: validation {validation.words}")
            self.losses[number] = loss
        self.store.rate(number, self.losses[number])

    def picture(self, number: int, state: TrainState, interruption: Interruption) -> None:
        """Draw images with the averaged weights, and keep them. A failure is only reported."""
        if not self.store.takes_pictures:
            return
        weights = on_this_process(state.averaged)
        if is_first() and not self.store.has_picture(number):
            # Images are drawn row by row, on one device.
            model = self.model(jax.device_put(weights, jax.local_devices()[0]))
            try:
                pixels = self.task.picture(model, interruption.check_here)
                if pixels is not None:
                    self.store.picture(number, pixels)
                    self.report(Picture(number, pixels))
            except Stopped:
                pass
            # No problem with a picture ends the training.
            except Exception as error:
                reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
                self.report(Caution(f"the picture of step {number} is missing: {reason[0][:200]}"))
        wait_for_all()
        interruption.check()

    def say(self, text: str) -> None:
        """Report a sentence."""
        self.report(Message(text))

    def model(self, weights: Any) -> Any:
        return nnx.merge(self.graph, weights)

    def describe(self, state: TrainState, cost: StepCost) -> dict[str, float]:
        """Build the record before the first step."""
        values: dict[str, float] = {
            "num_parameters": count_parameters(state.weights, self.task.trainable),
            "state_memory_bytes": bytes_on_each_device(state),
            "compile_seconds": cost.compile_seconds,
        }
        if cost.memory_bytes is not None:
            values["step_memory_bytes"] = cost.memory_bytes
        return values


def _named(split: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{split}_{name}": value for name, value in metrics.items()}


def _diverged(what: str, value: float) -> NonFiniteLossError:
    return NonFiniteLossError(
        f"{what} is {value}; the last good checkpoint, if there is one, is kept. Run the same "
        "command with a lower learning_rate or clip_norm to go on from there"
    )


def _total(counts: list[Any]) -> Any:
    """Add up the counts of several steps."""
    return jax.tree.map(lambda *values: sum(values), *counts)


def _check_finite(pending: list[StepMetrics], number: int) -> dict[str, float]:
    """Build the record of the steps up to ``number``; raise if a metric of one is not finite.

    Values are means over the steps, except for the number of skipped steps.
    """
    totals: dict[str, float] = {}
    for step, told in enumerate(pending, number - len(pending) + 1):
        values = {f"train_{name}": float(value) for name, value in told.metrics.items()}
        values["gradient_norm"] = float(told.gradient_norm)
        for name, value in values.items():
            if not math.isfinite(value):
                what = "the gradient's norm" if name == "gradient_norm" else "the loss"
                raise _diverged(f"{what} of step {step}", value)
        values["update_norm"] = float(told.update_norm)
        for name, value in values.items():
            totals[name] = totals.get(name, 0.0) + value
    means = {name: total / len(pending) for name, total in totals.items()}
    return means | {"skipped_steps": sum(int(told.skipped) for told in pending)}
