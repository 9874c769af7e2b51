"""Forms of JSON values, to check the content of a file before anything uses it.

A form finds the first part of a value that does not fit, and describes it in words.
"""

import abc
import dataclasses
import math
from collections.abc import Mapping
from reprlib import repr  # a short one, also of lists in lists
from typing import Any

LARGEST = 2**53
"""Largest integer by default: larger ones are not exact in other programs that read JSON."""


class Form(abc.ABC):
    """A condition on a JSON value."""

    @abc.abstractmethod
    def problem(self, value: Any, where: str) -> str | None:
        """Describe the first part of a value that does not fit; None if all of it fits.

        Args:
            value: a value that `json.loads` returned.
            where: the name of the value, like "splits.train.images".
        """

    def fits(self, value: Any) -> bool:
        """True if the whole value fits."""
        return self.problem(value, "") is None


@dataclasses.dataclass(frozen=True)
class Integer(Form):
    """An integer from ``least`` to ``most``."""

    least: int = 0
    most: int = LARGEST

    def problem(self, value: Any, where: str) -> str | None:
        """See `Form.problem`."""
        # In Python a bool is an int, but True is no number of images.
        if type(value) is int and self.least <= value <= self.most:
            return None
        limit = "" if self.most == LARGEST else f" and at most {self.most}"
        return f"{where} must be an integer of at least {self.least}{limit}, got {repr(value)}"


@dataclasses.dataclass(frozen=True)
class Number(Form):
    """A number. With ``finite``, NaN and infinity do not fit."""

    finite: bool = True

    def problem(self, value: Any, where: str) -> str | None:
        """See `Form.problem`."""
        if is_number(value) and (not self.finite or math.isfinite(value)):
            return None
        kind = "a finite number" if self.finite else "a number"
        return f"{where} must be {kind}, got {repr(value)}"


@dataclasses.dataclass(frozen=True)
class Text(Form):
    """A string."""

    def problem(self, value: Any, where: str) -> str | None:
        """See `Form.problem`."""
        return None if isinstance(value, str) else f"{where} must be a string, got {repr(value)}"


@dataclasses.dataclass(frozen=True)
class Flag(Form):
    """True or false."""

    def problem(self, value: Any, where: str) -> str | None:
        """See `Form.problem`."""
        fits = isinstance(value, bool)
        return None if fits else f"{where} must be true or false, got {repr(value)}"


@dataclasses.dataclass(frozen=True)
class Maybe(Form):
    """A value of another form, or null."""

    form: Form

    def problem(self, value: Any, where: str) -> str | None:
        """See `Form.problem`."""
        return None if value is None else self.form.problem(value, where)


@dataclasses.dataclass(frozen=True)
class Items(Form):
    """A list of values of one form, of at least ``least`` of them, or of exactly ``length``."""

    form: Form
    length: int | None = None
    least: int = 0

    def problem(self, value: Any, where: str) -> str | None:
        """See `Form.problem`."""
        least = self.least if self.length is None else self.length
        if not isinstance(value, list) or not least <= len(value) <= (self.length or len(value)):
            of = "" if not least else f" of {'at least ' * (self.length is None)}{least} values"
            return f"{where} must be a list{of}, got {repr(value)}"
        found = (self.form.problem(one, f"{where}[{n}]") for n, one in enumerate(value))
        return next((problem for problem in found if problem is not None), None)


@dataclasses.dataclass(frozen=True)
class Keys(Form):
    """A mapping with the keys ``needed``; keys in ``optional`` are checked if they are there."""

    needed: Mapping[str, Form]
    optional: Mapping[str, Form] = dataclasses.field(default_factory=dict)

    def problem(self, value: Any, where: str) -> str | None:
        """See `Form.problem`."""
        if not isinstance(value, Mapping):
            return f"{where or 'it'} must be an object with keys, got {repr(value)}"
        for key, form in {**self.optional, **self.needed}.items():
            name = f"{where}.{key}" if where else key
            if key not in value:
                if key in self.needed:
                    return f"{name} is missing"
            elif (problem := form.problem(value[key], name)) is not None:
                return problem
        return None


@dataclasses.dataclass(frozen=True)
class Named(Form):
    """A mapping from any names to values of one form."""

    form: Form

    def problem(self, value: Any, where: str) -> str | None:
        """See `Form.problem`."""
        if not isinstance(value, Mapping):
            return f"{where or 'it'} must be an object with keys, got {repr(value)}"
        found = (self.form.problem(one, f"{where}.{key}") for key, one in value.items())
        return next((problem for problem in found if problem is not None), None)


ANY = Keys({})
"""A mapping of any content."""


def is_number(value: Any) -> bool:
    """True for a float, and for an integer that fits into a float."""
    if isinstance(value, float):
        return True
    return type(value) is int and abs(value) <= 2**1023
