"""Weights of a run by name: the path of each weight in its model, joined by dots."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from pixelprior.runs.one_file.layout import TOKENIZER
from pixelprior.runs.one_file.quantise import compress, expand
from pixelprior.runs.run import Run


def named(model: nnx.Module) -> dict[str, Any]:
    """Weights of a model by name, in the order of its state."""
    state = nnx.to_pure_dict(nnx.state(model))
    return {
        ".".join(str(part.key) for part in path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }


def with_weights(model: Any, weights: Mapping[str, np.ndarray]) -> Any:
    """Return the same model with other weights, given by name. It may share their memory."""
    graph, state = nnx.split(model)
    # `jnp.asarray` would compile a program for each shape.
    leaves = [jax.device_put(weights[name]) for name in named(model)]
    return nnx.merge(graph, jax.tree.unflatten(jax.tree.structure(state), leaves))


def stored_weights(run: Run, dtype: str) -> dict[str, np.ndarray]:
    """Arrays of the file of a run, by name. A prior's file has the weights of its tokenizer too.

    Args:
        run: the run.
        dtype: the type of the kernels, one of `DTYPES`.
    """
    stored = {}
    for prefix, model in models_of(run).items():
        weights = {name: np.asarray(leaf) for name, leaf in named(model).items()}
        for name, values in compress(model, weights, dtype).items():
            stored[prefix + name] = np.ascontiguousarray(values)
    return stored


def with_stored(run: Run, stored: Mapping[str, np.ndarray]) -> Run:
    """Return the same run with the weights of a file, in float32."""
    weights = expand(stored)
    own = {name: values for name, values in weights.items() if not name.startswith(TOKENIZER)}
    if run.tokenizer is None:
        return dataclasses.replace(run, model=with_weights(run.model, own))
    of_tokenizer = {
        name.removeprefix(TOKENIZER): values
        for name, values in weights.items()
        if name.startswith(TOKENIZER)
    }
    return dataclasses.replace(
        run,
        model=with_weights(run.model, own),
        tokenizer=with_weights(run.tokenizer, of_tokenizer),
    )


def models_of(run: Run) -> dict[str, Any]:
    """Models of a run by the start of the names of their weights."""
    return {"": run.model} | ({} if run.tokenizer is None else {TOKENIZER: run.tokenizer})
