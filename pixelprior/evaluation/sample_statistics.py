"""Plain statistics of images, of samples beside real images. Anybody can check them by eye.

Legend: n images, h height, w width, c channels.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from pixelprior.errors import InputError
from pixelprior.evaluation.features import Images

SHADES = 256


class Statistics(NamedTuple):
    """Statistics of images in 256 shades.

    Attributes:
        histogram: share of each shade, for each channel ``[c, 256]``.
        horizontal: correlation of a pixel with its right neighbour, for each channel ``[c]``; NaN
            where pixels do not vary.
        vertical: the same with the pixel below.
        diversity: standard deviation of a pixel over the images, a mean over pixels and channels,
            in units of [0, 1].
        constant: share of images of a single colour.
        repeated: share of images that are equal to an earlier one.
    """

    histogram: Float64[np.ndarray, "c s"]
    horizontal: Float64[np.ndarray, " c"]
    vertical: Float64[np.ndarray, " c"]
    diversity: float
    constant: float
    repeated: float

    def as_json(self) -> dict[str, Any]:
        """Return the values by name, with lists for arrays and None for NaN."""
        values = self._asdict() | {"histogram": self.histogram.tolist()}
        for name in ("horizontal", "vertical"):
            values[name] = [None if np.isnan(x) else float(x) for x in values[name]]
        return values


def sample_statistics(images: Images) -> Statistics:
    """Measure images ``[n, h, w, c]``.

    Raises:
        InputError: if there are none.
    """
    if images.ndim != 4 or not images.size:
        raise InputError(f"expected at least one image [n, h, w, c], got shape {images.shape}")
    by_channel = np.moveaxis(images, -1, 0)
    counts = np.stack([np.bincount(x.ravel(), minlength=SHADES) for x in by_channel])
    first = images[:, :1, :1]
    repeated = len(images) - len({image.tobytes() for image in np.ascontiguousarray(images)})
    return Statistics(
        histogram=counts / counts.sum(axis=1, keepdims=True),
        horizontal=_correlations(by_channel[..., :-1], by_channel[..., 1:]),
        vertical=_correlations(by_channel[:, :, :-1], by_channel[:, :, 1:]),
        diversity=float((images.std(axis=0, dtype=np.float64) / (SHADES - 1)).mean()),
        constant=float((images == first).all(axis=(1, 2, 3)).mean()),
        repeated=repeated / len(images),
    )


def histogram_distance(a: Statistics, b: Statistics) -> float:
    """Compute the total variation distance of two histograms, a mean over channels, in [0, 1]."""
    return float(np.abs(a.histogram - b.histogram).sum(axis=1).mean() / 2)


def flags(samples: Statistics, real: Statistics) -> list[str]:
    """List obvious faults of samples, as messages."""
    return [
        f"{share:.1%} of the samples {words}, but {among:.1%} of the real images"
        for share, among, words in (
            (samples.constant, real.constant, "are of a single colour"),
            (samples.repeated, real.repeated, "repeat another one"),
        )
        if share > among + 0.001
    ]


def _correlations(a: np.ndarray, b: np.ndarray) -> Float64[np.ndarray, " c"]:
    """Compute the correlation of two arrays of the same shape, for each index of the first axis."""
    values = []
    for x, y in zip(a, b, strict=True):
        x, y = x.ravel().astype(np.float64), y.ravel().astype(np.float64)
        if not x.size or x.std() == 0 or y.std() == 0:
            values.append(np.nan)
        else:
            values.append(float(np.corrcoef(x, y)[0, 1]))
    return np.array(values)
