"""Conditions of images to draw or to compress: a class and attributes for each.

Legend: n images, k attributes.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.data import Split
from pixelprior.data.words import listed
from pixelprior.errors import InputError
from pixelprior.evaluation.conditions import conditions_of
from pixelprior.runs.run import Run
from pixelprior.sampling.labels import labels_in_turn

Numbers = Int[np.ndarray, " n"]


class Conditions:
    """Conditions of images by number: of samples, or of images to compress.

    Given values hold for all images. The others are those of the real image of each, if there is
    one. Otherwise a model with attributes takes class and attributes of the test
    images in turn, and other models take all classes in turn.

    Args:
        run: a run of a pixel model or of a prior.
        label: the class of all samples; None for no given class.
        attributes: given attributes of all samples, by name.
        labels: classes of the real images; None if samples have no real image.
        vectors: attributes of the real images; None if they are not known.

    Raises:
        InputError: if there is no such class or attribute, or the test images cannot be read.
    """

    def __init__(
        self,
        run: Run,
        label: int | None,
        attributes: Mapping[str, float],
        *,
        labels: Callable[[Numbers], Int[np.ndarray, " n"]] | None = None,
        vectors: Callable[[Numbers], Float[np.ndarray, "n k"]] | None = None,
    ):
        self._shape = run.model.context_shape
        labels_in_turn(self._shape.num_classes, label, 1)  # raises if there is no such class
        names = run.data["attribute_names"] if self._shape.vector_features else ()
        self._label, self._labels, self._vectors = label, labels, vectors
        self._given = {_place(name, names): value for name, value in attributes.items()}
        needs_class = self._shape.num_classes and label is None and labels is None
        needs_vector = len(self._given) < self._shape.vector_features and vectors is None
        self._test: Split | None = None
        if self._shape.vector_features and (needs_class or needs_vector):
            self._test = _test_split(run)

    def __call__(self, numbers: Numbers) -> Context | None:
        """Return the conditions of some samples; None if the model takes none."""
        if not self._shape.has_condition:
            return None
        of_test = None
        if self._test is not None:
            of_test = conditions_of(self._shape, self._test, numbers)
        return Context(
            label=self._labels_of(numbers, of_test), vector=self._vectors_of(numbers, of_test)
        )

    def _labels_of(self, numbers: Numbers, of_test: Context | None) -> Int[Array, " n"] | None:
        if self._shape.num_classes and self._label is None:
            if self._labels is not None:
                return jnp.asarray(self._labels(numbers))
            if of_test is not None:
                return of_test.label
        classes, first = self._shape.num_classes, int(numbers[0])
        return labels_in_turn(classes, self._label, len(numbers), first_image=first)

    def _vectors_of(self, numbers: Numbers, of_test: Context | None) -> Float[Array, "n k"] | None:
        size = self._shape.vector_features
        if not size:
            return None
        if len(self._given) == size:
            vectors = jnp.zeros((len(numbers), size))
        elif self._vectors is not None:
            vectors = jnp.asarray(self._vectors(numbers))
        else:
            assert of_test is not None and of_test.vector is not None  # it was needed
            vectors = of_test.vector
        for place, value in self._given.items():
            vectors = vectors.at[:, place].set(value)
        return vectors


def _place(name: str, names: Sequence[str]) -> int:
    if name in names:
        return list(names).index(name)
    if not names:
        raise InputError(
            f"the attribute {name} was given, but this model takes none; train one with "
            "--config.attribute_conditional=True"
        )
    folded = {one.casefold(): one for one in names}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    hint = f"did you mean {folded[close[0]]}?" if close else f"they are {listed(names)}"
    raise InputError(f"the model has no attribute {name!r}; {hint}")


def _test_split(run: Run) -> Split:
    try:
        dataset, _ = run.open_data()
        dataset.check_unchanged("test")
        return dataset.split("test")
    except InputError as error:
        names = list(run.data["attribute_names"])
        raise InputError(
            f"samples take the attributes of test images, but {error}; or give a number for each "
            f"of {listed(names)}"
        ) from error
