"""The yardstick for a tokenizer's reconstructions: PCA with the same number of bits per image.

A learnt tokenizer turns an image into so many bits and back. So does this code, with nothing but
linear algebra: the image's principal components, each rounded to one of ``2**b`` values. Its mean
squared error is what a tokenizer of as many bits must stay below to have learnt anything that is
not linear. Neither side pays for its decoder: weights there; mean, components and ranges here.

The bits are not spent evenly. Starting from none, they go one after the other where they lower the
training error most, so high-variance components get several and most get none. This is the
"reverse water-filling" of rate-distortion theory in whole bits, and a stronger opponent than equal
bits for each of the first components.

Legend: n images, h height, w width, c channels, d = h*w*c dimensions, k components that have bits,
b bits of one component, r candidate ranges.

Sources: Jolliffe, "Principal Component Analysis" (2002), chapter 3; Gersho and Gray, "Vector
Quantization and Signal Compression" (1992), section 5.4 on uniform quantisers that overload, and
section 8.3 on allocating bits to the components of a transform.
"""

import dataclasses
import heapq

import numpy as np
from jaxtyping import Array, Float, Float64, Int

from pixelprior.errors import InputError

MAX_IMAGES = 20_000
"""How many images a code is fitted to at most."""

MAX_BITS = 8
"""How many bits one coefficient gets at most: as many as a pixel has."""

RANGES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)
"""Half the width of a quantiser, in standard deviations of its component: the candidates."""

_ROWS = 2_000  # Images are taken to float64 this many at a time, for the memory it takes.
_LEAST_VARIANCE = 1e-12  # Relative to the first component's: what is below is rounding.

Images = Float[Array, "n h w c"] | Float[np.ndarray, "n h w c"]


@dataclasses.dataclass(frozen=True)
class PcaCode:
    """A code of a fixed number of bits for images of one shape.

    Attributes:
        shape: ``(h, w, c)`` of the images.
        mean: ``[d]``, the mean training image.
        components: ``[k, d]``, orthonormal; only those that have bits, by falling variance.
        bits: ``[k]``, how many bits each coefficient has, all of them positive.
        ranges: ``[k]``, half the width of each coefficient's quantiser, in units of a pixel: it has
            ``2**bits`` equal cells in ``[-range, range]``, and the outermost take what is beyond.
        images: how many training images it was fitted to.
    """

    shape: tuple[int, int, int]
    mean: Float[np.ndarray, " d"]
    components: Float[np.ndarray, "k d"]
    bits: Int[np.ndarray, " k"]
    ranges: Float[np.ndarray, " k"]
    images: int

    @property
    def total_bits(self) -> int:
        """How many bits the code of one image has: the budget, or less if more were of no use."""
        return int(self.bits.sum())

    def encode(self, images: Images) -> Int[np.ndarray, "n k"]:
        """Returns the number of each coefficient's cell, in ``[0, 2**bits)``.

        Raises:
            InputError: if these are not images of the code's shape in ``[0, 1]``.
        """
        _check_images(images, self.shape)
        coefficients = (_flat(images) - self.mean) @ self.components.T
        cells = np.floor((coefficients + self.ranges) / self._widths())
        return np.clip(cells, 0, 2**self.bits - 1).astype(np.int32)

    def decode(self, cells: Int[np.ndarray, "n k"]) -> Float[np.ndarray, "n h w c"]:
        """Returns the images of which these are the codes: float32, clipped to ``[0, 1]``.

        Each coefficient becomes the middle of its cell.

        Raises:
            InputError: if these are not codes as `encode` gives them.
        """
        if cells.ndim != 2 or cells.shape[1] != len(self.bits):
            raise InputError(f"expected codes of shape [n, {len(self.bits)}], got {cells.shape}")
        if not np.issubdtype(cells.dtype, np.integer) or np.any((cells < 0) | (cells >> self.bits)):
            raise InputError(
                "codes must be integers in [0, 2**bits) of each coefficient; decode the result of "
                "encode"
            )
        coefficients = (cells + np.float32(0.5)) * self._widths() - self.ranges
        flat = coefficients.astype(np.float32) @ self.components + self.mean
        return np.clip(flat, 0.0, 1.0).reshape(len(cells), *self.shape)

    def reconstruct(self, images: Images) -> Float[np.ndarray, "n h w c"]:
        """Returns what is left of images ``[n, h, w, c]`` after encoding and decoding.

        Raises:
            InputError: if these are not images of the code's shape in ``[0, 1]``.
        """
        return self.decode(self.encode(images))

    def _widths(self) -> Float[np.ndarray, " k"]:
        """The width of each coefficient's cells."""
        return (2 * self.ranges / 2**self.bits).astype(np.float32)


