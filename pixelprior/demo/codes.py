"""Pages about codes: reconstructions, maps of the codes, and walks between two images."""

from pathlib import Path

import numpy as np
import streamlit as st

import pixelprior as pp
from pixelprior.demo.shown import SIDE, show
from pixelprior.demo.subject import choose_subject
from pixelprior.figures.plots import as_colours
from pixelprior.figures.sheets import above, png_bytes
from pixelprior.runs.pictures import WALK, between, reconstructed
from pixelprior.tokenizers.code_maps import level_names


def reconstruct(root: Path, run: str, trained: pp.Run) -> None:
    """Show an image above its reconstruction, and the maps of its codes."""
    tokenizer = trained.vqvae
    assert tokenizer is not None  # the page does not offer this for pixel models
    subject = choose_subject(root, run, trained, "Reconstruct")
    if subject is None:
        return
    kept = reconstructed(tokenizer, subject.pixels)
    error = float(np.square(kept - subject.pixels).mean())
    show(
        f"{run}/reconstruct",
        above(subject.pixels, kept),
        {"run": run, "weights": trained.provenance, "image": subject.name},
        f"The image above its reconstruction: MSE {error:.5f}",
    )
    codes = pp.encode(trained, subject.pixels)
    for name, level, grid in zip(level_names(len(codes)), codes, tokenizer.code_grids, strict=True):
        # One picture for each codebook.
        maps = np.moveaxis(np.asarray(level)[0], -1, 0)
        st.caption(
            f"{name}: {grid.height} x {grid.width} codes, each one of {grid.levels} "
            "values. Each colour is one code."
        )
        st.image(
            png_bytes(as_colours(maps / (grid.levels - 1)), side=SIDE // 3),
            alt=f"{name} codes of {subject.name}",
        )


def walk(root: Path, run: str, trained: pp.Run) -> None:
    """Show images between two images, interpolated between the vectors of their codes."""
    tokenizer = trained.vqvae
    assert tokenizer is not None  # the page does not offer this for pixel models
    start = choose_subject(root, run, trained, "From")
    end = choose_subject(root, run, trained, "To", number=1)
    if start is None or end is None:
        return
    starts, ends = (np.repeat(subject.pixels, WALK, axis=0) for subject in (start, end))
    show(
        f"{run}/walk",
        between(tokenizer, starts, ends, np.linspace(0.0, 1.0, WALK)),
        {"run": run, "weights": trained.provenance, "from": start.name, "to": end.name},
        "Images between the two, at equal steps between the vectors of their codes",
        columns=WALK,
    )
