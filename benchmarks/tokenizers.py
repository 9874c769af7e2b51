"""Options of tokenizers at equal bits and equal time: their reconstructions, and priors of codes.

    pip install -e ".[metrics]"
    python -m benchmarks.tokenizers [--dataset=fashion_mnist] [--minutes=2] [--out=pictures]

Every option trains for the same time on the same images, in as many steps as it has time for. Then
a prior of its codes trains for the same time. All options have nearly the same number of bits for
an image. The losses are measured on test images. The picture has originals in its first row, and
the reconstructions of one option in each further row.

On CPUs, time is the processor time of this program, divided by the number of cores. Other programs
on the machine then have little influence.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import dm_pix
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

import pixelprior as pp
from benchmarks.machine import matrix_product_rate
from pixelprior.data import Symbols, open_dataset, to_pixels
from pixelprior.evaluation.code_use import code_counts, code_use
from pixelprior.evaluation.lpips import lpips_distance
from pixelprior.evaluation.read import read_symbols
from pixelprior.evaluation.reconstruction import code_bits
from pixelprior.figures.sheets import as_shades, sheet
from pixelprior.progress import Event, Record

NUM_IMAGES, NUM_TEST, NUM_SHOWN = 8000, 500, 12
NETWORK = {"features": 32}
CODE_FEATURES = 32
PRIOR = {"features": 32, "num_layers": 4}
PERCEPTUAL_WEIGHT = 1.0
TIMED_STEPS, WINDOW = 15, 5  # they tell how many steps fit into the time

FINE = {"strides": (4,)}
# Sixteen positions with several codes each, about as many bits as the fine map of single codes.
COARSE = {"fashion_mnist": ({"strides": (7,)}, 3), "cifar10": ({"strides": (8,)}, 4)}


class Option(NamedTuple):
    """Settings of a tokenizer's network and of its quantizer, besides those of the baseline."""

    network: dict[str, Any]
    quantizer: dict[str, Any]


class Quality(NamedTuple):
    """Measures of reconstructions and codes of test images."""

    squared_error: float
    ssim: float
    lpips: float
    used: float
    perplexity: float


def options(dataset: str) -> dict[str, Option]:
    """The compared options, by name."""
    coarse, depth = COARSE[dataset]
    rotation = {"gradient": "rotation"}
    return {
        "baseline": Option(FINE, {}),
        "rotation": Option(FINE, rotation),
        "residual, fine": Option(FINE, {"codebook_size": 16, "depth": 2}),
        "residual, coarse": Option(coarse, {"depth": depth}),
        "residual, coarse, rotation": Option(coarse, {"depth": depth} | rotation),
        "perceptual": Option(FINE | {"perceptual_weight": PERCEPTUAL_WEIGHT}, {}),
    }


