"""Options of tokenizers at equal bits and equal time: what each gives, and its cost for a prior.

    pip install -e ".[metrics]"
    python -m benchmarks.tokenizers [--dataset=fashion_mnist] [--minutes=2] [--out=pictures]

Every option trains for the same time on the same images, in as many steps as it has time for. Then
a prior of its codes trains for the same time. All options have nearly the same number of bits for
an image. The losses are measured on test images. The picture has originals in its first row, and
the reconstructions of one option in each further row.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import dm_pix
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

NUM_IMAGES, NUM_TEST, NUM_SHOWN = 20_000, 2000, 12
FEATURES, CODE_FEATURES = 64, 32
PERCEPTUAL_WEIGHT = 1.0
TIMED_STEPS = 20  # they tell how many steps fit into the time

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
        tokenizer = train_for(
            seconds,
            "fashion_mnist:vqvae",
            train,
            labels,
            tokenizer={"features": FEATURES} | option.network,
            quantizer={"features": CODE_FEATURES, "codebook_size": 256} | option.quantizer,
        )
        found, reconstructed = measure(tokenizer.model, test_pixels)
        rows.append(reconstructed[:NUM_SHOWN])
        prior = train_for(seconds, "fashion_mnist:prior", tokenizer=tokenizer)
        (grid,) = tokenizer.model.code_grids
        codes = f"{grid.height}x{grid.width}x{grid.channels} of {grid.levels}"
        bits = prior.metrics[-1]["test_bits_per_code"]
        print(
            f"{name:<27} {codes:<14} {code_bits(tokenizer.model):>4.0f} {tokenizer.step:>6} "
            f"{milliseconds(tokenizer):>7.0f} {found.squared_error:>8.5f} {found.ssim:>6.4f} "
            f"{found.lpips:>6.4f} {found.used:>5.0%} {found.perplexity:>6.1f} | "
            f"{prior.step:>6} {bits:>9.3f} {bits * grid.size:>10.1f}",
            flush=True,
        )
        # After each option, so that a run that is ended early leaves a picture.
        picture = sheet(as_shades(np.concatenate(rows)), 256, columns=NUM_SHOWN)
        picture.save(arguments.out / f"tokenizers_{arguments.dataset}.png")


def train_for(seconds: float, recipe: str, *images: Any, **settings: Any) -> pp.Run:
    """Train with a schedule of as many steps as fit into a time; compiling does not count."""

    def train(num_steps: int) -> pp.Run:
        return pp.fit(
            recipe,
            *images,
            num_steps=num_steps,
            log_every=TIMED_STEPS // 2,
            checkpoint_every=num_steps,
            progress=False,
            **settings,
        )

    return train(max(TIMED_STEPS, round(1000 * seconds / milliseconds(train(TIMED_STEPS)))))


def milliseconds(run: pp.Run) -> float:
    """Median time of a step of a training."""
    rates = [r["images_per_second"] for r in run.metrics if "images_per_second" in r]
    return 1000 * run.config["batch_size"] / float(np.median(rates[1:]))


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
