"""Sizes and a key for the tests of the verbs."""

import jax

import pixelprior as pp

GRID = pp.Grid(height=4, width=6, channels=1, levels=8)
SMALL = {"features": 4, "num_layers": 1, "embedding_features": 4, "head_features": 8}
KEY = jax.random.key(0)
