"""Hash of a model's weights."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx


def hash_weights(model: nnx.Module, about: Mapping[str, Any]) -> str:
    """Hash the names, shapes, types and values of all weights. 64 hexadecimal digits.

    Args:
        model: the model.
        about: further facts that belong to the hash, as JSON values.
    """
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path(nnx.to_pure_dict(nnx.state(model))):
        values = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)}{values.dtype}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
