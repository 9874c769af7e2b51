"""Likelihood of an image: its bits in total, and a map of them."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import streamlit as st
from jaxtyping import Array, Float, Int

import pixelprior as pp
from pixelprior import jitted
from pixelprior.coding.codec import Codec
from pixelprior.demo.shown import show
from pixelprior.demo.subject import Subject, choose_subject
from pixelprior.figures.file_sizes import png_bytes_of, webp_bytes_of
from pixelprior.figures.sheets import above
from pixelprior.runs.pictures import shaded, uniform_bits
from pixelprior.tokenizers.code_maps import level_names


def likelihood(root: Path, run: str, trained: pp.Run) -> None:
    """Show an image above a map of its bits per pixel; for a prior, maps of its bits per code."""
    subject = choose_subject(root, run, trained, "Score")
    if subject is None:
        return
    context = _context_of(run, trained, subject)
    settings = {"run": run, "weights": trained.provenance, "image": subject.name}
    if trained.task == "pixels":
        model = trained.model
        bits = np.asarray(jitted.pixel_bits(model, subject.symbols, context))
        original = np.broadcast_to(subject.pixels, (*bits.shape, 3))
        show(
            f"{run}/likelihood",
            above(original, shaded(bits, model.grid)),
            settings,
            f"{bits.sum():.1f} bits, {bits.sum() / model.grid.size:.3f} per dimension. "
            f"{_scale(model.grid)}",
        )
        _show_sizes(trained, subject, context)
        return
    prior, tokenizer = trained.model, trained.tokenizer
    assert tokenizer is not None  # every prior has one in its folder
    codes = pp.encode(trained, subject.pixels)
    for number, name in enumerate(level_names(len(codes))):
        of_level = prior.context(number, codes[:number], context)
        bits = np.asarray(jitted.pixel_bits(prior.levels[number], codes[number], of_level))
        grid = prior.grids[number]
        maps = _enlarged(shaded(bits, grid), *subject.pixels.shape[1:3])
        original = np.broadcast_to(subject.pixels, maps.shape)
        show(
            f"{run}/likelihood/{name}",
            above(original, maps),
            {**settings, "level": name},
            f"{name}: {bits.sum():.1f} bits for {grid.size} codes. {_scale(grid)}",
        )


def _show_sizes(trained: pp.Run, subject: Subject, context: pp.Context | None) -> None:
    """Show the bits of the image in other formats and compressed with the run."""
    grid = trained.model.grid
    symbols = np.asarray(subject.symbols)
    stream = Codec(trained.model, batch_size=1).write([symbols], context)
    sizes = {
        "PNG": png_bytes_of(symbols[0], grid.levels),
        "WebP, lossless": webp_bytes_of(symbols[0], grid.levels),
        "This model, without a header": len(stream),
    }
    cells = zip(st.columns(len(sizes)), sizes.items(), strict=True)
    for column, (name, num_bytes) in cells:
        column.metric(name, f"{8 * num_bytes:,} bits")
    st.caption(
        "Compressed data are whole bytes. Their last ones cost a little more than the image."
    )


def _enlarged(
    maps: Float[np.ndarray, "n h w c"], height: int, width: int
) -> Float[np.ndarray, "n H W c"]:
    """Give each code of a map the pixels of its part of the image."""
    rows = np.arange(height) * maps.shape[1] // height
    columns = np.arange(width) * maps.shape[2] // width
    return maps[:, rows][:, :, columns]


def _scale(grid: pp.Grid) -> str:
    """Explain the brightness of a map of bits."""
    return (
        f"Black: 0 bits. Brightest: {uniform_bits(grid):.1f} bits, a uniform distribution, or more."
    )


def _context_of(run: str, trained: pp.Run, subject: Subject) -> pp.Context | None:
    """Ask for the class, and take the attributes of the image; None for no condition."""
    if not trained.model.context_shape.vector_features:
        label = _class_of(run, trained, subject)
        return None if label is None else pp.Context(label=label)
    if subject.vector is None:
        if not trained.config["label_dropout"]:
            raise pp.InputError(
                "the attributes of this image are not known, and this model needs them; choose a "
                "test image"
            )
        st.caption("The attributes of this image are not known, so it is scored without them.")
        return None
    return pp.Context(label=_class_of(run, trained, subject), vector=jnp.asarray(subject.vector))


def _class_of(run: str, trained: pp.Run, subject: Subject) -> Int[Array, " 1"] | None:
    """Ask for the class, by default that of the image; None for an unconditional run."""
    names = list(trained.data["class_names"])
    if not trained.config["class_conditional"]:
        return None
    with st.sidebar:
        chosen = st.selectbox(
            "Given the class", names, index=subject.label or 0, key=f"{run}/class/{subject.name}"
        )
    return jnp.array([names.index(chosen)])
