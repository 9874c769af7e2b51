"""Layers with stacked weights: each layer alone, also of a stack within a stack."""

import jax
import numpy as np
import pytest
from flax import nnx

from pixelprior.nn.stack import Stack, unstack_all


class Outer(nnx.Module):
    def __init__(self, rngs):
        self.inner = Stack(lambda rngs: nnx.Linear(3, 3, rngs=rngs), 2, rngs=rngs)


@pytest.fixture
def parent():
    parent = nnx.Module()
    parent.outer = Stack(Outer, 4, rngs=nnx.Rngs(0))
    return parent


def kernels_of(parent):
    return [
        [linear.kernel[...] for linear in layer.inner.unstack()] for layer in parent.outer.unstack()
    ]


def test_layers_with_their_own_weights_are_those_of_the_stack(parent):
    stacked = parent.outer.layers.inner.layers.kernel[...]
    unstack_all(parent)
    np.testing.assert_array_equal(np.array(kernels_of(parent)), stacked)
    shapes = {weight.shape for weight in jax.tree.leaves(nnx.state(parent))}
    assert shapes == {(3, 3), (3,)}


def test_layers_are_unstacked_once(parent):
    unstack_all(parent)
    before = kernels_of(parent)
    unstack_all(parent)
    assert all(
        ours is theirs
        for layer, other in zip(kernels_of(parent), before, strict=True)
        for ours, theirs in zip(layer, other, strict=True)
    )
