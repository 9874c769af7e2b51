"""Arguments of the public functions, checked before compilation.

Legend: b batch, h height, w width, c channels, g codebooks.
"""

import dataclasses
import numbers
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.data import to_pixels
from pixelprior.errors import InputError
from pixelprior.models.base import GridModel
from pixelprior.models.guided import check_guidance
from pixelprior.prior import Prior
from pixelprior.progress import Report
from pixelprior.runs.load import load_trained
from pixelprior.runs.run import Run
from pixelprior.tokenizers import VQVAE

Model = GridModel | Prior | VQVAE

LARGEST = float(np.finfo(np.float32).max)
"""Largest number of a vector."""

ROUNDING = 1e-3
"""Distance from [0, 1] that a pixel may have. Resizing and bfloat16 give such values."""


def model_of(subject: Any) -> Model:
    """Return the model of a run, or the model itself.

    Raises:
        InputError: if ``subject`` is neither a run nor a model.
    """
    if isinstance(subject, Run):
        return subject.model
    if isinstance(subject, GridModel | Prior | VQVAE):
        return subject
    if isinstance(subject, str | Path):
        raise InputError(f"expected a model or a run, got a path; use pp.load({str(subject)!r})")
    raise InputError(
        f"expected a model or a run, got {type(subject).__name__}; pp.load and pp.fit return one"
    )


def loaded(run: Any, report: Report) -> Run:
    """Return a run, from itself or its place.

    Raises:
        InputError: if ``run`` is something else, or cannot be read.
    """
    if isinstance(run, Run):
        return run
    if isinstance(run, str | Path):
        return load_trained(run, report=report)
    raise InputError(
        f"expected a run or a run folder, got {type(run).__name__}; a model alone has no data: "
        "give the run of pp.fit or pp.load_trained"
    )


def check_strategy(strategy: Any, *, by_level: bool = False) -> None:
    """Raise an InputError unless ``strategy`` is a strategy, or a list or tuple of strategies.

    With ``by_level``, an entry of the list may be the list of one level.
    """
    entries = strategy if isinstance(strategy, list | tuple) else [strategy]
    for entry in entries:
        if by_level and isinstance(entry, list | tuple):
            check_strategy(entry)
        # A function is no pytree: its numbers could not change without a new compilation.
        elif isinstance(entry, type) or not callable(entry) or jax.tree_util.all_leaves([entry]):
            raise InputError(
                "strategy must be a strategy such as pp.Temperature(0.9), or a list of strategies, "
                f"got {entry!r:.80}"
            )
        elif dataclasses.is_dataclass(entry):
            for name, value in vars(entry).items():
                if np.ndim(value) != 0 or not (
                    hasattr(value, "dtype") or isinstance(value, numbers.Number)
                ):
                    kind = type(entry).__name__
                    raise InputError(f"{name} of {kind} must be a number, got {value!r:.80}")


def distribution_of(subject: Any) -> GridModel | Prior:
    """Return a pixel model or a prior, from itself or its run.

    Raises:
        InputError: if ``subject`` is something else.
    """
    model = model_of(subject)
    if isinstance(model, VQVAE):
        raise InputError(
            "a tokenizer has no distribution to sample from or to score; train a prior on its codes"
        )
    return model


def tokenizer_of(subject: Any) -> VQVAE:
    """Return a tokenizer, from itself, its run or the run of a prior.

    Raises:
        InputError: if there is no tokenizer.
    """
    model = model_of(subject)
    if isinstance(model, VQVAE):
        return model
    if isinstance(subject, Run) and subject.tokenizer is not None:
        return subject.tokenizer
    if isinstance(model, Prior):
        raise InputError(
            "a prior alone gives codes; give its run (pp.load_trained, pp.fit), or tokenizer=..."
        )
    raise InputError(
        f"expected a tokenizer or its run, got a {type(model).__name__}, which has no codes"
    )


