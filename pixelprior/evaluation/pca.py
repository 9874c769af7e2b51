"""Baseline for a tokenizer's reconstructions: PCA with the same number of bits per image.

A learned tokenizer turns an image into a number of bits and back. This code does the same with
linear algebra alone. It rounds each of the image's principal components to one of ``2**b`` values.
A tokenizer of as many bits has learned something that is not linear only if its mean squared error
is lower. The decoders are not counted: weights for the tokenizer, and mean, components and ranges
for PCA.

The bits are not spread evenly. They are assigned step by step where they lower the training error
most. Components of high variance get several bits, and most components get none. This is the
"reverse water-filling" of rate-distortion theory in whole bits. It is a stronger baseline than
equal bits for each of the first components.

Legend: n images, h height, w width, c channels, d = h*w*c dimensions, k components that have bits,
b bits of one component, r candidate ranges.

Sources: Jolliffe, "Principal Component Analysis" (2002), chapter 3.
Gersho and Gray, "Vector Quantization and Signal Compression" (1992): section 5.4 on uniform
quantisers that overload, and section 8.3 on allocating bits to the components of a transform.
"""

import dataclasses
import heapq

import numpy as np
from jaxtyping import Array, Float, Float64, Int

from pixelprior.errors import InputError

MAX_IMAGES = 20_000
"""Largest number of images that a code is fitted to."""

MAX_BITS = 8
"""Largest number of bits of one coefficient: as many as a pixel has."""

RANGES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)
"""Candidates for half the width of a quantiser, in standard deviations of its component."""

_ROWS = 2_000  # Images are converted to float64 this many at a time, to limit memory.
_LEAST_VARIANCE = 1e-12  # Relative to the first component's: anything below is rounding.

Images = Float[Array, "n h w c"] | Float[np.ndarray, "n h w c"]


@dataclasses.dataclass(frozen=True)
class PcaCode:
    """Code of a fixed number of bits for images of one shape.

    Attributes:
        shape: shape ``(h, w, c)`` of the images.
        mean: ``[d]``, the mean training image.
        components: ``[k, d]``, orthonormal; only those that have bits, by falling variance.
        bits: ``[k]``, number of bits of each coefficient, all of them positive.
        ranges: ``[k]``, half the width of each coefficient's quantiser, in units of a pixel. It has
            ``2**bits`` equal cells in ``[-range, range]``. The outermost cells also take everything
            beyond.
        images: number of training images that it was fitted to.
    """

    shape: tuple[int, int, int]
    mean: Float[np.ndarray, " d"]
    components: Float[np.ndarray, "k d"]
    bits: Int[np.ndarray, " k"]
    ranges: Float[np.ndarray, " k"]
    images: int

    @property
    def total_bits(self) -> int:
        """Number of bits of the code of one image: the budget, or less if more were of no use."""
        return int(self.bits.sum())

    def encode(self, images: Images) -> Int[np.ndarray, "n k"]:
        """Return the number of each coefficient's cell, in ``[0, 2**bits)``.

        Raises:
            InputError: if these are not images of the code's shape in ``[0, 1]``.
        """
        _check_images(images, self.shape)
        coefficients = (_flat(images) - self.mean) @ self.components.T
        cells = np.floor((coefficients + self.ranges) / self._widths())
        return np.clip(cells, 0, 2**self.bits - 1).astype(np.int32)

    def decode(self, cells: Int[np.ndarray, "n k"]) -> Float[np.ndarray, "n h w c"]:
        """Return the images of these codes: float32, clipped to ``[0, 1]``.

        Each coefficient becomes the middle of its cell.

        Raises:
            InputError: if these are not codes from `encode`.
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
        """Encode and decode images ``[n, h, w, c]``.

        Raises:
            InputError: if these are not images of the code's shape in ``[0, 1]``.
        """
        return self.decode(self.encode(images))

    def _widths(self) -> Float[np.ndarray, " k"]:
        """Width of each coefficient's cells."""
        return (2 * self.ranges / 2**self.bits).astype(np.float32)


def fit_pca_code(train: Images, bits: int, *, seed: int = 0) -> PcaCode:
    """Fit the components, their ranges, and the spread of the bits over them.

    Args:
        train: images ``[n, h, w, c]`` in ``[0, 1]``. If there are more than ``MAX_IMAGES``, a
            random choice of that many is used. ``images`` of the result is the number used.
        bits: largest number of bits of the code of one image. Fewer are used if more are of no use:
            at most ``MAX_BITS`` for each of ``min(n - 1, d)`` components.
        seed: selects the random choice of images.

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

    # One row per component, from here on: the float64 coefficients of the training images.
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
    """Spread a budget over components, greedily by the largest fall of the error per bit.

    A component may take several bits at once. A component that gains nothing by its first bit and
    much by its second is therefore not passed over. Usually every bit of a component gains less
    than the one before. Bits are then spent one at a time, and no other spread of the same budget
    has a lower error.

    Args:
        errors: ``[k, b]``, the error of each component when it has 0, 1, ... b - 1 bits.
        bits: the budget.

    Returns:
        Number of bits of each component ``[k]``; bits that would not lower the error stay unused.
    """
    spent = np.zeros(len(errors), np.int64)
    left = bits
    best: list[tuple[float, int, int]] = []

    def consider(component: int) -> None:
        """Queue the best next bits of a component within the rest of the budget, if they gain."""
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
    """Return the mean squared error of ``test``, in squared units of a pixel whose range is 1.

    Args:
        train: images ``[n, h, w, c]`` in ``[0, 1]`` to fit a `PcaCode` to.
        test: images ``[m, h, w, c]`` in ``[0, 1]`` to measure on.
        bits: largest number of bits of the code of one image.

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
    """Compute the first ``count`` principal components, fewer if the images do not span so many.

    They come from the smaller of two matrices with the same non-zero eigenvalues. One is the
    covariance ``[d, d]``, the other the inner products of the images ``[n, n]``.
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
    """Find the largest eigenvalues, the largest first, without those that are only rounding."""
    order = np.argsort(values)[::-1][:count]
    return order[values[order] > max(_LEAST_VARIANCE * values.max(), 0.0)]


def _quantiser_errors(
    coefficients: Float64[np.ndarray, " n"],
) -> tuple[Float64[np.ndarray, " b"], Float64[np.ndarray, " b"]]:
    """Compute the mean squared error of one component for 0 to ``MAX_BITS`` bits, and the ranges.

    Each number of bits has the range, of ``RANGES``, with the least error. After one sort, the
    error follows from three values: the count and the sum of the coefficients in each cell, and the
    sum of all squares. Counts and sums of cells are differences of positions and of running totals.
    No quantiser therefore has to read every image.
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
        # Without the two outer edges: the outermost cells take everything beyond.
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
