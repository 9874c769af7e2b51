"""Progress of long work, reported through one callback.

Library functions take ``report``, a function of one `Event`. They never print. The command line
turns events into lines and bars. A notebook may ignore them.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

_Stage = TypeVar("_Stage")


class Message(NamedTuple):
    """A sentence for the user."""

    text: str


class Caution(NamedTuple):
    """A warning: the work continues, but the result may not be as expected."""

    text: str


class Advance(NamedTuple):
    """Progress of a countable job.

    Attributes:
        job: name of the job.
        done: number of units done so far.
        total: number of units in all.
        unit: name of one unit, like "image".
        note: the latest figures, as text.
    """

    job: str
    done: int
    total: int
    unit: str
    note: str = ""


class Finished(NamedTuple):
    """End of a countable job, early or not."""

    job: str


class Record(NamedTuple):
    """Training figures at a step, by name."""

    step: int
    values: Mapping[str, Any]


class Picture(NamedTuple):
    """Images drawn at a training step: pixels in [0, 1], ``[n, h, w, c]``."""

    step: int
    pixels: Float[np.ndarray, "n h w c"]


Event = Message | Caution | Advance | Finished | Record | Picture
Report = Callable[[Event], None]


Check = Callable[[], None]
"""Function called often in work that may be ended early. It raises an exception to end the work."""


def go_on() -> None:
    """Let the work go on, as a `Check`."""


def last_of(stages: Iterable[_Stage], check: Check) -> _Stage:
    """Return the last of at least one stage of some work; call ``check`` after each stage."""
    for stage in stages:
        last = stage
        check()
    return last


def only_warnings(event: Event) -> None:
    """Turn cautions into Python warnings and ignore all other events: the default ``report``."""
    if isinstance(event, Caution):
        warnings.warn(event.text, stacklevel=3)
