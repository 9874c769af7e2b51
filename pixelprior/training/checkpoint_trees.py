"""States of a training as the plain trees of checkpoints, and back."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from pixelprior.training.step import TrainState


def parts_of(state: TrainState) -> dict[str, Any]:
    """Turn a state into plain trees.

    Their paths do not depend on the names that Flax or Optax give their nodes.
    """
    return {
        "weights": nnx.to_pure_dict(state.weights),
        "averaged": nnx.to_pure_dict(state.averaged),
        "optimizer": {str(i): leaf for i, leaf in enumerate(jax.tree.leaves(state.optimizer))},
    }


def from_numbered(like: Any, leaves: Mapping[str, Any] | None) -> Any:
    """Put numbered leaves into the nodes of a tree; None for None."""
    if leaves is None:
        return None
    # By number: as strings, "10" would sort before "2".
    ordered = [leaves[str(i)] for i in range(len(leaves))]
    return jax.tree.unflatten(jax.tree.structure(like), ordered)


def as_nodes(like: Any, tree: Any) -> Any:
    """Put a plain tree's leaves into the nodes of the state it was made from."""
    return jax.tree.unflatten(jax.tree.structure(like), jax.tree.leaves(tree))


def shapes_by_name(tree: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays of a tree, by their paths with dots between parts."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): tuple(leaf.shape)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def placed(leaf: jax.Array, like: Any) -> jax.Array:
    """Place a leaf as requested: an array from Orbax cannot leave its device."""
    # `jnp.asarray` would compile a program for each shape.
    return leaf if getattr(like, "sharding", None) else jax.device_put(np.asarray(leaf))