def main() -> None:
    """Print the table, and write the picture."""
    parser = argparse.ArgumentParser(description="Compares options of tokenizers.")
    parser.add_argument("--dataset", choices=COARSE, default="fashion_mnist")
    parser.add_argument("--minutes", type=float, default=2, help="Time of each training.")
    parser.add_argument("--only", nargs="+", help="Names of the options to train.")
    parser.add_argument("--out", type=Path, default=Path("."), help="Folder of the picture.")
    arguments = parser.parse_args()
    seconds = 60 * arguments.minutes
    dataset = open_dataset(arguments.dataset, validation_fraction=0.1)
    symbols = Symbols(256, "none")
    train, labels = read_symbols(dataset.splits["train"], symbols, limit=NUM_IMAGES)
    test, _ = read_symbols(dataset.splits["test"], symbols, limit=NUM_TEST)
    test_pixels = to_pixels(test, 256)
    rows = [test_pixels[:NUM_SHOWN]]
    print(
        f"{arguments.dataset}, {arguments.minutes:g} minutes for each training, "
        f"{len(train):,} images, {len(test):,} test images; a 2048^3 product ran at "
        f"{matrix_product_rate() / 1e9:.0f} GFLOP/s\n"
        f"{'option':<27} {'codes':<14} {'bits':>4} {'steps':>6} {'ms/step':>7} {'MSE':>8} "
        f"{'SSIM':>6} {'LPIPS':>6} {'used':>5} {'perpl.':>6} | {'steps':>6} {'bits/code':>9} "
        f"{'bits/image':>10}",
        flush=True,
    )
    for name, option in options(arguments.dataset).items():
        if arguments.only and name not in arguments.only:
            continue
        tokenizer, step = train_for(
            seconds,
            "fashion_mnist:vqvae",
            train,
            labels,
            tokenizer=NETWORK | option.network,
            quantizer={"features": CODE_FEATURES, "codebook_size": 256} | option.quantizer,
        )
        found, reconstructed = measure(tokenizer.model, test_pixels)
        rows.append(reconstructed[:NUM_SHOWN])
        prior, _ = train_for(
            seconds, "fashion_mnist:prior", tokenizer=tokenizer, models={"top": PRIOR}
        )
        (grid,) = tokenizer.model.code_grids
        codes = f"{grid.height}x{grid.width}x{grid.channels} of {grid.levels}"
        bits = prior.metrics[-1]["test_bits_per_code"]
        print(
            f"{name:<27} {codes:<14} {code_bits(tokenizer.model):>4.0f} {tokenizer.step:>6} "
            f"{1000 * step:>7.0f} {found.squared_error:>8.5f} {found.ssim:>6.4f} "
            f"{found.lpips:>6.4f} {found.used:>5.0%} {found.perplexity:>6.1f} | "
            f"{prior.step:>6} {bits:>9.3f} {bits * grid.size:>10.1f}",
            flush=True,
        )
        # After each option, so that a run that is ended early leaves a picture.
        picture = sheet(as_shades(np.concatenate(rows)), 256, columns=NUM_SHOWN)
        picture.save(arguments.out / f"tokenizers_{arguments.dataset}.png")


def train_for(seconds: float, recipe: str, *images: Any, **settings: Any) -> tuple[pp.Run, float]:
    """Train with a schedule of as many steps as fit into a time; compiling does not count.

    Returns:
        The run, and the seconds of a step.
    """

    def train(num_steps: int, progress: Any) -> pp.Run:
        return pp.fit(
            recipe,
            *images,
            num_steps=num_steps,
            log_every=WINDOW,
            checkpoint_every=num_steps,
            progress=progress,
            **settings,
        )

    times = []

    def note(event: Event) -> None:
        if isinstance(event, Record) and "images_per_second" in event.values:
            times.append(clock())

    train(TIMED_STEPS, note)
    # Between records. The first step is before the first of them.
    step = float(np.diff(times).min()) / WINDOW
    return train(max(TIMED_STEPS, round(seconds / step)), progress=False), step


def clock() -> float:
    """Seconds of this program, see above."""
    if jax.default_backend() == "cpu":
        return time.process_time() / (os.cpu_count() or 1)
    return time.perf_counter()


def measure(
    model: pp.VQVAE, pixels: Float[np.ndarray, "n h w c"]
) -> tuple[Quality, Float[np.ndarray, "n h w c"]]:
    """Measure the reconstructions of images, and return them too."""
    (grid,) = model.code_grids
    counts = np.zeros((grid.channels, grid.levels), np.int64)
    similar, distances, reconstructed = [], [], []
    for here in np.split(pixels, len(pixels) // 100):
        (codes,) = model.encode(jnp.asarray(here))
        decoded = np.asarray(model.decode([codes]))
        counts += code_counts(codes, grid.levels)
        similar.append(dm_pix.ssim(here, decoded))
        distances.append(lpips_distance()(here, decoded))
        reconstructed.append(decoded)
    whole = np.concatenate(reconstructed)
    use = code_use(counts)
    quality = Quality(
        squared_error=float(np.square(whole - pixels, dtype=np.float64).mean()),
        ssim=float(np.mean(similar)),
        lpips=float(np.mean(distances)),
        used=use.used,
        perplexity=use.perplexity,
    )
    return quality, whole


if __name__ == "__main__":
    main()
