"""Folders of images for tests: files, and names that hash into a split."""

import hashlib
import itertools

import numpy as np
from PIL import Image


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def save(path, pixels, **settings):
    """Write pixels to an image file, with its parent folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path, **settings)


def place(name):
    """The number of a name by which its split is chosen, computed with integers alone."""
    digest = hashlib.sha256(b"pixelprior/splits/1\0" + name.encode()).hexdigest()
    return int(digest[:16], 16) / 16**16


def split_of(name, validation_fraction=0.1):
    """The split of a file, by the definition in docs/own_images.md."""
    if place(name) < 0.1:
        return "test"
    return "validation" if place(name) < 0.1 + 0.9 * validation_fraction else "train"


def names(prefix="", suffix=".png", **counts):
    """Names of files with a number in each split, like ``names(train=3, validation=1, test=1)``."""
    found = []
    for number in itertools.count():
        name = f"{prefix}{number}{suffix}"
        if counts.get(split_of(name), 0):
            counts[split_of(name)] -= 1
            found.append(name)
        if not any(counts.values()):
            return found


SMALL = names(train=6, validation=2, test=2)
"""Names of a small folder with all splits."""


def small_folder(root, *shape, names=SMALL):
    """Write a folder of noise; return the pixels by name."""
    images = {name: noise(n, *shape) for n, name in enumerate(names)}
    for name, pixels in images.items():
        save(root / name, pixels)
    return images


def examples(dataset):
    """All examples of a data set, by split."""
    return {
        name: [split.source[i] for i in range(len(split))] for name, split in dataset.splits.items()
    }
