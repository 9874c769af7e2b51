"""Completion of holes: an any-order model beside a model in raster order.

    python train.py --config=configs/mnist.py:transformer_muon --workdir=runs/mnist_transformer
    python train.py --config=configs/mnist.py:any_order --workdir=runs/mnist_any_order
    python -m benchmarks.inpainting --raster=runs/mnist_transformer \
        --any_order=runs/mnist_any_order [--images=1000] [--out=inpainting.png]

Each test image has a square hole at a random place. The any-order model draws the hole last, so
that its pixels are conditioned on everything around it. The model in raster order conditions a
pixel of the hole on the pixels above it and to its left, as in its completions. The table has the
log-likelihood of the true pixels of the holes under both. The third row is the any-order model in
raster order. The last columns are the mean difference from the first row, hole by hole, and its
standard error.

Legend: n images, h height, w width, c channels.
"""

import argparse
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Bool, Float, Int

import pixelprior as pp
from pixelprior.data import to_pixels
from pixelprior.evaluation.likelihood import standard_error
from pixelprior.figures.sheets import save_pixels
from pixelprior.nn.orders import order_around, raster_order
from pixelprior.runs.images import TestImages
from pixelprior.runs.parts import grey_where_unknown, known_symbols
from pixelprior.training.step import count_parameters

HOLE = 10
"""Height and width of a hole, in pixels."""

SHOWN = 12
"""Number of images in the picture."""

BATCH = 100


def main() -> None:
    """Print the table, and write the picture if requested."""
    parser = argparse.ArgumentParser(description="Measure the completion of holes.")
    parser.add_argument("--raster", required=True, help="Run of a model in raster order.")
    parser.add_argument("--any_order", required=True, help="Run of an any-order model.")
    parser.add_argument("--images", type=int, default=1000, help="Number of test images.")
    parser.add_argument("--out", help="A .png file of completions.")
    arguments = parser.parse_args()
    raster, any_order = map(pp.load_trained, (arguments.raster, arguments.any_order))
    images = TestImages(any_order, seed=0)
    x = images.symbols(np.arange(arguments.images))
    known = ~holes(len(x), *x.shape[1:3])
    around = jax.jit(
        lambda known: order_around(raster_order(len(known), any_order.model.grid), known)
    )

    def last(here: Any) -> pp.Context:
        return pp.Context(order=around(jnp.asarray(here)))

    rows: dict[str, tuple[pp.Run, Callable[[Any], pp.Context | None]]] = {
        "any order, given everything else": (any_order, last),
        "raster order, given earlier pixels": (raster, lambda here: None),
        "any-order model in raster order": (any_order, lambda here: None),
    }
    print(
        f"{len(x):,} test images of {any_order.data['name']}, each with a hole of {HOLE}x{HOLE} "
        "pixels at a random place"
    )
    print(
        f"{'':<36} {'parameters':>10} {'nats/hole':>10} {'error':>6} {'bits/pixel':>11} "
        f"{'more':>6} {'error':>6}"
    )
    first = None
    for name, (run, context) in rows.items():
        nats = hole_nats(run.model, x, known, context)
        first = nats if first is None else first
        size = count_parameters(nnx.state(run.model), nnx.Param)
        bits = nats.mean() / HOLE**2 / math.log(2)
        print(
            f"{name:<36} {size:>10,} {nats.mean():>10.3f} {standard_error(nats):>6.3f} "
            f"{bits:>11.4f} {(nats - first).mean():>6.3f} {standard_error(nats - first):>6.3f}",
            flush=True,
        )
    if arguments.out:
        save_picture(raster, any_order, x[:SHOWN], known[:SHOWN], arguments.out)


def holes(num: int, height: int, width: int) -> Bool[np.ndarray, "n h w"]:
    """Draw the hole of each image: True inside."""
    rng = np.random.default_rng(0)
    top, left = rng.integers(0, height - HOLE + 1, num), rng.integers(0, width - HOLE + 1, num)
    rows, columns = np.indices((height, width))
    rows, columns = rows - top[:, None, None], columns - left[:, None, None]
    return (rows >= 0) & (rows < HOLE) & (columns >= 0) & (columns < HOLE)


def hole_nats(
    model: Any,
    x: Int[np.ndarray, "n h w c"],
    known: Bool[np.ndarray, "n h w"],
    context: Callable[[Any], pp.Context | None],
) -> Float[np.ndarray, " n"]:
    """Compute the NLL of the true pixels of each hole, in nats."""
    found = []
    for start in range(0, len(x), BATCH):
        here = slice(start, start + BATCH)
        of_pixels = model.pixel_log_prob(jnp.asarray(x[here]), context(known[here]))
        found.append(-np.where(known[here], 0.0, np.asarray(of_pixels, np.float64)).sum((1, 2)))
    return np.concatenate(found)


def save_picture(
    raster: pp.Run,
    any_order: pp.Run,
    x: Int[np.ndarray, "n h w c"],
    known: Bool[np.ndarray, "n h w"],
    out: str,
) -> None:
    """Write rows of images: the true ones, the holes, two completions by each model."""
    levels = any_order.model.grid.levels
    pixels = to_pixels(x, levels)
    given = jnp.asarray(known_symbols(x, known))
    rows = [pixels, grey_where_unknown(pixels, known)]
    for run in (raster, any_order):
        for seed in range(2):
            drawn = pp.sample(run, jax.random.key(seed), len(x), known=given)
            rows.append(to_pixels(np.asarray(drawn), levels))
    save_pixels(np.concatenate(rows), out, columns=len(x))


if __name__ == "__main__":
    main()
