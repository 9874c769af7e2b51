"""Weights of a new model, taken from another model array by array.

An array is taken if its path and its shape agree. Three kinds of arrays have rules of their own:

- A row of a label table belongs to a class, and a row of the kernel for vectors to an attribute.
  Rows are taken by these names.
- The weights of stacked layers have the layer as a leading axis. If only the number of layers
  differs, the first layers are taken.
- A codebook and its counts are taken together, and only with all encoders. A codebook fits only
  the vectors of the encoders that it was trained with.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from jaxtyping import Shaped

from pixelprior.nn.context_encoder import ContextEncoder
from pixelprior.nn.stack import Stack
from pixelprior.tokenizers.level import ENCODER_PARTS, Level
from pixelprior.tokenizers.quantizer import Quantizer

Path = tuple[Any, ...]
"""Attributes and numbers that lead to an array or a module."""

LISTED = 5
"""Largest number of new classes that a note lists."""


class Names(NamedTuple):
    """Names of the conditions of a model.

    Attributes:
        classes: names of the classes, in order.
        attributes: names of the numbers of its vectors, in order.
    """

    classes: Sequence[str] = ()
    attributes: Sequence[str] = ()


NO_NAMES = Names()


class Part(NamedTuple):
    """A part of the new model, and the same part of the source.

    Attributes:
        name: name for people; "" for a whole model.
        path: path of the part in the new model.
        source: path of the part in the source; None if its weights stay fresh.
        reason: the reason for None.
    """

    name: str
    path: Path
    source: Path | None
    reason: str = ""


class Group(NamedTuple):
    """A group of weights, like "head" or "label table".

    Attributes:
        name: name of the part and of the group.
        taken: number of weights from the source.
        fresh: number of weights that stay fresh.
        notes: reasons, and layers that are taken in part.
    """

    name: str
    taken: int
    fresh: int
    notes: tuple[str, ...]


class _Array(NamedTuple):
    """An array of the new model: its values, and how many of them are taken."""

    path: Path
    group: str
    value: Shaped[np.ndarray, "..."]
    taken: int
    note: str = ""

    @property
    def is_whole(self) -> bool:
        return self.taken == self.value.size


def take_weights(
    fresh: nnx.Module,
    source: nnx.Module,
    parts: Sequence[Part],
    *,
    names: Names = NO_NAMES,
    source_names: Names = NO_NAMES,
) -> tuple[nnx.Module, list[Group]]:
    """Return a model with the weights of another one, where they fit.

    Args:
        fresh: the new model; it stays unchanged.
        source: the model whose weights are taken.
        parts: the parts of the new model. Weights outside of them stay fresh and are not counted.
        names: names of the conditions of the new model.
        source_names: names of the conditions of the source.

    Returns:
        A model like ``fresh``, and its groups of weights.
    """
    graph, state = nnx.split(fresh)
    ours, theirs = dict(nnx.to_flat_state(state)), dict(nnx.to_flat_state(nnx.state(source)))
    taking = _Taking(fresh, source, names, source_names)
    groups: list[Group] = []
    arrays: list[_Array] = []
    for part in parts:
        arrays += (
            taking.array(part, path, variable[...], theirs)
            for path, variable in ours.items()
            if path[: len(part.path)] == part.path
        )
    arrays = taking.with_whole_codebooks(arrays, ours)
    for name in dict.fromkeys(array.group for array in arrays):
        groups.append(_group(name, [array for array in arrays if array.group == name]))
    taken = {array.path: jax.device_put(array.value) for array in arrays}
    weights = nnx.from_flat_state(
        [(path, x.replace(taken[path]) if path in taken else x) for path, x in ours.items()]
    )
    return nnx.merge(graph, weights), groups


class _Taking:
    """Rules for the arrays of a new model, given the modules that they belong to."""

    def __init__(
        self,
        fresh: nnx.Module,
        source: nnx.Module,
        names: Names,
        source_names: Names,
    ):
        modules = dict(nnx.iter_modules(fresh))
        self.stacks = [(*path, "layers") for path, x in modules.items() if isinstance(x, Stack)]
        self.codebooks = [path for path, x in modules.items() if isinstance(x, Quantizer)]
        self.encoders = [
            (*path, name)
            for path, x in modules.items()
            if isinstance(x, Level)
            for name in ENCODER_PARTS
        ]
        self.rows, self.source_rows = (
            dict(_named_rows(fresh, names)),
            dict(_named_rows(source, source_names)),
        )

    def array(self, part: Part, path: Path, here: Any, theirs: dict[Path, Any]) -> _Array:
        """Take an array from the source, as far as it fits."""
        here, inner = np.asarray(here), path[len(part.path) :]
        group = f"{part.name} {self._kind(path, inner)}".strip()
        if part.source is None:
            return _Array(path, group, here, 0, part.reason)
        source, name = part.source + inner, ".".join(map(str, inner))
        if source not in theirs:
            return _Array(path, group, here, 0, f"{name} is not in the source")
        there = np.asarray(theirs[source][...]).astype(here.dtype)
        if path in self.rows and source in self.source_rows:
            if here.shape[1:] == there.shape[1:]:
                rows = self.rows[path], self.source_rows[source]
                return _Array(path, group, *_take_rows(here, there, *rows))
        elif here.shape == there.shape:
            return _Array(path, group, there, here.size)
        # Each stack around an array is a leading axis of its weights.
        stacked = sum(path[: len(stack)] == stack for stack in self.stacks)
        if here.ndim == there.ndim and here.shape[stacked:] == there.shape[stacked:]:
            return _Array(path, group, *_first_layers(here, there, stacked))
        note = f"{name} is {list(here.shape)} here, {list(there.shape)} there"
        return _Array(path, group, here, 0, note)

    def with_whole_codebooks(self, arrays: list[_Array], ours: dict[Path, Any]) -> list[_Array]:
        """Leave codebooks fresh that cannot be taken as a whole, with all encoders."""
        encoders_are_whole = all(x.is_whole for x in arrays if _is_in(x.path, self.encoders))
        for codebook in self.codebooks:
            members = [x for x in arrays if _is_in(x.path, [codebook])]
            if all(x.is_whole for x in members) and encoders_are_whole:
                continue
            note = next((x.note for x in members if x.note), "it starts from the new encoders")
            fresh = {
                x.path: x._replace(value=np.asarray(ours[x.path][...]), taken=0, note=note)
                for x in members
            }
            arrays = [fresh.get(x.path, x) for x in arrays]
        return arrays

    def _kind(self, path: Path, inner: Path) -> str:
        if path in self.rows:
            return "label table" if path[-2] == "label" else "attributes"
        return "codebook" if _is_in(path, self.codebooks) else str(inner[0])


def _named_rows(model: nnx.Module, names: Names) -> Iterator[tuple[Path, list[str | None]]]:
    """Yield the paths of arrays whose rows have names, and the names. The null class is None."""
    for path, module in nnx.iter_modules(model):
        if isinstance(module, ContextEncoder):
            null_class: list[str | None] = [None] if module.shape.null_class else []
            yield (*path, "label", "embedding"), [*names.classes, *null_class]
            yield (*path, "vector", "kernel"), list(names.attributes)


def _take_rows(
    here: Shaped[np.ndarray, "k d"],
    there: Shaped[np.ndarray, "k d"],
    names: Sequence[str | None],
    source_names: Sequence[str | None],
) -> tuple[Shaped[np.ndarray, "k d"], int, str]:
    """Take the rows whose names both arrays have.

    Returns:
        The rows, the number of weights taken, and a note about the other rows.
    """
    rows = {name: row for row, name in enumerate(source_names)}
    value, new = here.copy(), []
    for row, name in enumerate(names):
        if name in rows:
            value[row] = there[rows[name]]
        else:
            new.append("the null class" if name is None else name)
    taken = (len(names) - len(new)) * here.shape[1]
    if not new:
        return value, taken, ""
    more = f" and {len(new) - LISTED} more" if len(new) > LISTED else ""
    return value, taken, f"no row in the source for {', '.join(new[:LISTED])}{more}"


def _first_layers(
    here: Shaped[np.ndarray, "..."], there: Shaped[np.ndarray, "..."], stacked: int
) -> tuple[Shaped[np.ndarray, "..."], int, str]:
    """Take the layers that both stacks have. The leading ``stacked`` axes are layers."""
    depths = list(zip(here.shape[:stacked], there.shape[:stacked], strict=True))
    common = tuple(slice(min(pair)) for pair in depths)
    value = here.copy()
    value[common] = there[common]
    ours, its = next(pair for pair in depths if pair[0] != pair[1])
    note = (
        f"the source has only {its} of {ours} layers"
        if its < ours
        else f"the first {ours} of the source's {its} layers"
    )
    return value, there[common].size, note


def _group(name: str, arrays: Sequence[_Array]) -> Group:
    """Count the weights of a group, and collect its notes."""
    taken = sum(array.taken for array in arrays)
    notes = tuple(dict.fromkeys(array.note for array in arrays if array.note))
    return Group(name, taken, sum(array.value.size for array in arrays) - taken, notes)


def _is_in(path: Path, folders: Iterable[Path]) -> bool:
    return any(path[: len(folder)] == folder for folder in folders)
