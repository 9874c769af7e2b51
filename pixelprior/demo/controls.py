"""Controls for the settings of samples, in the sidebar."""

from typing import Any

import streamlit as st

import pixelprior as pp
from pixelprior.demo.link import LINKED
from pixelprior.runs.samples import Request
from pixelprior.sampling.strategies import Strategy
from pixelprior.tokenizers.code_maps import level_names

IN_TURN = "all in turn"


def request_controls(trained: pp.Run) -> Request:
    """Ask for seed, class, temperature, top-k, top-p and guidance, if the run supports them."""
    with st.sidebar:
        seed = st.number_input(
            "Seed",
            0,
            2**32 - 1,
            help="The same seed and settings give the same images.",
            key="seed",
            bind=LINKED,
        )
        names = list(trained.data["class_names"])
        label = None
        if trained.config["class_conditional"] and names:
            chosen = st.selectbox("Class", [IN_TURN, *names], key="class", bind=LINKED)
            label = None if chosen == IN_TURN else names.index(chosen)
        strategies = [_strategies(level, most) for level, most in _levels(trained)]
        guidance = None
        if _can_be_guided(trained):
            scale = st.slider(
                "Guidance",
                0.0,
                4.0,
                1.0,
                0.1,
                help="1: the model itself. Above 1: nearer to the condition. 0: no condition.",
                key="guidance",
                bind=LINKED,
            )
            # Scale 1 is the model itself. Without guidance it costs half as much.
            guidance = None if scale == 1.0 else scale
    return Request(int(seed), strategies, label, guidance, "auto")


def next_seed() -> None:
    """Change the seed of the page, for other images with the same settings."""
    st.session_state["seed"] = (int(st.session_state.get("seed", 0)) + 1) % 2**32


def adapted(request: Request, trained: pp.Run) -> Request:
    """Keep the settings of a request that another run supports too."""
    strategies = request.strategies
    if len(strategies) != len(_levels(trained)):
        strategies = strategies[:1]
    conditional = trained.config["class_conditional"]
    known = request.label is not None and request.label < len(trained.data["class_names"])
    return request._replace(
        strategies=strategies,
        label=request.label if conditional and known else None,
        guidance=request.guidance if _can_be_guided(trained) else None,
    )


def _strategies(level: str, most: int) -> tuple[Strategy, ...]:
    of, key = (f" of the {level} codes", f"_{level}") if level else ("", "")
    temperature = temperature_slider(f"Temperature{of}", 1.0, f"temperature{key}")
    top_k = st.slider(
        f"Top-k{of}",
        1,
        most,
        most,
        help="Draw only from the k likeliest values.",
        # A value may be out of the range of another run, which therefore has its own key.
        key=f"top_k{key}_of_{most}",
        bind=LINKED,
    )
    top_p = st.slider(
        f"Top-p{of}",
        0.05,
        1.0,
        1.0,
        0.05,
        help="Draw only from the likeliest values with this total probability.",
        key=f"top_p{key}",
        bind=LINKED,
    )
    # Always use all three strategies, so that other numbers need no new compilation.
    return pp.Temperature(temperature), pp.TopK(top_k), pp.TopP(top_p)


def temperature_slider(label: str, value: float, key: str) -> float:
    """Ask for a temperature."""
    return st.slider(
        label,
        0.05,
        2.0,
        value,
        0.05,
        help="Below 1: likely values are more likely. Above 1: more variety.",
        key=key,
        bind=LINKED,
    )


def at_temperature(request: Request, temperature: float) -> Request:
    """Return the request with another temperature, for all levels."""
    strategies = [
        tuple(
            pp.Temperature(temperature) if isinstance(one, pp.Temperature) else one for one in level
        )
        for level in request.strategies
    ]
    return request._replace(strategies=strategies)


def temperatures(request: Request) -> str:
    """Temperatures of all levels in words."""
    return ", ".join(
        f"{one.temperature:g}"
        for level in request.strategies
        for one in level
        if isinstance(one, pp.Temperature)
    )


def num_images() -> int:
    """Ask for a number of images, in the sidebar."""
    with st.sidebar:
        return st.slider("Images", 1, 64, 16, key="images", bind=LINKED)


def _levels(trained: pp.Run) -> list[tuple[str, int]]:
    """Name and number of values of each level that has its own strategies."""
    if trained.task == "pixels":
        return [("", trained.model.grid.levels)]
    grids = trained.model.grids
    names = level_names(len(grids)) if len(grids) > 1 else [""]
    return [(name, grid.levels) for name, grid in zip(names, grids, strict=True)]


def _can_be_guided(trained: pp.Run) -> bool:
    if trained.task == "prior":
        return bool(trained.model.label_dropout)
    return trained.model.context_shape.null_class


def in_words(run: str, trained: pp.Run, request: Request) -> dict[str, Any]:
    """Settings of a picture, to store in its file."""
    return {
        "run": run,
        "weights": trained.provenance,
        "data": trained.data["name"],
        "seed": request.seed,
        "class": None if request.label is None else trained.data["class_names"][request.label],
        "guidance": request.guidance,
        "strategies": repr(request.strategies),
    }
