"""Page of the demo: the choice of a run and of a view."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

import pixelprior as pp
from pixelprior.demo.arguments import arguments
from pixelprior.demo.cached import trained_run
from pixelprior.demo.codes import reconstruct, walk
from pixelprior.demo.completion import complete
from pixelprior.demo.likelihood import likelihood
from pixelprior.demo.runs import all_runs, find_runs
from pixelprior.demo.sampling import compare, sample
from pixelprior.demo.training import offer_training
from pixelprior.system.compilation_cache import keep_compiled_programs

View = Callable[[Path, str, pp.Run], None]

OF_MODELS: dict[str, View] = {
    "Sample": sample,
    "Complete": complete,
    "Likelihood": likelihood,
    "Compare": compare,
}
OF_TOKENIZERS: dict[str, View] = {"Reconstruct": reconstruct, "Walk": walk}


def show_page() -> None:
    """Show the whole page. Errors appear in the place where they occur."""
    st.set_page_config(page_title="pixelprior", layout="centered")
    st.title("pixelprior")
    if not st.get_option("server.address"):
        st.error(
            "This page would be open to the whole network. Start it with "
            "--server.address=localhost, or with another address if that is what you want."
        )
        return
    keep_compiled_programs()
    try:
        _show(arguments().runs)
    except pp.InputError as error:
        st.error(str(error))


def _show(root: Path) -> None:
    if not find_runs(root):
        st.write(f"There is no trained run in `{root.name}/` yet.")
    offer_training(root)
    runs = all_runs(root)
    if not runs:
        return
    with st.sidebar:
        run = st.selectbox("Run", runs)
        trained = trained_run(root, run)
        shape = "x".join(map(str, trained.data["shape"]))
        kind = "pixel model" if trained.task == "pixels" else trained.task
        st.caption(f"{kind} of {trained.data['name']}, {shape}; {trained.provenance}")
    views = _views(trained)
    chosen = st.radio("What to do", list(views), horizontal=True, label_visibility="collapsed")
    views[chosen](root, run, trained)


def _views(trained: pp.Run) -> dict[str, View]:
    if trained.task == "pixels":
        return OF_MODELS
    if not trained.can_sample:
        return OF_TOKENIZERS
    return OF_MODELS | OF_TOKENIZERS
