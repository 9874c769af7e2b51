"""Three baselines for likelihoods: an exact model that has learned anything must beat them.

- **uniform**: every symbol is equally likely. It uses only the number of values per symbol.

- **histogram**: every position has its own categorical, independent of the others.

- **mixture**: each image has a latent class, and each class a histogram; fitted by EM. It models
  whole images, but no relation between neighbours that holds at every position.

The histogram is the mixture of one component, and is fitted by the same code. A symmetric Dirichlet
prior smooths the counts, so no symbol is ever impossible. EM therefore maximises a posterior.

Legend: n images, h height, w width, c channels, p = h*w*c positions, v values per symbol, k
components.

Source: Bishop, "Pattern Recognition and Machine Learning" (2006), section 9.3.3: EM for a mixture
of independent Bernoulli pixels. Here the pixels are categorical, and there is a prior.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from pixelprior.errors import InputError
from pixelprior.grid import Grid

MAX_MIXTURE_IMAGES = 10_000
SMOOTHINGS = (0.1, 0.3, 1.0)

Symbols = Int[Array, "n h w c"] | Int[np.ndarray, "n h w c"]


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["log_weights", "log_tables", "objective"],
    meta_fields=["grid", "smoothing", "images"],
)
@dataclasses.dataclass(frozen=True)
class PixelMixture:
    """Mixture over grids whose components draw every position independently.

    Attributes:
        grid: kind of grid that it is a distribution over.
        log_weights: ``[k]``, log probability of each component.
        log_tables: ``[p, v, k]``, log probability of each symbol at each position, in raster order.
        smoothing: count that is added for every symbol, and for every component.
        images: number of training images that it was fitted to.
        objective: ``[iterations + 1]``, the objective of EM in nats per image. It is the mean
            log-likelihood of the training images, plus the log prior (without its constant) over
            their number.
    """

    grid: Grid
    log_weights: Float[Array, " k"]
    log_tables: Float[Array, "p v k"]
    smoothing: float
    images: int
    objective: Float[Array, " t"]

    def log_prob(self, x: Symbols) -> Float[Array, " n"]:
        """Return the log probability of each grid ``[n]``, in nats.

        Raises:
            InputError: if ``x`` is not a batch of such grids.
        """
        self.grid.check(x)
        return _log_prob(self.log_weights, self.log_tables, _by_position(x))


def uniform_log_prob(x: Symbols, levels: int) -> Float[Array, " n"]:
    """Return the log probability of each grid ``[n]`` in nats if all grids are equally likely.

    Raises:
        InputError: if ``x`` is not a batch of grids of symbols in ``[0, levels)``.
    """
    grid = _grid_of(x, levels)
    return jnp.full(len(x), -grid.size * math.log(levels), jnp.float32)


def fit_histogram(train: Symbols, levels: int, *, smoothing: float = 1.0) -> PixelMixture:
    """Count how often each symbol occurs at each position and channel.

    Args:
        train: symbols ``[n, h, w, c]`` in ``[0, levels)``; all of them are used.
        levels: number of values per symbol.
        smoothing: count that is added for every symbol; 1 is Laplace's rule of succession.

    Raises:
        InputError: if there is no image, a symbol is out of range, or smoothing is not positive.
    """
    grid = _grid_of(train, levels)
    _check_sizes(train, components=1, smoothing=smoothing)
    everything = jnp.ones((len(train), 1), jnp.float32)
    return _fit(grid, _by_position(train), everything, smoothing, iterations=0)


def fit_mixture(
    train: Symbols,
    validation: Symbols,
    levels: int,
    *,
    components: int = 50,
    iterations: int = 30,
    seed: int = 0,
) -> PixelMixture:
    """Fit the mixture by EM once for each of ``SMOOTHINGS``; keep the best on validation.

    The training images are put in random order, and component j starts as the histogram of image j.
    The first E-step then gives every image to the component with which it shares most symbols. This
    resembles a k-means start, for symbols that need not have an order. On a CPU the result is a
    pure function of the arguments. A GPU adds up counts in no fixed order, so its results vary by
    rounding.

    Args:
        train: symbols ``[n, h, w, c]`` in ``[0, levels)``. If there are more than
            ``MAX_MIXTURE_IMAGES`` images, a random choice of that many is used. ``images`` of the
            result is the number used.
        validation: symbols ``[m, h, w, c]`` on which the smoothing is chosen.
        levels: number of values per symbol.
        components: number of components.
        iterations: number of times to assign the images to components and count again.
        seed: selects the random order of the images, which also selects the starts of the
            components.

    Raises:
        InputError: if there are fewer training images than components, none for validation, or if a
            symbol is out of range.
    """
    grid = _grid_of(train, levels)
    grid.check(validation)
    _check_sizes(train, components=components, smoothing=min(SMOOTHINGS))
    if len(validation) == 0:
        raise InputError("expected validation images to choose the smoothing on, got none")

    images = min(len(train), MAX_MIXTURE_IMAGES)
    order = np.random.default_rng(seed).permutation(len(train))[:images]
    symbols = _by_position(train)[:, order]
    # The order is random already, so the first images are a random choice.
    start = jnp.eye(images, components, dtype=jnp.float32)
    fitted = [_fit(grid, symbols, start, smoothing, iterations) for smoothing in SMOOTHINGS]
    return max(fitted, key=lambda mixture: float(mixture.log_prob(validation).mean()))


def baselines(train: Symbols, validation: Symbols, test: Symbols, levels: int) -> dict[str, float]:
    """Measure the three baselines on a test split.

    Args:
        train: symbols ``[n, h, w, c]`` in ``[0, levels)`` to fit to.
        validation: symbols ``[m, h, w, c]`` to choose the mixture's smoothing on.
        test: symbols ``[t, h, w, c]`` to measure on.
        levels: number of values per symbol.

    Returns:
        The mean negative log-likelihood of ``test`` in nats per image by name, the weakest first:
        ``uniform``, ``histogram`` and ``mixture``. The mixture has 50 components, or one per
        training image if there are fewer images.

    Raises:
        InputError: if a split is empty, the splits differ in shape, or a symbol is out of range.
    """
    if len(test) == 0:
        raise InputError("expected test images to measure on, got none")
    mixture = fit_mixture(train, validation, levels, components=min(50, len(train)))
    log_probs = {
        "uniform": uniform_log_prob(test, levels),
        "histogram": fit_histogram(train, levels).log_prob(test),
        "mixture": mixture.log_prob(test),
    }
    return {name: -float(log_prob.mean()) for name, log_prob in log_probs.items()}


def _fit(
    grid: Grid,
    symbols: Int[Array, "p n"],
    start: Float[Array, "n k"],
    smoothing: float,
    iterations: int,
) -> PixelMixture:
    log_weights, log_tables, objective = _expectation_maximisation(
        symbols, start, smoothing, levels=grid.levels, iterations=iterations
    )
    images = symbols.shape[1]
    return PixelMixture(grid, log_weights, log_tables, smoothing, images, objective)


@functools.partial(jax.jit, static_argnames=("levels", "iterations"))
def _expectation_maximisation(
    symbols: Int[Array, "p n"],
    start: Float[Array, "n k"],
    smoothing: float,
    *,
    levels: int,
    iterations: int,
) -> tuple[Float[Array, " k"], Float[Array, "p v k"], Float[Array, " t"]]:
    """Alternate the two steps from soft assignments ``start``; the last step is an M-step."""

    def sweep(assignments):
        """Take an M-step; also compute the joint log probability of every image and component.

        One pass over the positions does both: the share of a position in the log probability needs
        only its table. Symbols index into tables and are never made one-hot. One-hot symbols would
        cost a product of n*v*k where n*k additions are enough.
        """

        def position(carry, column):
            log_joint, log_prior = carry
            counts = jax.ops.segment_sum(assignments, column, levels) + smoothing
            log_table = jnp.log(counts) - jnp.log(counts.sum(axis=0))
            carry = log_joint + log_table[column], log_prior + smoothing * log_table.sum()
            return carry, log_table

        counts = assignments.sum(axis=0) + smoothing
        log_weights = jnp.log(counts) - jnp.log(counts.sum())
        carry = jnp.broadcast_to(log_weights, assignments.shape), smoothing * log_weights.sum()
        (log_joint, log_prior), log_tables = lax.scan(position, carry, symbols)
        log_likelihood = jax.nn.logsumexp(log_joint, axis=1).mean()
        objective = log_likelihood + log_prior / len(assignments)
        return log_weights, log_tables, log_joint, objective

    def iteration(assignments, _):
        _, _, log_joint, objective = sweep(assignments)
        return jax.nn.softmax(log_joint, axis=1), objective

    assignments, objectives = lax.scan(iteration, start, length=iterations)
    log_weights, log_tables, _, objective = sweep(assignments)
    return log_weights, log_tables, jnp.append(objectives, objective)


@jax.jit
def _log_prob(
    log_weights: Float[Array, " k"], log_tables: Float[Array, "p v k"], symbols: Int[Array, "p n"]
) -> Float[Array, " n"]:
    def position(log_joint, table_and_column):
        log_table, column = table_and_column
        return log_joint + log_table[column], None

    log_joint = jnp.broadcast_to(log_weights, (symbols.shape[1], len(log_weights)))
    log_joint, _ = lax.scan(position, log_joint, (log_tables, symbols))
    return jax.nn.logsumexp(log_joint, axis=1)


def _by_position(x: Symbols) -> Int[Array, "p n"]:
    """Arrange symbols with one row per position, for a scan over positions."""
    return jnp.asarray(x, jnp.int32).reshape(len(x), -1).T


def _grid_of(x: Symbols, levels: int) -> Grid:
    if x.ndim != 4:
        raise InputError(f"expected symbols of shape [n, h, w, c], got {x.shape}")
    _, height, width, channels = x.shape
    grid = Grid(height, width, channels, levels)
    grid.check(x)
    return grid


def _check_sizes(train: Symbols, *, components: int, smoothing: float) -> None:
    if components < 1:
        raise InputError(f"expected at least 1 component, got {components}")
    if len(train) < components:
        raise InputError(
            f"expected at least as many training images as components, {components}, "
            f"got {len(train)}; fit fewer components, or to more images"
        )
    if not smoothing > 0:
        raise InputError(
            f"expected a positive smoothing, got {smoothing}; "
            "without it, symbols not seen in training would be impossible"
        )
