"""Strategies for choosing a symbol from its distribution; each maps logits to logits.

Legend: n any leading axes, v values per symbol.

A strategy gives exactly the renormalised distribution in its docstring. Strategies are pytrees with
their numbers as leaves, so another temperature compiles nothing anew. A tuple of strategies is
applied in order.
"""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pixelprior.errors import InputError


class Strategy(Protocol):
    """Transformation of the logits of every symbol."""

    def __call__(self, logits: Float[Array, "*n v"]) -> Float[Array, "*n v"]:
        """Return the logits of the distribution to draw from instead."""
        ...


def apply_strategies(
    strategies: Sequence[Strategy], logits: Float[Array, "*n v"]
) -> Float[Array, "*n v"]:
    """Apply strategies one after the other."""
    for strategy in strategies:
        logits = strategy(logits)
    return logits


def _is_number(value: object) -> bool:
    # JAX rebuilds pytrees around values that are not numbers (tracers, placeholders).
    return isinstance(value, int | float | np.number)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Temperature:
    """Distribution p(v) ** (1 / temperature), renormalised; sharper below 1, flatter above 1.

    Raises:
        InputError: if ``temperature`` is not above 0.
    """

    temperature: float

    def __post_init__(self) -> None:
        if _is_number(self.temperature) and not 0 < self.temperature < float("inf"):
            raise InputError(
                f"temperature must be a number above 0, got {self.temperature} "
                "(close to 0 is close to always taking the likeliest value)"
            )

    def __call__(self, logits: Float[Array, "*n v"]) -> Float[Array, "*n v"]:
        """See `Strategy`."""
        # The likeliest logit becomes zero. The divisor is kept above zero: to float32, anything
        # below 1e-38 is zero. No temperature, however low, can then give infinity or NaN there.
        shifted = logits - logits.max(axis=-1, keepdims=True)
        return shifted / jnp.maximum(self.temperature, jnp.finfo(logits.dtype).tiny)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TopK:
    """Distribution over the ``k`` likeliest values, renormalised; ties with the k-th value stay.

    A ``k`` of at least the number of values changes nothing.

    Raises:
        InputError: if ``k`` is not an integer of at least 1.
    """

    k: int

    def __post_init__(self) -> None:
        if _is_number(self.k) and not (isinstance(self.k, int | np.integer) and self.k >= 1):
            raise InputError(f"top_k must be an integer of at least 1, got {self.k}")

    def __call__(self, logits: Float[Array, "*n v"]) -> Float[Array, "*n v"]:
        """See `Strategy`."""
        levels = logits.shape[-1]
        place = jnp.maximum(levels - self.k, 0)
        smallest = jnp.take(jnp.sort(logits, axis=-1), place, axis=-1)
        return jnp.where(logits >= smallest[..., None], logits, -jnp.inf)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TopP:
    """Distribution over the smallest set of likeliest values with mass of at least ``p`` (top-p).

    It is also called nucleus sampling, see Holtzman et al. 2020, section 3.1. The likeliest value
    always stays. Values as likely as the least likely member of the set stay too.

    Raises:
        InputError: if ``p`` is not in (0, 1].
    """

    p: float

    def __post_init__(self) -> None:
        if _is_number(self.p) and not 0 < self.p <= 1:
            raise InputError(f"top_p must be in (0, 1], got {self.p}")

    def __call__(self, logits: Float[Array, "*n v"]) -> Float[Array, "*n v"]:
        """See `Strategy`."""
        probabilities = jax.nn.softmax(logits, axis=-1)
        descending = -jnp.sort(-probabilities, axis=-1)
        mass_before = jnp.cumsum(descending, axis=-1) - descending
        # A value belongs to the set if the likelier ones have mass below p. At p = 1 rounding
        # must not cut the tail.
        inside = (mass_before < self.p) | (jnp.asarray(self.p) >= 1)
        smallest = jnp.min(jnp.where(inside, descending, jnp.inf), axis=-1)
        return jnp.where(probabilities >= smallest[..., None], logits, -jnp.inf)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MinP:
    """Distribution over values at least ``p`` times as likely as the likeliest, renormalised.

    Nguyen et al. 2024, Turning Up the Heat: Min-p Sampling, section 3.

    Raises:
        InputError: if ``p`` is not in [0, 1].
    """

    p: float

    def __post_init__(self) -> None:
        if _is_number(self.p) and not 0 <= self.p <= 1:
            raise InputError(f"min_p must be in [0, 1], got {self.p}")

    def __call__(self, logits: Float[Array, "*n v"]) -> Float[Array, "*n v"]:
        """See `Strategy`."""
        ratio = jnp.exp(logits - logits.max(axis=-1, keepdims=True))
        return jnp.where(ratio >= self.p, logits, -jnp.inf)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Greedy:
    """Always the likeliest value; on a tie, the lowest."""

    def __call__(self, logits: Float[Array, "*n v"]) -> Float[Array, "*n v"]:
        """See `Strategy`."""
        likeliest = jnp.argmax(logits, axis=-1, keepdims=True)
        return jnp.where(jnp.arange(logits.shape[-1]) == likeliest, 0.0, -jnp.inf)


def strategies_from(
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    greedy: bool = False,
) -> tuple[Strategy, ...]:
    """Build the strategies for the usual settings, in the order of the arguments.

    Raises:
        InputError: if a setting is out of range, or ``greedy`` is combined with others.
    """
    if greedy:
        if temperature != 1.0 or not (top_k is top_p is min_p is None):
            raise InputError("greedy always takes the likeliest value; leave other settings out")
        return (Greedy(),)
    strategies: list[Strategy] = []
    if temperature != 1.0:
        strategies.append(Temperature(temperature))
    if top_k is not None:
        strategies.append(TopK(top_k))
    if top_p is not None:
        strategies.append(TopP(top_p))
    if min_p is not None:
        strategies.append(MinP(min_p))
    return tuple(strategies)
