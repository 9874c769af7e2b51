"""What a training loop must know of what it trains: a `Task`.

The loop itself, with its steps, averages, checkpoints, signals and records, is the same for all.
"""

import abc
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from flax import nnx
from jaxtyping import Array, Float


class Loss(NamedTuple):
    """What a step computes of a batch.

    Attributes:
        value: what its gradient is taken of, a mean over the batch.
        metrics: what is recorded, by name, without "train_"; means over the batch too.
        statistics: what `Task.after_step` is given, outside the gradient; None for nothing.
    """

    value: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]
    statistics: Any = None


class Evaluation(NamedTuple):
    """What a split is like for a model.

    Attributes:
        loss: what the best checkpoint is chosen by; lower is better.
        metrics: what is recorded, by name, without the split's.
        words: the same for whoever watches.
    """

    loss: float
    metrics: dict[str, float]
    words: str


class Task(abc.ABC):
    """One kind of thing to train, on one set of data.

    Attributes:
        headline: the metric of `Loss` that a progress bar shows.
        unit: what stands beside it.
        trainable: a filter of `nnx` for the weights that gradients move.
    """

    headline: str
    unit: str
    trainable: Any = nnx.Param

    @property
    @abc.abstractmethod
    def title(self) -> str:
        """The data and how it is seen, for people."""

    @abc.abstractmethod
    def describe(self) -> Mapping[str, Any]:
        """What ``data.json`` of the run folder says: all that a model must know of its data."""

    @abc.abstractmethod
    def make(self) -> nnx.Module:
        """A fresh model, a function of the config alone."""

    @abc.abstractmethod
    def batches(self, start_step: int) -> Iterator[Mapping[str, Any]]:
        """Training batches without end, host arrays, from a step on.

        Of each batch the rows that go to this process, see `pixelprior.system.devices.rows_here`.
        """

    @abc.abstractmethod
    def loss(self, model: Any, batch: Mapping[str, Any], key: Array) -> Loss:
        """The loss of a batch, a pure function: jitted, and differentiated by `trainable`."""

    def after_step(self, model: Any, statistics: Any) -> None:  # noqa: B027 - most do nothing
        """Changes a model's other variables after a step, in a jitted function.

        Args:
            model: to be changed.
            statistics: those of `Loss`, stacked: one for each part of the batch whose gradient was
                computed by itself.
        """

    @abc.abstractmethod
    def evaluate(self, model: Any, split: str) -> Evaluation:
        """Measures a model on all of a split."""

    @abc.abstractmethod
    def picture(self, model: Any) -> Float[np.ndarray, "n h w c"] | None:
        """Draw images by the same key each time, so that progress can be seen.

        Only one of several processes does, with weights that are all its own.

        Returns:
            Pixels in [0, 1]; None where there is nothing to show.
        """
