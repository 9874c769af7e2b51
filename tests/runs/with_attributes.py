"""Images with attributes, and what the tests of both kinds of runs ask of them."""

import numpy as np

from pixelprior.cli.sample_files import sample_to_files

TINY = {"features": 4, "num_layers": 1, "embedding_features": 4, "head_features": 8}
QUICK = {"num_steps": 4, "batch_size": 16, "checkpoint_every": 2, "progress": False}
NAMES = ["slant", "ink"]
COUNT = 60


def arrays():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 8, (COUNT, 4, 6, 1)).astype(np.uint8)
    return images, rng.integers(0, 3, COUNT), rng.normal(size=(COUNT, 2)).astype(np.float32)


def of_test_images(run, numbers):
    """Labels and attributes of test images; after the last, the first one follows."""
    split = run.images[0].splits["test"]
    indices = np.asarray(numbers) % len(split)
    return split.source.read(indices)[1], split.source.attributes(indices)


def drawn(run, out, **settings):
    """Pixels of samples, as the command writes them to a file."""
    defaults = {"num": 3, "batch_size": 3, "seed": 0, "strategies": [()], "label": None}
    defaults |= {"method": "cached", "checkpoint": "best", "averaged": True, "individual": False}
    sample_to_files(run, out, **defaults | settings)
    with np.load(out) as archive:
        return archive["images"]
