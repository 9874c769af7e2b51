"""Picture of each augmentation: one row for each, on the same training images.

python -m benchmarks.augmentations [--dataset=cifar10] [--out=augmentations.png]
"""

import argparse

import numpy as np

from pixelprior.data import open_dataset
from pixelprior.data.augmentation import Augmentation, BatchDraws
from pixelprior.data.order import ALL_ROWS
from pixelprior.figures.sheets import save_grid

NUM_IMAGES = 10
ROWS = (
    Augmentation(),
    Augmentation(flip=True),
    Augmentation(crop_padding=4),
    Augmentation(brightness_jitter=0.5),
    Augmentation(contrast_jitter=0.5),
    Augmentation(saturation_jitter=0.8),
    Augmentation(hue_jitter=0.1),
)


def main() -> None:
    """Write the picture, and print the setting of each row."""
    parser = argparse.ArgumentParser(description="Shows the augmentations of training images.")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--out", default="augmentations.png")
    arguments = parser.parse_args()
    split = open_dataset(arguments.dataset).splits["train"]
    pixels, _ = split.source.read(range(NUM_IMAGES))
    draws = BatchDraws(seed=1, step=0, batch_size=NUM_IMAGES, rows=ALL_ROWS)
    shown = []
    for row in ROWS:
        row.check(pixels.shape[1:], split.native_levels)
        coloured = row.change_colours(pixels, split.native_levels, draws)
        shown.append(row.change_positions(coloured.astype(np.int32), draws))
        print(row.describe() or "the images as they are")
    save_grid(np.concatenate(shown), split.native_levels, arguments.out, columns=NUM_IMAGES)


if __name__ == "__main__":
    main()