def check_key(key: Any) -> None:
    """Raise an InputError unless ``key`` is one JAX key."""
    if isinstance(key, jax.Array):
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ():
            return
        # jax.random.PRNGKey makes keys of this older kind.
        if key.dtype == jnp.uint32 and key.shape == (2,):
            return
    shown = repr(key) if isinstance(key, numbers.Number) else type(key).__name__
    raise InputError(f"key must be one JAX key, got {shown}; use jax.random.key(0)")


def check_num(num: Any) -> None:
    """Raise an InputError unless ``num`` is an integer of at least 1."""
    if not isinstance(num, int | np.integer) or isinstance(num, bool) or num < 1:
        raise InputError(f"num must be an integer of at least 1, got {num!r}")


def check_request(
    model: GridModel | Prior,
    key: Any,
    num: Any,
    strategy: Any,
    first_image: Any,
    guidance: Any,
    guidance_schedule: Any,
) -> None:
    """Raise an InputError unless the arguments for drawing fit, apart from conditions."""
    check_key(key)
    check_num(num)
    check_strategy(strategy, by_level=isinstance(model, Prior))
    check_first_image(first_image, num)
    check_guidance(guidance, guidance_schedule)


def check_first_image(first_image: Any, num: int) -> None:
    """Raise an InputError unless ``first_image`` is the number of an image."""
    if isinstance(first_image, jax.Array):
        fits = first_image.shape == () and jnp.issubdtype(first_image.dtype, jnp.integer)
    else:
        whole = isinstance(first_image, int | np.integer) and not isinstance(first_image, bool)
        fits = whole and 0 <= first_image <= np.iinfo(np.int32).max - num
    if not fits:
        raise InputError(
            f"first_image must be an integer from 0, below 2**31 - {num}, got {first_image!r:.80}"
        )


def labels(subject: Any, label: Any, num: int, num_classes: int) -> Int[Array, " b"] | None:
    """Return one class for each image.

    Args:
        subject: the model, or its run. Only a run has the names of the classes.
        label: one class for all images (index or name), one class for each image, or None.
        num: the number of images.
        num_classes: the number of classes; 0 if unconditional.

    Raises:
        InputError: if there is no such class, or the number of classes is wrong.
    """
    if label is None:
        return None
    if isinstance(label, str):
        return jnp.full(num, _class_index(subject, label), jnp.int32)
    if isinstance(label, bool):
        raise _no_label(label, num)
    if isinstance(label, Sequence) and all(isinstance(one, str) for one in label):
        label = [_class_index(subject, one) for one in label]
    try:
        if not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(label)):
            _check_int32(label)  # JAX would wrap larger integers
        array = jnp.asarray(label)
    except (TypeError, ValueError, OverflowError):
        raise _no_label(label, num) from None
    if array.ndim == 0:
        array = jnp.broadcast_to(array, (num,))
    if not jnp.issubdtype(array.dtype, jnp.integer) or array.shape != (num,):
        raise _no_label(label, num)
    # The models also take the null class, one above the last. As a label it is a mistake.
    if num_classes and not isinstance(array, jax.core.Tracer) and int(array.max()) == num_classes:
        raise InputError(
            f"expected labels in [0, {num_classes}), got {num_classes}; leave label out to draw "
            "without a class"
        )
    return array


def _check_int32(values: Any) -> None:
    """Raise an OverflowError if an integer does not fit into 32 bits."""
    array = np.asarray(values)
    largest = np.iinfo(np.int32).max
    if array.dtype.kind in "iuO" and array.size and np.abs(array).max() > largest:
        raise OverflowError


def _no_label(label: Any, num: int) -> InputError:
    return InputError(
        f"label must be a class, by index or name, or one index for each of {num} images, "
        f"got {label!r:.80}"
    )


def _class_index(subject: Any, name: str) -> int:
    if not isinstance(subject, Run):
        raise InputError(f"names of classes need a run, got {name!r} for a model; give an index")
    index = subject.class_index(name)
    assert index is not None
    return index


