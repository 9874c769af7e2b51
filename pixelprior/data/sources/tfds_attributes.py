"""Attributes of data sets of TensorFlow Datasets: the feature ``attributes``.

It is a dictionary of numbers, such as the 40 attributes of CelebA, or one vector of numbers.

Legend: k attributes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from pixelprior.data.attributes import check_names
from pixelprior.data.errors import DataError
from pixelprior.data.words import listed


def find_attributes(features: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the names of the attributes of a data set; their numbers for a vector.

    Args:
        features: the features of the data set, by name.
        name: the name of the data set, for errors.

    Raises:
        DataError: if there are no attributes, or they are no numbers.
    """
    import tensorflow_datasets as tfds

    feature = features.get("attributes")
    if feature is None:
        raise DataError(
            f"{name} has no feature 'attributes', only {', '.join(sorted(features))}; set "
            "config.attribute_conditional=False, or write images and attributes to an .npz file"
        )
    if isinstance(feature, tfds.features.FeaturesDict):
        # Sorted, since a stored description does not keep the order.
        parts = dict(sorted(feature.items()))
        wrong = [key for key, part in parts.items() if not _is_number(part, ())]
        if wrong or not parts:
            raise DataError(
                f"the attributes of {name} must be numbers, but these are not: {listed(wrong, 5)}; "
                "write images and attributes to an .npz file"
            )
        return check_names(parts)
    shape = getattr(feature, "shape", None)
    if shape is None or len(shape) != 1 or not shape[0] or not _is_number(feature, shape):
        raise DataError(
            f"the attributes of {name} must be a dictionary of numbers, or a vector of one size, "
            f"got {feature!r:.80}; write images and attributes to an .npz file"
        )
    return tuple(map(str, range(shape[0])))


def attributes_of(example: Mapping[str, Any], names: Sequence[str]) -> Float32[np.ndarray, " k"]:
    """Return the attributes of an example, in the order of their names."""
    attributes = example["attributes"]
    if isinstance(attributes, Mapping):
        attributes = [attributes[name] for name in names]
    return np.asarray(attributes, np.float32)


def _is_number(feature: Any, shape: tuple[int, ...]) -> bool:
    """True for a number or a vector. The number of a class among several is only a name."""
    return (
        getattr(feature, "shape", None) == shape
        and np.dtype(feature.np_dtype).kind in "bifu"
        and getattr(feature, "num_classes", 2) == 2
    )
