"""Measures of samples and real images: features, classes and simple statistics.

Legend: n images, h height, w width, c channels.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from pixelprior.data import Dataset
from pixelprior.errors import InputError
from pixelprior.evaluation import sample_quality as quality
from pixelprior.evaluation.classifier import Classifier
from pixelprior.evaluation.classifier_features import classifier_extractor, open_classifier
from pixelprior.evaluation.features import Extractor, Features, Images
from pixelprior.evaluation.inception_features import inception_extractor
from pixelprior.evaluation.lpips import has_lpips, lpips_diversity
from pixelprior.evaluation.memorisation import Memorisation, memorisation
from pixelprior.evaluation.read import read_shades, read_symbols
from pixelprior.evaluation.sample_classes import judge_codes, judge_samples
from pixelprior.evaluation.sample_statistics import (
    flags,
    histogram_distance,
    sample_statistics,
)
from pixelprior.progress import Caution, Message, Report, only_warnings
from pixelprior.runs.evaluate.measure import Held
from pixelprior.runs.run import Run
from pixelprior.runs.sample_set import SampleSet

REFERENCE_IMAGES = 10_000
"""Largest number of random training images in the reference set of samples."""

MAX_TRAINING_IMAGES = 60_000
"""Largest number of training images, from the first, in the search for nearest images."""

SHOWN = 12  # number of samples in the picture of nearest training images


@dataclasses.dataclass(frozen=True, eq=False)
class Exhibit:
    """Samples and real images, with the features of both.

    Attributes:
        run: the run of the samples.
        held: the real images as a data set.
        samples: all samples.
        test: real images outside the training data of the model.
        test_labels: the classes of ``test``.
        train: the first training images.
        chosen: the indices of the reference images in ``train``.
        extractor: the network whose features are compared.
        generated: features of the samples.
        real: features of the real images.
        reference: features of the reference images.
        report: receives the progress.
    """

    run: Run
    held: Held
    samples: SampleSet
    test: Images
    test_labels: Int[np.ndarray, " n"]
    train: Images
    chosen: Int[np.ndarray, " m"]
    extractor: Extractor
    generated: Features
    real: Features
    reference: Features
    report: Report

    @functools.cached_property
    def classifier(self) -> Classifier | None:
        """Classifier of the data set; None for data without classes."""
        dataset = self.held.dataset
        return open_classifier(dataset, self.report) if dataset.class_names else None

    @functools.cached_property
    def near(self) -> dict[str, Memorisation]:
        """Nearest training images of samples, by pixels and, if there are classes, by features."""
        train, test, images = self.train, self.test, self.samples.images
        near = {"pixels": memorisation(_flat(train), _flat(test), _flat(images))}
        own = self.classifier
        if own is not None:
            # This extracts features of all training images. Inception would take hours.
            ours = self.real, self.generated
            if self.extractor.name != "classifier":
                ours = own.extract(test), own.extract(images)
            near["features"] = memorisation(
                own.extract(train).vectors, *(features.vectors for features in ours)
            )
        return near

    @functools.cached_property
    def nearest(self) -> UInt8[np.ndarray, "r n h w c"] | None:
        """Rows of samples nearest to training images, and of those images; see `Judged`."""
        images = self.samples.images
        if images.shape[-1] not in (1, 3):
            return None
        rows = []
        for one in self.near.values():
            nearest = np.argsort(one.distances, kind="stable")[:SHOWN]
            rows += [images[nearest], self.train[one.nearest[nearest]]]
        return np.stack(rows)


class Judged(NamedTuple):
    """Results of samples.

    Attributes:
        result: the results by name, in types that JSON supports.
        nearest: rows of the samples nearest to training images, each above a row of those images.
            The first pair of rows is nearest by pixels. If there are classes, a second pair is
            nearest by features. None if the images do not have 1 or 3 channels.
    """

    result: dict[str, Any]
    nearest: UInt8[np.ndarray, "r n h w c"] | None


def open_extractor(
    name: str, dataset: Dataset, inception_weights: str | Path | None, report: Report
) -> Extractor:
    """Open the network "classifier" or "inception".

    Raises:
        InputError: if there is no such network, or it is not available.
    """
    if name not in EXTRACTORS:
        raise InputError(f"features must be one of {', '.join(EXTRACTORS)}, got {name!r}")
    return EXTRACTORS[name](dataset, inception_weights, report)


EXTRACTORS: dict[str, Callable[[Dataset, str | Path | None, Report], Extractor]] = {
    "classifier": lambda dataset, _, report: classifier_extractor(dataset, report),
    "inception": lambda _, weights, __: inception_extractor(weights),
}
"""Networks whose features can be compared: functions of a data set and a file of weights."""


def judge(
    run: Run, held: Held, samples: SampleSet, extractor: Extractor, report: Report = only_warnings
) -> Judged:
    """Measure samples and, in the same way, real images outside the training data of the model.

    Args:
        run: the run of the samples.
        held: the real images, in the symbols of the run.
        samples: all samples.
        extractor: the network whose features are compared.
        report: receives the progress.
    """
    exhibit = _exhibit(run, held, samples, extractor, report)
    found = {name: judgement(exhibit) for name, judgement in JUDGEMENTS.items()}
    result = {
        "num_samples": len(samples.images),
        "made_by": samples.made_by,
        **{name: figures for name, figures in found.items() if figures is not None},
    }
    return Judged(result, exhibit.nearest)


def _exhibit(
    run: Run, held: Held, samples: SampleSet, extractor: Extractor, report: Report
) -> Exhibit:
    """Read the real images and extract all features."""
    test, test_labels = read_shades(held.images, held.symbols)
    train, _ = read_shades(held.dataset.splits["train"], held.symbols, MAX_TRAINING_IMAGES)
    chosen = np.random.default_rng(0).permutation(len(train))[:REFERENCE_IMAGES]
    num = len(chosen) + len(test) + len(samples.images)
    report(Message(f"features of {num:,} images by {extractor.description}"))
    return Exhibit(
        run=run,
        held=held,
        samples=samples,
        test=test,
        test_labels=test_labels,
        train=train,
        chosen=chosen,
        extractor=extractor,
        generated=extractor.extract(samples.images),
        real=extractor.extract(test),
        reference=extractor.extract(train[chosen]),
        report=report,
    )


def _features(exhibit: Exhibit) -> dict[str, Any]:
    """Measure the quality of samples by their features."""
    extractor, reference = exhibit.extractor, exhibit.reference
    num = len(exhibit.samples.images)
    # Results of more images are not comparable with results of fewer.
    alike = np.arange(min(num, len(exhibit.test)))
    note = quality.rank_note(reference, exhibit.generated.of(alike))
    if note is not None:
        exhibit.report(Caution(note))
    compared = {"samples": exhibit.generated, "real": exhibit.real.of(alike)}
    if len(alike) < num:
        compared["samples_compared"] = exhibit.generated.of(alike)
    return {
        "extractor": extractor.name,
        "description": extractor.description,
        "fingerprint": extractor.fingerprint,
        "num_features": reference.vectors.shape[1],
        "reference": exhibit.held.dataset.splits["train"].description,
        "reference_images": len(exhibit.chosen),
        "reference_fingerprint": reference.fingerprint,
        "num_compared": len(alike),
        **{
            name: quality.sample_quality(reference, features)._asdict()
            for name, features in compared.items()
        },
        **({} if note is None else {"note": note}),
    }


def _statistics(exhibit: Exhibit) -> dict[str, Any]:
    samples, real = sample_statistics(exhibit.samples.images), sample_statistics(exhibit.test)
    return {
        "samples": samples.as_json(),
        "real": real.as_json(),
        "histogram_distance": histogram_distance(samples, real),
        "flags": flags(samples, real),
    }


def _lpips_diversity(exhibit: Exhibit) -> dict[str, Any] | None:
    if not has_lpips() or exhibit.test.shape[-1] not in (1, 3):
        return None
    shown = {"samples": exhibit.samples.images, "real": exhibit.test}
    return {
        name: lpips_diversity(images.astype(np.float32) / 255) for name, images in shown.items()
    }


def _classes(exhibit: Exhibit) -> dict[str, Any] | None:
    """Classify samples and, for a prior, decoded codes."""
    run, samples, classifier = exhibit.run, exhibit.samples, exhibit.classifier
    if classifier is None or samples.labels is None:
        return None
    test, labels, seed = exhibit.test, exhibit.test_labels, run.config["seed"]
    found: dict[str, float] = judge_samples(
        classifier, samples.images, samples.labels, test, labels, seed=seed
    )._asdict()
    if run.tokenizer is not None:
        grids, _ = read_symbols(exhibit.held.images, exhibit.held.symbols)
        num = len(samples.images)
        found |= judge_codes(classifier, run.tokenizer, grids, labels, num=num, seed=seed)._asdict()
    return found


def _memorisation(exhibit: Exhibit) -> dict[str, Any]:
    return {
        "training_images": len(exhibit.train),
        **{
            name: {"copies": one.copies, "nearer": one.nearer} for name, one in exhibit.near.items()
        },
    }


JUDGEMENTS: dict[str, Callable[[Exhibit], dict[str, Any] | None]] = {
    "features": _features,
    "statistics": _statistics,
    "lpips_diversity": _lpips_diversity,
    "classes": _classes,
    "memorisation": _memorisation,
}
"""Measures of samples, by the names of their results. A measure returns None if unsuitable."""


def _flat(images: Images) -> Float[np.ndarray, "n d"]:
    """Flatten images to rows of pixels in [0, 1]."""
    return images.reshape(len(images), -1).astype(np.float32) / 255
