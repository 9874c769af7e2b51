"""Features of a data set's own classifier, trained once and kept.

It needs no download. Its features distinguish the classes of this data set.

Legend: n images, h height, w width, c channels.
"""

import hashlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import jax
import numpy as np
from flax import nnx

from pixelprior.data import Dataset, Symbols
from pixelprior.data.place import kind_of
from pixelprior.errors import InputError
from pixelprior.evaluation.classifier import Classifier, ClassifierNetwork, train_classifier
from pixelprior.evaluation.features import Extractor
from pixelprior.evaluation.read import read_shades
from pixelprior.progress import Caution, Message, Report, only_warnings
from pixelprior.system.atomic import save_arrays
from pixelprior.system.cache_folder import cache_folder

MAX_TRAINING_IMAGES = 60_000
"""Largest number of training images of the classifier; the first ones are used."""

RECOGNISED = 1000
"""Number of training images, the first ones, by which a data set is recognised."""

VERSION = 1  # raise it with every change that gives another classifier for the same images


def open_classifier(dataset: Dataset, report: Report = only_warnings) -> Classifier:
    """Return the classifier of a data set: read it, or train it on the training split as stored.

    It is kept in the user's cache folder, not beside the data, which are often shared and
    read-only. On a CPU the same data always give the same classifier.

    Raises:
        InputError: if the data have no classes.
    """
    classes = len(dataset.class_names)
    if classes < 2:
        raise InputError(
            f"{dataset.name} has no classes, so no classifier of its own to take features from; "
            "use --features=inception"
        )
    path = cache_folder("classifiers") / f"{_recognise(dataset)}.npz"
    if path.is_file():
        try:
            return _read(path, dataset.shape, classes)
        # The file is not a zip file, is cut short, or has other arrays.
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            report(Caution(f"{path} cannot be read and is made again: {error}"))
    report(Message(f"training the classifier of {dataset.name}, once"))
    images, labels = read_shades(dataset.splits["train"], _stored(dataset), MAX_TRAINING_IMAGES)
    classifier = train_classifier(images, labels, classes)
    _write(path, classifier, report)
    return classifier


def classifier_extractor(dataset: Dataset, report: Report = only_warnings) -> Extractor:
    """Return the features of a data set's own classifier. Raises as `open_classifier` does."""
    classifier = open_classifier(dataset, report)
    digest = hashlib.sha256()
    for name, leaf in _arrays(classifier.weights).items():
        digest.update(f"{name}{leaf.dtype}{leaf.shape}".encode() + leaf.tobytes())
    return Extractor(
        "classifier",
        f"a small CNN trained on the training split of {dataset.name}",
        digest.hexdigest(),
        classifier.extract,
    )


def _stored(dataset: Dataset) -> Symbols:
    """Return the symbols of pixels as stored, not as a run uses them: runs share one classifier."""
    return Symbols(dataset.native_levels, "none")


def _recognise(dataset: Dataset) -> str:
    train = dataset.splits["train"]
    images, labels = read_shades(train, _stored(dataset), RECOGNISED)
    # The contents identify a folder of images, wherever it is.
    name = (kind_of(dataset.name) and dataset.contents) or dataset.name
    about = (VERSION, name, dataset.shape, dataset.class_names, train.description)
    digest = hashlib.sha256(repr((*about, len(train))).encode())
    digest.update(images.tobytes() + labels.astype(np.int32).tobytes())
    return digest.hexdigest()[:32]


def _arrays(weights: Any) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_leaves_with_path(nnx.to_pure_dict(weights))
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def _write(path: Path, classifier: Classifier, report: Report) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_arrays(path, _arrays(classifier.weights))
    except OSError as error:
        report(Caution(f"the classifier cannot be kept in {path.parent} ({error.strerror})"))


def _read(path: Path, shape: tuple[int, int, int], num_classes: int) -> Classifier:
    graph, shapes = nnx.split(
        nnx.eval_shape(
            lambda: ClassifierNetwork(shape, num_classes, dropout_rate=0.0, rngs=nnx.Rngs(0))
        )
    )
    # Opened here, since NumPy does not close a file that it cannot read.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        leaves = {name: arrays[name] for name in arrays.files}

    def fill(place: Any, like: Any) -> np.ndarray:
        leaf = leaves[jax.tree_util.keystr(place)]
        if leaf.shape != like.shape or leaf.dtype != like.dtype:
            raise ValueError(f"{jax.tree_util.keystr(place)} has shape {leaf.shape}")
        return leaf

    filled = jax.tree_util.tree_map_with_path(fill, nnx.to_pure_dict(shapes))
    weights = jax.tree.unflatten(jax.tree.structure(shapes), jax.tree.leaves(filled))
    return Classifier(shape, num_classes, graph, weights)