def vectors(vector: Any, num: int, vector_features: int) -> Float[Array, "b k"]:
    """Return one vector for each image.

    Args:
        vector: one vector ``[k]`` for all images, or one for each image ``[b, k]``: an array, or a
            list of numbers.
        num: the number of images.
        vector_features: the size of the model's vectors.

    Raises:
        InputError: if ``vector`` is not of this form.
    """
    if not vector_features:
        raise InputError("a vector was given, but this model was built without vector_features")
    came = f"{vector!r:.80}"
    try:
        array = vector if isinstance(vector, jax.Array) else np.asarray(vector)
        came = came if isinstance(vector, str) else f"{array.dtype} of shape {list(array.shape)}"
        if array.dtype != object and array.ndim == 1:
            array = array[None].repeat(num, axis=0)
        fits = array.shape == (num, vector_features) and (
            array.dtype.kind in "biu" or jnp.issubdtype(array.dtype, jnp.floating)
        )
    except (TypeError, ValueError, OverflowError):
        fits = False
    if not fits:
        raise InputError(
            f"vector must be {vector_features} real numbers, or {num} rows of them, one for each "
            f"image, got {came}"
        )
    if isinstance(array, np.ndarray) and not (np.abs(array) <= LARGEST).all():
        raise InputError(
            f"vector must hold finite numbers of at most {LARGEST:.3g}, got "
            f"{array[~(np.abs(array) <= LARGEST)].flat[0]}"
        )
    return jnp.asarray(array, jnp.float32)


def context_of(
    subject: Any,
    model: GridModel | Prior,
    label: Any,
    vector: Any,
    context: Any,
    order: Any,
    num: int,
) -> Context | None:
    """Return the context of a model, from a label and a vector or a context, and an order.

    Raises:
        InputError: if both are given, or an argument does not fit the model.
    """
    if order is not None and isinstance(model, Prior):
        raise InputError("order is for pixel models; an any-order prior draws known codes first")
    if context is not None:
        for name, given in (("label", label), ("vector", vector)):
            if given is not None:
                raise InputError(
                    f"give {name} or context, not both; a Context has a field for the {name}"
                )
    shape = model.context_shape
    if label is not None or vector is not None:
        context = Context(
            label=labels(subject, label, num, shape.num_classes),
            vector=None if vector is None else vectors(vector, num, shape.vector_features),
        )
    shape.check(context, num)
    if order is None:
        return context
    context = context or Context()
    if context.order is not None:
        raise InputError("give order or context.order, not both")
    if not hasattr(order, "dtype"):
        raise InputError(f"expected an order as an array of integers, got {type(order).__name__}")
    if order.ndim == 2:
        order = jnp.broadcast_to(order, (num, *order.shape))
    context = dataclasses.replace(context, order=jnp.asarray(order))
    model.context_shape.check(context, num)
    return context


def pixels_of(tokenizer: VQVAE, images: Any) -> Float[Array, "b h w c"]:
    """Return images as pixels in [0, 1]; integers are symbols in the grid of the tokenizer.

    Raises:
        InputError: if ``images`` is not an array of the tokenizer's shape with pixels in range.
    """
    if isinstance(images, list | tuple):
        raise InputError(
            "images must be one array [batch, height, width, channels], got a "
            f"{type(images).__name__}; use jnp.stack"
        )
    if not hasattr(images, "dtype"):
        raise InputError(f"images must be an array, got {type(images).__name__}")
    if not images.size:
        raise InputError("expected at least one image, got none")
    if jnp.issubdtype(images.dtype, jnp.integer):
        tokenizer.grid.check(images)
        return jnp.asarray(to_pixels(images, tokenizer.grid.levels))
    if not isinstance(images, jax.core.Tracer):
        values = np.asarray(images)
        # NaN fails both comparisons.
        if not (values.min() >= -ROUNDING and values.max() <= 1 + ROUNDING):
            raise InputError(
                f"expected pixels in [0, 1], got values from {values.min()} to {values.max()}; "
                "divide 8-bit pixels by 255"
            )
    return jnp.asarray(images)
