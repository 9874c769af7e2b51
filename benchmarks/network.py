"""Network of the benchmarks: a model of `pixelprior.models`, by default on binary 28x28 grids."""

import argparse
from typing import Any

from flax import nnx

from pixelprior.grid import Grid
from pixelprior.models import MODELS


def network_arguments(description: str) -> argparse.ArgumentParser:
    """Make a parser with the command-line arguments that choose the network."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", choices=list(MODELS), default="gated_pixel_cnn")
    parser.add_argument("--features", type=int, default=128)
    parser.add_argument("--num_layers", type=int, default=10)
    return parser


def build(arguments: argparse.Namespace, side: int = 28) -> tuple[nnx.GraphDef, Any]:
    """Build the network on ``side x side`` binary grids; return its graph and new weights."""
    make: Any = MODELS[arguments.model]
    model = make(
        Grid(side, side, 1, 2),
        features=arguments.features,
        num_layers=arguments.num_layers,
        rngs=nnx.Rngs(0),
    )
    return nnx.split(model)


def title(arguments: argparse.Namespace) -> str:
    """Description of the measured network, in one line."""
    return f"{arguments.model}, {arguments.num_layers} layers of {arguments.features} features"