def fit_pca_code(train: Images, bits: int, *, seed: int = 0) -> PcaCode:
    """Fits the components, their ranges, and how the bits are spread over them.

    Args:
        train: images ``[n, h, w, c]`` in ``[0, 1]``. Of more than ``MAX_IMAGES`` a random choice of
            that many is used; ``images`` of the result says how many were.
        bits: how many bits the code of one image may have. Fewer are used when there is nothing
            left to tell: at most ``MAX_BITS`` for each of ``min(n - 1, d)`` components.
        seed: names the choice of images.

    Raises:
        InputError: if there are fewer than 2 images, or not in ``[0, 1]``, or no bits.
    """
    _check_images(train)
    if len(train) < 2:
        raise InputError(f"expected at least 2 training images, got {len(train)}")
    if bits < 1:
        raise InputError(f"expected at least 1 bit per image, got {bits}")
    flat = _flat(train)
    if len(flat) > MAX_IMAGES:
        flat = flat[np.random.default_rng(seed).permutation(len(flat))[:MAX_IMAGES]]
    mean = flat.mean(axis=0, dtype=np.float64)
    components = _principal_components(flat, mean, count=bits)

    # By component, from here on. Every coefficient is one of a training image, in float64.
    coefficients = np.concatenate(
        [components @ (flat[i : i + _ROWS] - mean).T for i in range(0, len(flat), _ROWS)], axis=1
    )
    fitted = [_quantiser_errors(coefficient) for coefficient in coefficients]
    errors = np.array([error for error, _ in fitted]).reshape(-1, MAX_BITS + 1)
    ranges = np.array([best for _, best in fitted]).reshape(-1, MAX_BITS + 1)
    spent = spend_bits(errors, bits)
    chosen = np.flatnonzero(spent)
    return PcaCode(
        shape=tuple(train.shape[1:]),
        mean=mean.astype(np.float32),
        components=components[chosen].astype(np.float32),
        bits=spent[chosen],
        ranges=ranges[chosen, spent[chosen]].astype(np.float32),
        images=len(flat),
    )


def spend_bits(errors: Float[np.ndarray, "k b"], bits: int) -> Int[np.ndarray, " k"]:
    """Spreads a budget over components, greedily by what lowers the error most per bit.

    A component may take several bits at once, so one that gains nothing by its first bit and much
    by its second is not passed over. Where every bit of a component gains less than the one before,
    as is common, bits come one at a time and no other spread of the same budget has less error.

    Args:
        errors: ``[k, b]``, the error of each component when it has 0, 1, ... b - 1 bits.
        bits: the budget.

    Returns:
        How many bits each component gets ``[k]``; those that would not lower the error stay unused.
    """
    spent = np.zeros(len(errors), np.int64)
    left = bits
    best: list[tuple[float, int, int]] = []

    def consider(component: int) -> None:
        """Notes the best that a component can do next with what is left, if that is a gain."""
        now = spent[component]
        more = np.arange(1, min(errors.shape[1] - 1 - now, left) + 1)
        if len(more):
            gains = (errors[component, now] - errors[component, now + more]) / more
            first = int(gains.argmax())
            if gains[first] > 0:
                heapq.heappush(best, (-float(gains[first]), component, int(more[first])))

    for component in range(len(errors)):
        consider(component)
    while best:
        _, component, more = heapq.heappop(best)
        if more <= left:
            spent[component] += more
            left -= more
        consider(component)
    return spent


