"""Labels for samples: which class each picture is asked to be."""

import jax.numpy as jnp
from jaxtyping import Array, Int

from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.models.base import GridModel


def labels_in_turn(
    num_classes: int, label: int | None, num: int, *, first_image: int = 0
) -> Int[Array, " num"] | None:
    """The classes of ``num`` samples: all one, or without a label all classes in turn.

    Image n is of class n modulo the number of classes, in whatever batches it is drawn.

    Args:
        num_classes: 0 for a model without classes, whose samples have none: None.
        label: the one that is asked for, if one is.
        num: how many samples.
        first_image: the number n of the first.

    Raises:
        InputError: if the model is unconditional, or has no such class.
    """
    if label is not None and not num_classes:
        raise InputError(
            f"label {label} was given, but this model is unconditional; sample without a label, or "
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
    model: GridModel, label: int | None, num: int, *, first_image: int = 0
) -> Context | None:
    """The context of ``num`` samples of a model of pixels; arguments as for `labels_in_turn`."""
    classes = model.context_shape.num_classes
    labels = labels_in_turn(classes, label, num, first_image=first_image)
    return None if labels is None else Context(label=labels)
