"""Test of the sample measures: they must separate good from bad images; also their costs.

    python -m benchmarks.sample_metrics [--dataset=fashion_mnist]

Real test images and degraded copies of them are compared with training images. The features are
those of a classifier that is trained on the data set. Each degraded set must be worse than the real
images. The script also measures the time and the memory of all measures for 10,000 images. The
training of the classifier is not included.
"""

import argparse
import resource

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmarks.machine import matrix_product_rate
from pixelprior.cli.tables.evaluation import quality_table
from pixelprior.data import Symbols, open_dataset
from pixelprior.evaluation.classifier_features import classifier_extractor
from pixelprior.evaluation.features import Images
from pixelprior.evaluation.read import read_shades
from pixelprior.evaluation.sample_quality import sample_quality
from pixelprior.system.console import Terminal
from pixelprior.system.timing import timed

REFERENCE = 10_000
BLUR = (0.5, 1.0)  # standard deviations, in pixels
NOISE = (0.05, 0.2)  # standard deviations, of pixels in [0, 1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Measures real and spoilt images.")
    parser.add_argument("--dataset", default="fashion_mnist")
    dataset = open_dataset(parser.parse_args().dataset)
    symbols = Symbols(dataset.native_levels, "none")
    train, _ = read_shades(dataset.splits["train"], symbols)
    test, labels = read_shades(dataset.splits["test"], symbols)
    extractor = classifier_extractor(dataset, Terminal())
    rng = np.random.default_rng(0)
    reference = extractor.extract(train[rng.permutation(len(train))[:REFERENCE]])

    # All sets have the same size, because results depend on the number of images.
    few = labels < len(dataset.class_names) // 2
    real = test[rng.permutation(len(test))[: few.sum()]]
    rows = {"real": real}
    for width in BLUR:
        rows[f"blurred, {width:g} pixels"] = blurred(real, width)
    for amount in NOISE:
        rows[f"with noise, {amount:g}"] = noisy(real, amount, rng)
    rows["half of the classes"] = test[few]
    print(
        f"{dataset.name}: {few.sum():,} test images, against {REFERENCE:,} training images, by "
        f"{reference.vectors.shape[1]} features of {extractor.description} "
        f"({extractor.fingerprint[:16]})\n"
    )
    qualities = [
        (name, sample_quality(reference, extractor.extract(images)))
        for name, images in rows.items()
    ]
    print("\n".join(quality_table(qualities)))

    many = np.concatenate([test, train])[:REFERENCE]
    _, seconds = timed(lambda: sample_quality(reference, extractor.extract(many)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"\nall of it for {len(many):,} images: {seconds:.1f} s, and {peak / 1e9:.2f} GB at most "
        f"for the whole process; a 2048^3 product ran at {matrix_product_rate() / 1e9:.0f} GFLOP/s"
    )


def blurred(images: Images, width: float) -> Images:
    """Blur images with a Gaussian filter; ``width`` is its standard deviation in pixels."""
    return np.rint(gaussian_filter(images.astype(np.float32), (0, width, width, 0))).astype(
        np.uint8
    )


def noisy(images: Images, amount: float, rng: np.random.Generator) -> Images:
    """Add Gaussian noise to images."""
    noise = 255 * amount * rng.standard_normal(images.shape, np.float32)
    return np.rint(np.clip(images + noise, 0, 255)).astype(np.uint8)


if __name__ == "__main__":
    main()
