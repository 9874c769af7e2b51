"""Two real numbers as a condition: NLL with and without them, and the measured slant of samples.

python -m benchmarks.attributes [--steps=1500] [--out=attributes.png]

The slant and the ink of scikit-learn's digits are computed from their pixels, and standardised. A
small Gated PixelCNN is given class, slant and ink. A second one is given only the class. The
picture shows samples: one column for each class, one row for each slant.
"""

import argparse

import jax
import numpy as np
from jaxtyping import Float, Int

import pixelprior as pp

SLANTS = (-2.0, -1.0, 0.0, 1.0, 2.0)
SAMPLES = 200
"""Number of samples that are measured at each slant."""

NETWORK = {"features": 24, "num_layers": 4, "head_features": 48, "dropout_rate": 0.3}


def main() -> None:
    """Print the tables, and write the picture."""
    from sklearn.datasets import load_digits

    parser = argparse.ArgumentParser(description="Compares models with and without attributes.")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", default="attributes.png", help="The picture of samples.")
    arguments = parser.parse_args()
    digits = load_digits()
    images = digits.images.astype(np.uint8)
    raw = slant_and_ink(images)
    mean, deviation = raw.mean(axis=0), raw.std(axis=0)
    attributes = dict(zip(("slant", "ink"), ((raw - mean) / deviation).T, strict=True))

    given = train(arguments.steps, images, digits.target, attributes)
    for name, run in (
        ("class", train(arguments.steps, images, digits.target, None)),
        ("class, slant and ink", given),
    ):
        found = pp.evaluate(run, baselines=False)
        print(f"{name:<20} {found['nats']:.2f} +- {found['nats_error']:.2f} nats per test image")

    print("\nslant  slant of the samples")
    sheet, classes = [], np.arange(SAMPLES) % 10
    for slant in SLANTS:
        drawn = pp.sample(given, jax.random.key(0), SAMPLES, label=classes, vector=[slant, 0.0])
        sheet.append(np.asarray(drawn[:10]))
        measured = (slant_and_ink(np.asarray(drawn)[..., 0]) - mean) / deviation
        print(f"{slant:>5.1f}  {measured[:, 0].mean():>5.2f} +- {measured[:, 0].std():.2f}")
    pp.show(np.concatenate(sheet), given, columns=10).save(arguments.out)


def train(steps: int, images: np.ndarray, labels: np.ndarray, attributes: object) -> pp.Run:
    """Train the network, given the class, and the attributes if there are any."""
    return pp.fit(
        "digits",
        images,
        labels,
        attributes=attributes,
        attribute_conditional=attributes is not None,
        class_conditional=True,
        model=NETWORK,
        batch_size=32,
        weight_decay=1e-2,
        ema_decay=0.995,
        distribution_augmentation=0.0,
        num_steps=steps,
        warmup_steps=steps // 10,
        checkpoint_every=steps // 6,
        progress=False,
    )


def slant_and_ink(images: Int[np.ndarray, "n h w"]) -> Float[np.ndarray, "n 2"]:
    """Measure the slant of digits, in columns to the right per row upwards, and their mean pixel.

    The slant is the slope of the regression of columns on rows, weighted by the pixels.
    """
    rows, columns = np.arange(images.shape[1]), np.arange(images.shape[2])
    ink = images.sum(axis=(1, 2))
    weights = images / np.maximum(ink, 1)[:, None, None]
    of_rows, of_columns = weights.sum(axis=2), weights.sum(axis=1)
    row, column = of_rows @ rows, of_columns @ columns
    covariance = np.einsum("nhw,h,w->n", weights, rows, columns) - row * column
    slant = -covariance / np.maximum(of_rows @ rows**2 - row**2, 1e-3)
    return np.stack([slant, ink / rows.size / columns.size], axis=1)


if __name__ == "__main__":
    main()
