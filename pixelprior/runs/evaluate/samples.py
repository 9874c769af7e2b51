"""Samples measured beside real images: by features, by classes, by plain statistics.

Legend: n images, h height, w width, c channels.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pixelprior.data import Dataset, Symbols
from pixelprior.evaluation import sample_quality as quality
from pixelprior.evaluation.classifier import Classifier
from pixelprior.evaluation.classifier_features import classifier_extractor, open_classifier
from pixelprior.evaluation.features import Extractor, Images
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
from pixelprior.figures.sheets import save_grid
from pixelprior.runs.run import Run
from pixelprior.runs.sample_set import SampleSet
from pixelprior.system.console import say, warn

REFERENCE_IMAGES = 10_000
"""At most so many training images, drawn at random, are what samples are measured against."""

MAX_TRAINING_IMAGES = 60_000
"""At most so many, the first ones, are looked through for the nearest ones."""

SHOWN = 12  # samples, beside the training images that are nearest to them


def open_extractor(name: str, dataset: Dataset, inception_weights: str | Path | None) -> Extractor:
    """The network that is named: "classifier" or "inception".

    Raises:
        InputError: if it cannot be had.
    """
    if name == "inception":
        return inception_extractor(inception_weights)
    return classifier_extractor(dataset)


def measure(
    trained: Run,
    dataset: Dataset,
    symbols: Symbols,
    split: str,
    samples: SampleSet,
    extractor: Extractor,
    picture: Path,
) -> dict[str, Any]:
    """Measures samples, and real images that the model has not seen by the same measure.

    Args:
        trained: the run that they are of.
        dataset: what it was trained on.
        symbols: how that became symbols; real images are shown as these.
        split: of the real images.
        samples: all of them.
        extractor: of the features.
        picture: where to draw the samples that are nearest to training images.
    """
    images = samples.images
    test, test_labels = read_shades(dataset.splits[split], symbols)
    train, _ = read_shades(dataset.splits["train"], symbols, MAX_TRAINING_IMAGES)
    chosen = np.random.default_rng(0).permutation(len(train))[:REFERENCE_IMAGES]
    say(f"features of {len(chosen) + len(test) + len(images):,} images by {extractor.description}")
    real, generated = extractor.extract(test), extractor.extract(images)
    reference = extractor.extract(train[chosen])
    # Figures of more images are not comparable with those of fewer.
    alike = np.arange(min(len(images), len(test)))
    note = quality.rank_note(reference, generated.of(alike))
    if note is not None:
        warn(note)
    compared = {"samples": generated, "real": real.of(alike)}
    if len(alike) < len(images):
        compared["samples_compared"] = generated.of(alike)
    statistics = {"samples": sample_statistics(images), "real": sample_statistics(test)}
    near = {"pixels": memorisation(_flat(train), _flat(test), _flat(images))}
    result: dict[str, Any] = {
        "num_samples": len(images),
        "made_by": samples.made_by,
        "features": {
            "extractor": extractor.name,
            "description": extractor.description,
            "fingerprint": extractor.fingerprint,
            "num_features": reference.vectors.shape[1],
            "reference": dataset.splits["train"].description,
            "reference_images": len(chosen),
            "reference_fingerprint": reference.fingerprint,
            "num_compared": len(alike),
            **{
                name: quality.sample_quality(reference, features)._asdict()
                for name, features in compared.items()
            },
            **({} if note is None else {"note": note}),
        },
        "statistics": {
            **{name: one.as_json() for name, one in statistics.items()},
            "histogram_distance": histogram_distance(*statistics.values()),
            "flags": flags(**statistics),
        },
    }
    if has_lpips() and images.shape[-1] in (1, 3):
        result["lpips_diversity"] = {
            "samples": lpips_diversity(images.astype(np.float32) / 255),
            "real": lpips_diversity(test.astype(np.float32) / 255),
        }
    if dataset.class_names:
        own = open_classifier(dataset)
        # Of all training images, for which Inception would take hours.
        ours = (real, generated)
        if extractor.name != "classifier":
            ours = own.extract(test), own.extract(images)
        near["features"] = memorisation(
            own.extract(train).vectors, *(features.vectors for features in ours)
        )
        if samples.labels is not None:
            result["classes"] = _classes(
                trained, own, dataset, symbols, split, samples, test, test_labels
            )
    result["memorisation"] = {
        "training_images": len(train),
        **{name: {"copies": one.copies, "nearer": one.nearer} for name, one in near.items()},
    }
    _draw(images, train, near, picture)
    return result


def _classes(
    trained: Run,
    classifier: Classifier,
    dataset: Dataset,
    symbols: Symbols,
    split: str,
    samples: SampleSet,
    test: Images,
    test_labels: Int[np.ndarray, " n"],
) -> dict[str, float]:
    """What a classifier sees in samples, and of a prior in what its tokenizer makes of codes."""
    assert samples.labels is not None
    seed = trained.config["seed"]
    found: dict[str, float] = judge_samples(
        classifier, samples.images, samples.labels, test, test_labels, seed=seed
    )._asdict()
    if trained.tokenizer is not None:
        grids, _ = read_symbols(dataset.splits[split], symbols)
        found |= judge_codes(
            classifier, trained.tokenizer, grids, test_labels, num=len(samples.images), seed=seed
        )._asdict()
    return found


def _flat(images: Images) -> Float[np.ndarray, "n d"]:
    """As pixels in [0, 1], one row for each image."""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def _draw(images: Images, train: Images, near: Mapping[str, Memorisation], picture: Path) -> None:
    """The samples that are nearest to training images, above those: by pixels, by features."""
    if images.shape[-1] not in (1, 3):
        return
    rows = []
    for one in near.values():
        nearest = np.argsort(one.distances, kind="stable")[:SHOWN]
        rows += [images[nearest], train[one.nearest[nearest]]]
    sheet = np.concatenate(rows).astype(np.int32)
    save_grid(sheet, 256, picture, columns=len(rows[0]))
    say(f"the samples nearest to training images, above those, in {picture}")


def table(result: Mapping[str, Any], split: str) -> list[str]:
    """The lines for people, of what `measure` returns."""
    statistics = result["statistics"]
    shown = quality_rows(result, split)
    rows = {f"{result['num_samples']:,} samples": "samples", f"the {split} images": "real"}
    lines = [
        measured_by(result),
        f"samples: {settings_in_words(result['made_by'])}",
        "",
        *quality.table(shown),
        "",
        *_statistics_table(rows, statistics),
        *(f"attention: {words}" for words in statistics["flags"]),
        "",
    ]
    if "lpips_diversity" in result:
        found = result["lpips_diversity"]
        lines += [
            f"random pairs of samples are {found['samples']:.4f} apart by LPIPS (AlexNet), those "
            f"of real images {found['real']:.4f}",
            "",
        ]
    memory = result["memorisation"]
    for name in ("pixels", "features"):
        if name in memory:
            lines.append(
                f"by {name}, {memory[name]['copies']:.1%} of the samples are nearer to one of "
                f"{memory['training_images']:,} training images than all but 1% of the {split} "
                f"images; a sample is the nearer one in {memory[name]['nearer']:.1%} of pairs"
            )
    if "classes" in result:
        lines += ["", *_classes_table(result)]
    return lines


def measured_by(result: Mapping[str, Any]) -> str:
    """All that two figures must have in common to be comparable, in words."""
    features = result["features"]
    return (
        f"by {features['num_features']} features of {features['description']} "
        f"({features['extractor']} {features['fingerprint'][:16]}), against "
        f"{features['reference_images']:,} images of {features['reference']} "
        f"({features['reference_fingerprint'][:16]})"
    )


def quality_rows(result: Mapping[str, Any], split: str) -> list[tuple[str, quality.Quality]]:
    """Samples and real images, and what is theirs: those that are compared are equally many."""
    features = result["features"]
    num, compared = result["num_samples"], features["num_compared"]
    rows = {f"{num:,} samples": "samples"}
    if compared < num:
        rows[f"{compared:,} of them"] = "samples_compared"
    rows[f"{compared:,} {split} images"] = "real"
    return [(name, quality.Quality(**features[key])) for name, key in rows.items()]


def settings_in_words(made_by: Mapping[str, Any]) -> str:
    """How samples were drawn, as far as that is known."""
    if not {"mode", "seed", "weights", "strategies"} <= made_by.keys():
        return "the file does not tell how they were made"
    words = [f"seed {made_by['seed']}", made_by["weights"]]
    if made_by["mode"] != "sample":
        words.append(f"--mode={made_by['mode']}")
    if made_by["strategies"] != "[()]":
        words.append(made_by["strategies"])
    if made_by.get("guidance") is not None:
        words.append(f"guidance {made_by['guidance']}")
    if made_by.get("label") is not None:
        words.append(f"class {made_by['label']} alone")
    return ", ".join(words)


def _statistics_table(rows: Mapping[str, str], statistics: Mapping[str, Any]) -> list[str]:
    width = max(len(name) for name in rows)
    return [
        f"{'':<{width}} {'horizontal':>10} {'vertical':>9} {'diversity':>9} {'constant':>9} "
        f"{'repeated':>9}",
        *(
            f"{name:<{width}} {_mean(one['horizontal']):>10.4f} {_mean(one['vertical']):>9.4f} "
            f"{one['diversity']:>9.4f} {one['constant']:>9.2%} {one['repeated']:>9.2%}"
            for name, one in ((name, statistics[key]) for name, key in rows.items())
        ),
        f"correlations of neighbouring pixels; the histograms of shades are "
        f"{statistics['histogram_distance']:.4f} apart (total variation, 0 to 1)",
    ]


def _mean(values: list[float | None]) -> float:
    """Of those channels that have one."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else math.nan


def _classes_table(result: Mapping[str, Any]) -> list[str]:
    classes, num = result["classes"], f"{result['num_samples']:,}"
    lines = [
        ("real_accuracy", "of the real images"),
        ("reconstruction_accuracy", "of their reconstructions"),
        ("sample_accuracy", f"of {num} samples, by the class asked for"),
        ("random_accuracy", "of as many images of random codes, by a class in turn"),
    ]
    return [
        "a small CNN, trained on the training images, is right on",
        *(f"  {classes[key]:7.2%} {words}" for key, words in lines if key in classes),
        f"trained on the {num} samples, it is right on",
        f"  {classes['classification_accuracy_score']:7.2%} of the real images (classification "
        "accuracy score)",
    ]
