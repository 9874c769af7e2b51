"""Conditions of a distribution: a class, a vector, a map, an order of the pixels, a turn."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from pixelprior.errors import InputError
from pixelprior.grid import Grid, check_grid
from pixelprior.sizes import check_sizes
from pixelprior.turns import count_turns


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Context:
    """Condition of a batch of grids; a field that the model does not use stays ``None``.

    Attributes:
        label: one class per grid, in ``[0, num_classes)``. A model with a null class also takes
            ``num_classes``.
        map: a vector of features for every position of the grid, for example an upsampled map of
            coarser codes.
        order: number of pixels before each pixel; the order in which an any-order model factors
            the distribution. Different orders are different distributions.
        vector: one vector of real numbers per grid, for example attributes or an embedding.
        hidden: True for grids whose label and vector the model must not use. This needs a null
            class. No label and no vector hides those of all grids.
        turn: how each grid is turned or mirrored, see `pixelprior.turns`. Without it, all grids are
            upright.
    """

    label: Int[Array, " b"] | None = None
    map: Float[Array, "b h w m"] | None = None
    order: Int[Array, "b h w"] | None = None
    vector: Float[Array, "b k"] | None = None
    hidden: Bool[Array, " b"] | None = None
    turn: Int[Array, " b"] | None = None


@dataclasses.dataclass(frozen=True)
class ContextShape:
    """Kinds of context that a model takes.

    Attributes:
        grid: grid of the model.
        num_classes: number of classes; 0 if unconditional.
        map_features: size of the vectors of the map; 0 for no map.
        null_class: True if a grid may have no label and no vector. Training hid those of some
            grids, see `hide_condition`.
        any_order: True if the order of the pixels can be given.
        vector_features: size of the vectors; 0 for no vector.
        turns: True if the turn of a grid can be given.

    Raises:
        InputError: if ``grid`` is no `Grid`, or a number is not an integer of at least 0.
    """

    grid: Grid
    num_classes: int = 0
    map_features: int = 0
    null_class: bool = False
    any_order: bool = False
    vector_features: int = 0
    turns: bool = False

    def __post_init__(self) -> None:
        check_grid(self.grid)
        check_sizes(
            0,
            num_classes=self.num_classes,
            map_features=self.map_features,
            vector_features=self.vector_features,
        )

    @property
    def takes_any(self) -> bool:
        """True if the model is conditioned on anything."""
        return self.has_condition or bool(self.map_features) or self.turns

    @property
    def has_condition(self) -> bool:
        """True if grids have a label or a vector, which training can hide."""
        return bool(self.num_classes or self.vector_features)

    def of_batch(self, batch: Mapping[str, Any]) -> Context | None:
        """Return the condition of images from their labels and attributes, as the model takes them.

        Args:
            batch: "label", one class per image, and "attributes", one vector per image. The
                attributes may be missing if the model takes no vector.
        """
        label = batch["label"] if self.num_classes else None
        vector = batch["attributes"] if self.vector_features else None
        return Context(label=label, vector=vector) if self.has_condition else None

    def check(self, context: Context | None, batch: int) -> None:
        """Raise an InputError unless the context fits ``batch`` grids of this model."""
        context = Context() if context is None else context
        if not isinstance(context, Context):
            raise InputError(
                f"expected a Context, got {context!r:.80}; a class is given as label=3, or as "
                "Context(label=jnp.full(batch, 3))"
            )
        self._check_given(context)
        if context.label is not None:
            self.check_label(context.label, batch)
        if context.vector is not None:
            self._check_vector(context.vector, batch)
        if context.hidden is not None:
            self._check_hidden(context.hidden, batch)
        map_ = context.map
        if (map_ is None) != (self.map_features == 0):
            raise InputError(
                f"this model is conditioned on a map of {self.map_features} features, but none was "
                "given"
                if map_ is None
                else "a map was given, but this model was built without map_features"
            )
        if map_ is not None and not hasattr(map_, "shape"):
            raise InputError(f"expected a context map as an array, got {type(map_).__name__}")
        expected = (batch, self.grid.height, self.grid.width, self.map_features)
        if map_ is not None and map_.shape != expected:
            raise InputError(f"expected a context map of shape {expected}, got {map_.shape}")
        if context.order is not None:
            self._check_order(context.order, batch)
        if context.turn is not None:
            self._check_turn(context.turn, batch)

    def _check_given(self, context: Context) -> None:
        """Check which of label and vector are given."""
        label, vector = context.label, context.vector
        if label is not None and not self.num_classes:
            raise InputError(
                "a label was given, but this model has no classes: it was built without num_classes"
            )
        if vector is not None and not self.vector_features:
            raise InputError("a vector was given, but this model was built without vector_features")
        if self.null_class and label is None and vector is None:
            return
        together = ", and it takes both or neither" if self.null_class else ""
        if label is None and self.num_classes:
            raise InputError(
                f"this model is conditioned on {self.num_classes} classes, but no label was given"
                f"{together}; give label=..., a class in [0, {self.num_classes}) or one for each "
                "image"
            )
        if vector is None and self.vector_features:
            raise InputError(
                f"this model is conditioned on a vector of {self.vector_features} numbers, but no "
                f"vector was given{together}; give vector=..., one vector or one for each image"
            )

    def _check_vector(self, vector: Float[Array, "b k"], batch: int) -> None:
        shape = (batch, self.vector_features)
        if not hasattr(vector, "dtype") or not jnp.issubdtype(vector.dtype, jnp.floating):
            came = getattr(vector, "dtype", type(vector).__name__)
            raise InputError(f"expected vectors as an array of floats, got {came}")
        if vector.shape != shape:
            raise InputError(f"expected vectors of shape {shape}, got {vector.shape}")
        if not isinstance(vector, jax.core.Tracer) and not np.isfinite(np.asarray(vector)).all():
            raise InputError("expected vectors of finite numbers, got NaN or infinity")

    def _check_hidden(self, hidden: Bool[Array, " b"], batch: int) -> None:
        if not self.null_class:
            raise InputError(
                "conditions can be hidden only from a model with a null class; train one with "
                "label_dropout above 0"
            )
        if not hasattr(hidden, "dtype") or hidden.dtype != bool or hidden.shape != (batch,):
            came = f"{hidden.dtype} {hidden.shape}" if hasattr(hidden, "dtype") else repr(hidden)
            raise InputError(f"expected hidden as one bool per grid, shape ({batch},), got {came}")

    def check_label(self, label: Int[Array, " b"], batch: int) -> None:
        """Raise an InputError unless the labels are classes of ``batch`` grids."""
        if not hasattr(label, "dtype"):
            raise InputError(
                f"expected an array of one integer label per grid, shape ({batch},), got "
                f"{label!r:.80}; jnp.full({batch}, 3) makes one"
            )
        _check_integers(label, (batch,), "label", self.num_classes, self.null_class)

    def _check_order(self, order: Int[Array, "b h w"], batch: int) -> None:
        if not self.any_order:
            raise InputError(
                "an order was given, but this model has an order of its own; leave it out, or "
                "train an any-order model"
            )
        shape = (batch, self.grid.height, self.grid.width)
        if not hasattr(order, "dtype") or not jnp.issubdtype(order.dtype, jnp.integer):
            came = getattr(order, "dtype", type(order).__name__)
            raise InputError(f"expected an order as an array of integers, got {came}")
        if order.shape != shape:
            raise InputError(f"expected an order of shape {shape}, got {order.shape}")
        if not isinstance(order, jax.core.Tracer):
            numbers = np.sort(np.asarray(order).reshape(batch, -1), axis=-1)
            if (numbers != np.arange(numbers.shape[1])).any():
                raise InputError(
                    f"an order must hold each number from 0 to {numbers.shape[1] - 1} once: the "
                    "number of pixels before each pixel"
                )

    def _check_turn(self, turn: Int[Array, " b"], batch: int) -> None:
        if not self.turns:
            raise InputError(
                "a turn was given, but this model knows only upright grids: it was built without "
                "turns=True"
            )
        _check_integers(turn, (batch,), "turn", count_turns(self.grid))


def _check_integers(
    given: Int[Array, " b"], shape: tuple[int], what: str, number: int, more: int = 0
) -> None:
    """Check one integer per grid, in ``[0, number)``; ``more`` values above are accepted too."""
    is_array = hasattr(given, "dtype") and hasattr(given, "shape")
    came = f"{given.dtype} {given.shape}" if is_array else type(given).__name__
    if not is_array or not jnp.issubdtype(given.dtype, jnp.integer) or given.shape != shape:
        raise InputError(f"expected one integer {what} per grid, shape {shape}, got {came}")
    # Inside a transformation the values are unknown. They were checked before it.
    if not isinstance(given, jax.core.Tracer) and shape[0] > 0:
        values = np.asarray(given)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= number + more:
            raise InputError(f"expected {what}s in [0, {number}), got {low} to {high}")


def hide_condition(context: Context | None, rate: float, keys: Key[Array, " b"]) -> Context | None:
    """Hide the label and the vector of some grids, so that a model learns to do without.

    The condition of a grid is hidden or not by its own key alone. Ho and Salimans 2021,
    Classifier-Free Diffusion Guidance, algorithm 1.
    """
    if context is None or not rate:
        return context
    hidden = jax.vmap(lambda key: jax.random.bernoulli(key, rate))(keys)
    return dataclasses.replace(context, hidden=hidden)
