"""What a trained model's guesses are worth: the first one of a row, and those of whole grids.

    python -m benchmarks.guesses --workdir=runs/mnist [--images=16]

Rows are guessed as `InColumns` does with all columns of a row at once, from several first guesses.
And of what `WholeGrids` computes it is counted how much was settled before: what a frontier would
save at most.

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
    """How many an image takes one after the other: row by row by the first guess, in whole grids.

    Attributes:
        zeros: of rows, guessed to be zeros.
        above: of rows, guessed to be the row above.
        likeliest: of rows, guessed to be the likeliest symbols if the row above came again; this
            takes one evaluation by itself.
        whole_grids: of whole grids, guessed to be zeros.
        settled_rows: the rows that were settled before a whole grid was evaluated, added up.
    """

    zeros: Int[Array, ""]
    above: Int[Array, ""]
    likeliest: Int[Array, ""]
    whole_grids: Int[Array, ""]
    settled_rows: Int[Array, ""]


class Image(NamedTuple):
    """One image to be drawn."""

    noise: Float[Array, "h w c"]
    context: Context | None


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Counts evaluations by the first guess.")
    parser.add_argument("--workdir", required=True, help="the run folder of a model of pixels")
    parser.add_argument("--images", type=int, default=16, help="to take the mean over")
    arguments = parser.parse_args()
    trained = load_trained(arguments.workdir)
    model = trained.model
    if not isinstance(model, AutoregressiveModel):
        raise InputError("expected the run of a model of pixels that draws them in raster order")
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
    """Draws an image in all of these ways, and counts."""
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
    """The image, the evaluations of whole grids that it took, and the settled rows in them."""

    def again(state: Any) -> Any:
        x, settled, evaluations, settled_rows = state
        features = model.features(x[None], image.context)[0]
        drawn = draw_pixel(model.head, features, image.noise, ())
        # Nothing hangs on the last pixel. Rows above the first that has changed stay as they are.
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
    """The evaluations that all rows take together, each from its own guess."""

    def again(state: tuple[Int[Array, "h w c"], Bool[Array, " h"], Int[Array, ""]]) -> Any:
        rows, changing, evaluations = state
        drawn = _draw_rows(model, image, x, rows)
        # Nothing in a row hangs on its last pixel.
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
    """Every row as it is drawn if the rows above it are those of ``x``, and itself was ``rows``."""
    each = jnp.arange(len(x))
    grids = jnp.broadcast_to(x, (len(x), *x.shape)).at[each, each].set(rows)
    context = jax.tree.map(lambda y: jnp.repeat(y, len(x), axis=0), image.context)
    features = model.features(grids, context)[each, each]
    return draw_pixel(model.head, features, image.noise, strategies)


if __name__ == "__main__":
    main()
