"""Facts about a run: one line, and details behind it."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import streamlit as st
from flax import nnx

import pixelprior as pp
from pixelprior.demo.plain import plain
from pixelprior.experiment import describe_augmentation

_WORDS = {
    "nats": "NLL {:.2f} nats",
    "bits_per_dim": "{:.4f} bits/dim",
    "bits_per_code": "{:.3f} bits/code",
    "squared_error": "MSE {:.5f}",
}


def show_card(run: str, trained: pp.Run) -> None:
    """Show the line of a run. A click opens the details."""
    with st.expander(f"**{plain(run)}**: {plain(in_one_line(trained))}"):
        data = trained.data
        height, width, channels = data["shape"]
        facts = {
            "data": data["name"],
            "images": f"{height} x {width} pixels in {'grey' if channels == 1 else 'colour'}, "
            f"{data['levels']} values",
            "classes": ", ".join(data["class_names"]) if trained.num_classes else "",
            "augmentation": describe_augmentation(trained.config),
            "network": ", ".join(_networks(trained.config)),
            "parameters": f"{num_parameters(trained):,}",
            "weights": trained.provenance,
        }
        st.text("\n".join(f"{name}: {fact}" for name, fact in facts.items() if fact))


def in_one_line(trained: pp.Run) -> str:
    """Kind, data, result and size of a run, in one line."""
    kind = "pixel model" if trained.task == "pixels" else trained.task
    shape = "x".join(map(str, trained.data["shape"]))
    facts = [f"{kind} of {trained.data['name']} {shape}", *measured(trained.metrics)]
    return ", ".join([*facts, f"{num_parameters(trained):,} parameters"])


def measured(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Last results of a training in words: those of the test split, or else of validation."""
    for split in ("test", "validation"):
        for record in reversed(records):
            found = [
                words.format(record[f"{split}_{name}"])
                for name, words in _WORDS.items()
                if f"{split}_{name}" in record
            ]
            if found:
                return [f"{split} {found[0]}", *found[1:]]
    return []


def num_parameters(trained: pp.Run) -> int:
    """Number of trained weights; for a prior without its tokenizer."""
    return sum(weight.size for weight in jax.tree.leaves(nnx.state(trained.model, nnx.Param)))


def _networks(config: Mapping[str, Any]) -> list[str]:
    if config["task"] == "tokenizer":
        return [config["tokenizer"]["name"], config["quantizer"]["name"]]
    models = [config["model"]] if config["task"] == "pixels" else config["models"].values()
    return [model["name"] for model in models]
