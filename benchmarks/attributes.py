"""Two real numbers as a condition: NLL with and without them, and the measured slant of samples.

python -m benchmarks.attributes [--steps=1200] [--out=attributes.png]

The slant and the thickness of each MNIST digit are computed from its grey pixels and standardised.
A small Gated PixelCNN of the binarised digits is given class, slant and thickness. A second one is
given only the class. The picture shows samples: one column for each class, one row for each slant.
"""

import argparse

import jax
import numpy as np
from jaxtyping import Float, UInt8

import pixelprior as pp
from pixelprior.data import open_dataset

IMAGES = 20_000
SLANTS = (-2.0, -1.0, 0.0, 1.0, 2.0)
SAMPLES = 200
"""Number of samples that are measured at each slant."""

NETWORK = {"features": 32, "num_layers": 5, "head_features": 64}


def main() -> None:
    """Print the table, and write the picture."""
    parser = argparse.ArgumentParser(description="Compares models with and without attributes.")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--out", default="attributes.png", help="The picture of samples.")
    arguments = parser.parse_args()
    split = open_dataset("mnist").splits["train"]
    images, labels = split.source.read(np.arange(IMAGES))
    raw = slant_and_thickness(images)
    mean, deviation = raw.mean(axis=0), raw.std(axis=0)
    attributes = dict(zip(("slant", "thickness"), ((raw - mean) / deviation).T, strict=True))

    given = train(arguments.steps, images, labels, attributes)
    for name, run in (
        ("class", train(arguments.steps, images, labels, None)),
        ("class, slant, thickness", given),
    ):
        found = pp.evaluate(run, baselines=False)
        print(f"{name:<24} {found['nats']:.2f} +- {found['nats_error']:.2f} nats per test image")

    print(" slant   of the samples")
    sheet, classes = [], np.arange(SAMPLES) % 10
    for slant in SLANTS:
        drawn = pp.sample(
            given, jax.random.key(0), SAMPLES, label=classes, vector=[slant, 0.0]
        )
        sheet.append(np.asarray(drawn[:10]))
        measured = slant_and_thickness(255 * np.asarray(drawn).astype(np.uint8))[:, 0]
        measured = (measured - mean[0]) / deviation[0]
        print(f"{slant:>6.1f}   {measured.mean():>6.2f} +- {measured.std():.2f}")
    pp.show(np.concatenate(sheet), given, columns=10).save(arguments.out)


def train(steps: int, images: np.ndarray, labels: np.ndarray, attributes: object) -> pp.Run:
    """Train the network, given the class and the attributes if there are any."""
    return pp.fit(
        "mnist",
        images,
        labels,
        attributes=attributes,
        attribute_conditional=attributes is not None,
        class_conditional=True,
        model=NETWORK,
        batch_size=32,
        num_steps=steps,
        warmup_steps=steps // 10,
        checkpoint_every=steps // 3,
        progress=False,
    )


def slant_and_thickness(images: UInt8[np.ndarray, "n h w 1"]) -> Float[np.ndarray, "n 2"]:
    """Measure digits: columns moved to the right per row upwards, and pixels of ink across a stroke.

    The slant is the slope of the regression of columns on rows, weighted by the ink. A stroke of
    length l and thickness t has the area l * t and the perimeter 2 * l, so t is twice their ratio.
    """
    ink = images[..., 0] / 255.0
    mass = ink.sum(axis=(1, 2))
    rows, columns = np.arange(ink.shape[1]), np.arange(ink.shape[2])
    of_rows, of_columns = ink.sum(axis=2), ink.sum(axis=1)
    row_mean, column_mean = of_rows @ rows / mass, of_columns @ columns / mass
    together = np.einsum("nhw,h,w->n", ink, rows, columns) / mass - row_mean * column_mean
    slant = -together / np.maximum(of_rows @ rows**2 / mass - row_mean**2, 1e-3)
    padded = np.pad(ink > 0.5, [(0, 0), (1, 1), (1, 1)])
    perimeter = sum(np.diff(padded, axis=axis).sum(axis=(1, 2)) for axis in (1, 2))
    thickness = 2 * padded.sum(axis=(1, 2)) / np.maximum(perimeter, 1)
    return np.stack([slant, thickness], axis=1)


if __name__ == "__main__":
    main()
