"""Protocol of measures. Each task has one measure, with the same arguments and results."""

import itertools
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from pixelprior.data import Dataset, Split, Symbols
from pixelprior.evaluation.reconstruction import Reconstruction, evaluate_reconstruction
from pixelprior.progress import Advance, Check, Report, only_warnings
from pixelprior.runs.run import Run
from pixelprior.tokenizers import VQVAE

JOBS = SCORING, RASTER, MARGINAL, RECONSTRUCTING = (
    "evaluate",
    "evaluate in raster order",
    "evaluate under all classes",
    "reconstruct",
)
"""Names of the jobs in reports of progress."""

ORDER_SEEDS = range(4)
"""Seeds of the random orders in which any-order models are measured."""


class Held(NamedTuple):
    """Images to measure a run on.

    Attributes:
        dataset: the data set of the run.
        symbols: the conversion from pixels to symbols.
        images: the split of the data set to measure on, or its first images.
        batch_size: the number of images to measure at once.
        mesh: the devices.
        report: receives the progress.
    """

    dataset: Dataset
    symbols: Symbols
    images: Split
    batch_size: int
    mesh: jax.sharding.Mesh
    report: Report = only_warnings

    @property
    def is_limited(self) -> bool:
        """True if the split has more images than these."""
        return len(self.images) < len(self.dataset.splits[self.images.name])

    def progress(self, job: str) -> Check:
        """Return a function to call before each batch, which reports the images done so far."""
        batches = itertools.count()

        def advance() -> None:
            done = min(next(batches) * self.batch_size, len(self.images))
            self.report(Advance(job, done, len(self.images), "image"))

        return advance

    def reconstruction(self, tokenizer: VQVAE, *, variance: float) -> Reconstruction:
        """Measure how well a tokenizer reconstructs the images; see `evaluate_reconstruction`."""
        return evaluate_reconstruction(
            tokenizer,
            self.images,
            self.symbols,
            variance=variance,
            batch_size=self.batch_size,
            mesh=self.mesh,
            check=self.progress(RECONSTRUCTING),
        )


class Measured(NamedTuple):
    """Results of a run on a split.

    Attributes:
        result: the results by name, in types that JSON supports.
        per_image: the values of each image, by name, in the order of the split.
    """

    result: dict[str, Any]
    per_image: dict[str, np.ndarray]


class Measure(Protocol):
    """A function that measures runs of one task."""

    def __call__(self, run: Run, held: Held, *, baselines: bool) -> Measured:
        """Measure a run.

        Args:
            run: a run of this task.
            held: the images; they are not in the training data of the run.
            baselines: fit and measure the baselines too.
        """