def pca_mse(train: Images, test: Images, bits: int) -> float:
    """Returns the mean squared error of ``test``, in squared units of a pixel whose range is 1.

    Args:
        train: images ``[n, h, w, c]`` in ``[0, 1]`` to fit a `PcaCode` to.
        test: images ``[m, h, w, c]`` in ``[0, 1]`` to measure on.
        bits: how many bits the code of one image may have.

    Raises:
        InputError: if an image is not in ``[0, 1]``, the shapes differ, there is none to measure
            on, fewer than 2 to fit to, or no bits.
    """
    _check_images(train)
    _check_images(test, tuple(train.shape[1:]))
    if len(test) == 0:
        raise InputError("expected test images to measure on, got none")
    difference = fit_pca_code(train, bits).reconstruct(test) - np.asarray(test)
    return float(np.square(difference).mean(dtype=np.float64))


def _principal_components(
    flat: Float[np.ndarray, "n d"], mean: Float64[np.ndarray, " d"], count: int
) -> Float64[np.ndarray, "k d"]:
    """The first ``count`` principal components, fewer if the images do not span so many.

    They come from the smaller of two matrices with the same non-zero eigenvalues: the covariance
    ``[d, d]``, or the inner products of the images ``[n, n]``.
    """
    n, d = flat.shape
    if d <= n:
        scatter = np.zeros((d, d))
        for i in range(0, n, _ROWS):
            rows = flat[i : i + _ROWS] - mean
            scatter += rows.T @ rows
        values, vectors = np.linalg.eigh(scatter)
        order = _leading(values, count)
        return vectors[:, order].T
    rows = flat - mean
    values, vectors = np.linalg.eigh(rows @ rows.T)
    order = _leading(values, count)
    return (vectors[:, order].T @ rows) / np.sqrt(values[order])[:, None]


def _leading(values: Float64[np.ndarray, " k"], count: int) -> Int[np.ndarray, " m"]:
    """Where the largest eigenvalues are, the largest first, of those that are not rounding."""
    order = np.argsort(values)[::-1][:count]
    return order[values[order] > max(_LEAST_VARIANCE * values.max(), 0.0)]


def _quantiser_errors(
    coefficients: Float64[np.ndarray, " n"],
) -> tuple[Float64[np.ndarray, " b"], Float64[np.ndarray, " b"]]:
    """The mean squared error of one component for 0 to ``MAX_BITS`` bits, and the ranges for it.

    Each number of bits has the range, of ``RANGES``, with the least error. After one sort a cell's
    error follows from how many coefficients are in it, their sum and the sum of their squares: all
    three are differences of running totals, so that no quantiser has to look at every image.
    """
    values = np.sort(coefficients)
    squares = np.square(values).sum()
    sums = np.concatenate([[0.0], np.cumsum(values)])
    deviation = np.sqrt(squares / len(values))
    errors, ranges = [squares], [0.0]
    for bits in range(1, MAX_BITS + 1):
        cells = 2**bits
        candidates = deviation * np.array(RANGES)
        widths = 2 * candidates[:, None] / cells
        # Without the two outer edges: the outermost cells take all that is beyond.
        inner = np.searchsorted(values, np.arange(1, cells) * widths - candidates[:, None])
        edges = np.pad(inner, ((0, 0), (1, 0)))
        edges = np.pad(edges, ((0, 0), (0, 1)), constant_values=len(values))
        middles = (np.arange(cells) + 0.5) * widths - candidates[:, None]
        counts, totals = np.diff(edges), np.diff(sums[edges])
        error = squares + (middles * (middles * counts - 2 * totals)).sum(axis=1)
        errors.append(error.min())
        ranges.append(candidates[error.argmin()])
    return np.array(errors) / len(values), np.array(ranges)


def _flat(images: Images) -> Float[np.ndarray, "n d"]:
    return np.asarray(images, np.float32).reshape(len(images), -1)


def _check_images(images: Images, shape: tuple[int, int, int] | None = None) -> None:
    expected = "h, w, c" if shape is None else ", ".join(map(str, shape))
    if images.ndim != 4 or (shape is not None and tuple(images.shape[1:]) != shape):
        raise InputError(f"expected images of shape [n, {expected}], got {images.shape}")
    if not np.issubdtype(images.dtype, np.floating):
        raise InputError(
            f"expected images of floats in [0, 1], got {images.dtype}; divide levels by the largest"
        )
    values = np.asarray(images)
    # Written so that a NaN fails too.
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise InputError(
            f"expected images in [0, 1], got values from {values.min()} to {values.max()}"
        )
