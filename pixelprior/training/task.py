"""Interface between the training loop and a model to train: a `Task`.

The loop is the same for all tasks, with its steps, averages, checkpoints, signals and records.
"""

import abc
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Key

from pixelprior.data import START, Position
from pixelprior.data.manifest import Manifest
from pixelprior.progress import Check, go_on


class Loss(NamedTuple):
    """Result of a step's loss on a batch.

    Attributes:
        value: value to differentiate, a mean over the batch.
        metrics: values to record, by name, without "train_"; means over the batch too.
        statistics: input of `Task.after_step`, outside the gradient; None for nothing.
        counts: counts over the batch, input of `Task.counted`; None for nothing.
    """

    value: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]
    statistics: Any = None
    counts: Any = None


class Counted(NamedTuple):
    """Values of the counts of several steps.

    Attributes:
        metrics: values to record, by name, without "train_".
        words: the same values as short text, for a progress bar.
    """

    metrics: dict[str, float]
    words: str


class Evaluation(NamedTuple):
    """Evaluation of a model on a split.

    Attributes:
        loss: value that selects the best checkpoint; lower is better.
        metrics: values to record, by name, without the name of the split.
        words: the same values as text for people.
    """

    loss: float
    metrics: dict[str, float]
    words: str


class InitialWeights(NamedTuple):
    """Weights that a new run takes from another model.

    Attributes:
        model: the model with these weights.
        summary: source of the weights, and the numbers of weights that are taken and fresh.
        kept_codebooks: numbers of a tokenizer's levels whose codebooks are taken, 0 for the
            coarsest.
    """

    model: Any
    summary: Mapping[str, Any]
    kept_codebooks: frozenset[int] = frozenset()


class Task(abc.ABC):
    """One kind of model to train, on one data set.

    Attributes:
        headline: metric of `Loss` that a progress bar shows.
        unit: unit of the headline.
        trainable: filter of `nnx` for the trainable weights.
        initial: weights of another model for a new run; None for fresh weights.
    """

    headline: str
    unit: str
    trainable: Any = nnx.Param
    initial: InitialWeights | None = None

    @property
    @abc.abstractmethod
    def title(self) -> str:
        """Description of the data and their symbols, for people."""

    @abc.abstractmethod
    def describe(self) -> Mapping[str, Any]:
        """Return the contents of ``data.json``: all facts about the data that a model needs."""

    @property
    def manifest(self) -> Manifest | None:
        """Files of the data set; None if it does not consist of image files."""
        return None

    @abc.abstractmethod
    def build(self) -> Any:
        """Build a model with fresh weights, a function of the config alone."""

    def make(self) -> Any:
        """Make the model of the first step. It has the weights of `initial`, if there are any."""
        return self.build() if self.initial is None else self.initial.model

    @abc.abstractmethod
    def batches(self, start: Position = START) -> Iterator[Mapping[str, Any]]:
        """Yield training batches without end, as host arrays, from a position on.

        Each batch has only the rows of this process, see `pixelprior.system.devices.rows_here`.
        """

    @abc.abstractmethod
    def loss(self, model: Any, batch: Mapping[str, Any], keys: Key[Array, " b"]) -> Loss:
        """Compute the loss of a batch. Each image draws random values from its own key.

        It is a pure function, jitted, and differentiated by `trainable`.
        """

    def after_step(self, model: Any, statistics: Any) -> None:  # noqa: B027 - most do nothing
        """Change a model's other variables after a step, in a jitted function.

        Args:
            model: the model; changed in place.
            statistics: those of `Loss`, stacked: one for each part of the batch with a gradient of
                its own.
        """

    def counted(self, counts: Any) -> Counted | None:
        """Compute the values of the counts of `Loss`, added up over recent steps, on the host."""
        del counts
        return None

    @abc.abstractmethod
    def evaluate(self, model: Any, split: str, check: Check = go_on) -> Evaluation:
        """Evaluate a model on a whole split. Before each batch, call ``check``."""

    @abc.abstractmethod
    def picture(self, model: Any, check: Check = go_on) -> Float[np.ndarray, "n h w c"] | None:
        """Draw images with the same key each time, so that progress is visible.

        Only one of several processes draws, with weights on its own devices.

        Args:
            model: the model, with these weights.
            check: called often while drawing, to end it by an exception.

        Returns:
            Pixels in [0, 1]; None where there is nothing to show.
        """
