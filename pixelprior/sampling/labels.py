"""Labels for samples: the class requested for each image."""

from typing import Protocol

import jax.numpy as jnp
from jaxtyping import Array, Int

from pixelprior.context import Context, ContextShape
from pixelprior.errors import InputError


class Conditional(Protocol):
    """A pixel model or a prior."""

    @property
    def context_shape(self) -> ContextShape:
        """Kinds of context that the model takes."""
        ...


def labels_in_turn(
    num_classes: int, label: int | None, num: int, *, first_image: int = 0
) -> Int[Array, " num"] | None:
    """Return the classes of ``num`` samples: one class for all, or all classes in turn.

    Without a label, image n has class n modulo the number of classes, for every batch size.

    Args:
        num_classes: number of classes; 0 for an unconditional model, which gives None.
        label: class of all samples; None for all classes in turn.
        num: number of samples.
        first_image: number n of the first image.

    Raises:
        InputError: if the model is unconditional but a label is given, or it has no such class.
    """
    if label is not None and not num_classes:
        raise InputError(
            f"label {label} was given, but this model has no classes; sample without a label, or "
            "train one with --config.class_conditional=True"
        )
    if not num_classes:
        return None
    if label is None:
        return (first_image + jnp.arange(num)) % num_classes
    if not 0 <= label < num_classes:
        raise InputError(f"label must be in [0, {num_classes}), got {label}")
    return jnp.full(num, label)


def label_context(
    model: Conditional, label: int | None, num: int, *, first_image: int = 0
) -> Context | None:
    """Return the context of ``num`` samples.

    All vectors are zero if the model takes vectors. The arguments are those of `labels_in_turn`.
    """
    shape = model.context_shape
    labels = labels_in_turn(shape.num_classes, label, num, first_image=first_image)
    vectors = jnp.zeros((num, shape.vector_features)) if shape.vector_features else None
    return Context(label=labels, vector=vectors) if shape.has_condition else None
