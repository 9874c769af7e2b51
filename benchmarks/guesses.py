"""Quality of guesses in sampling: first guesses of rows, and guesses of whole grids.

    python -m benchmarks.guesses --workdir=runs/mnist [--images=16]

Rows are guessed as in `InColumns` with all columns of a row at once, from several first guesses.
For `WholeGrids`, the script counts the evaluated rows that were already settled. A sampler that
skips settled rows could save at most this share.

Legend: h height, w width, c channels.
"""

import argparse
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.models.base import AutoregressiveModel
from pixelprior.runs.load import load_trained
from pixelprior.sampling import Greedy, Strategy
from pixelprior.sampling.draw import draw_pixel, grid_noise
from pixelprior.sampling.labels import label_context


class Evaluations(NamedTuple):
    """Numbers of sequential evaluations for one image.

    Attributes:
        zeros: evaluations of rows, with zeros as the first guess.
        above: evaluations of rows, with the row above as the first guess.
        likeliest: evaluations of rows. The first guess is the likeliest symbols if the row above
            were repeated. It takes one more evaluation for each row, which is included.
        whole_grids: evaluations of whole grids, with zeros as the first guess.
        settled_rows: the number of already settled rows, summed over evaluations of whole grids.
    """

    zeros: Int[Array, ""]
    above: Int[Array, ""]
    likeliest: Int[Array, ""]
    whole_grids: Int[Array, ""]
    settled_rows: Int[Array, ""]


class Image(NamedTuple):
    """Inputs for drawing one image."""

    noise: Float[Array, "h w c"]
    context: Context | None


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Count evaluations for each kind of first guess.")
    parser.add_argument("--workdir", required=True, help="Run folder of a pixel model.")
    parser.add_argument("--images", type=int, default=16, help="Number of images to average.")
    arguments = parser.parse_args()
    trained = load_trained(arguments.workdir)
    model = trained.model
    if not isinstance(model, AutoregressiveModel):
        raise InputError("expected the run of a pixel model that draws them in raster order")
    height, width, channels = model.grid.shape
    print(
        f"{trained.config['model']['name']}, {trained.config['dataset']}, {height}x{width}x"
        f"{channels}, {model.grid.levels} levels, {trained.provenance}; {arguments.images} images"
    )

    graph, weights = nnx.split(model)
    count = jax.jit(lambda weights, image: count_evaluations(nnx.merge(graph, weights), image))
    counts = []
    for n in range(arguments.images):
        noise = grid_noise(jax.random.key(0), jnp.asarray([n]), model.grid)[0]
        counts.append(count(weights, Image(noise, label_context(model, None, 1, first_image=n))))
    mean = Evaluations(*np.mean(counts, axis=0))
    print(f"{'first guess':<40} {'evaluations':>12} {'of positions':>13}")
    for name, evaluations in (
        ("of a row, zeros", mean.zeros),
        ("of a row, the row above", mean.above),
        ("of a row, the likeliest after that row", mean.likeliest),
        ("of the whole grid, zeros", mean.whole_grids),
    ):
        print(f"{name:<40} {evaluations:>12.1f} {evaluations / (height * width):>13.1%}")
    share = mean.settled_rows / (mean.whole_grids * height)
    print(f"of the rows that whole grids evaluate, {share:.1%} were settled before")


def count_evaluations(model: AutoregressiveModel, image: Image) -> Evaluations:
    """Draw an image in each of these ways, and count the evaluations."""
    x, whole_grids, settled_rows = _whole_grids(model, image)
    zeros = jnp.zeros_like(x)
    above = jnp.concatenate([zeros[:1], x[:-1]])
    likeliest = _draw_rows(model, image, x, above, (Greedy(),))
    return Evaluations(
        _rows(model, image, x, zeros),
        _rows(model, image, x, above),
        _rows(model, image, x, likeliest) + len(x),
        whole_grids,
        settled_rows,
    )


def _whole_grids(model: AutoregressiveModel, image: Image) -> tuple[Int[Array, "h w c"], Any, Any]:
    """Draw the image by whole grids; count the evaluations and the settled rows in them."""

    def again(state: Any) -> Any:
        x, settled, evaluations, settled_rows = state
        features = model.features(x[None], image.context)[0]
        drawn = draw_pixel(model.head, features, image.noise, ())
        # No pixel depends on the last one. Rows above the first changed row are settled.
        unlike = (drawn != x).any(axis=-1).at[-1, -1].set(False)
        changed = unlike.any(axis=-1)
        now_settled = jnp.where(changed.any(), jnp.argmax(changed), len(x))
        return drawn, now_settled, evaluations + 1, settled_rows + settled

    x = jnp.zeros(image.noise.shape, jnp.int32)
    zero = jnp.asarray(0)
    state = jax.lax.while_loop(lambda state: state[1] < len(x), again, (x, zero, zero, zero))
    return state[0], state[2], state[3]


def _rows(
    model: AutoregressiveModel, image: Image, x: Int[Array, "h w c"], guess: Int[Array, "h w c"]
) -> Int[Array, ""]:
    """Sum of the evaluations of all rows, each from its own guess."""

    def again(state: tuple[Int[Array, "h w c"], Bool[Array, " h"], Int[Array, ""]]) -> Any:
        rows, changing, evaluations = state
        drawn = _draw_rows(model, image, x, rows)
        # No pixel of a row depends on its last pixel.
        changed = (drawn != rows)[:, :-1].any(axis=(1, 2))
        return drawn, changing & changed, evaluations + changing.sum()

    start = guess, jnp.ones(len(x), bool), jnp.asarray(0)
    return jax.lax.while_loop(lambda state: state[1].any(), again, start)[2]


def _draw_rows(
    model: AutoregressiveModel,
    image: Image,
    x: Int[Array, "h w c"],
    rows: Int[Array, "h w c"],
    strategies: tuple[Strategy, ...] = (),
) -> Int[Array, "h w c"]:
    """Draw every row, given the rows of ``x`` above it and its previous guess in ``rows``."""
    each = jnp.arange(len(x))
    grids = jnp.broadcast_to(x, (len(x), *x.shape)).at[each, each].set(rows)
    context = jax.tree.map(lambda y: jnp.repeat(y, len(x), axis=0), image.context)
    features = model.features(grids, context)[each, each]
    return draw_pixel(model.head, features, image.noise, strategies)


if __name__ == "__main__":
    main()
