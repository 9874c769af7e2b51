"""Labels for samples: which class each picture is asked to be."""

import jax.numpy as jnp

from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.models.base import AutoregressiveModel


def label_context(
    model: AutoregressiveModel, label: int | None, num: int, *, first_image: int = 0
) -> Context | None:
    """The context of ``num`` samples of one class; without a label, of all classes in turn.

    Image n is of class n modulo the number of classes, in whatever batches it is drawn.

    Raises:
        InputError: if the model is unconditional, or has no such class.
    """
    classes = model.context_encoder.num_classes
    if label is not None and not classes:
        raise InputError(
            f"label {label} was given, but this model is unconditional; sample without a label, or "
            "train one with --config.class_conditional=True"
        )
    if not classes:
        return None
    if label is None:
        return Context(label=(first_image + jnp.arange(num)) % classes)
    if not 0 <= label < classes:
        raise InputError(f"label must be in [0, {classes}), got {label}")
    return Context(label=jnp.full(num, label))
