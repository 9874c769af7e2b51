"""Page of the demo: the choice of a run and of a view."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

import pixelprior as pp
from pixelprior.demo.arguments import arguments
from pixelprior.demo.cached import trained_run
from pixelprior.demo.card import show_card
from pixelprior.demo.codes import reconstruct, walk
from pixelprior.demo.completion import complete
from pixelprior.demo.gallery import GALLERY, show_gallery
from pixelprior.demo.likelihood import likelihood
from pixelprior.demo.link import LINKED
from pixelprior.demo.plain import plain
from pixelprior.demo.runs import BUNDLED, all_runs
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

FIRST = f"mnist{BUNDLED}"
"""The run that a page without runs opens with."""

MISSING = "missing"
"""Key of the session for the name of a run that was asked for, or deleted."""

# The picture comes first, and fits into the window. Small and coloured text has enough contrast.
STYLE = """
<style>
.block-container {padding-top: 3.5rem; padding-bottom: 2rem}
h1 {font-size: 1.5rem !important; padding: 0 0 0.5rem !important}
@media (max-width: 640px) {[role="radio"] {padding: 0 0.4rem !important; min-width: 0 !important}}
[data-testid="stCaptionContainer"] {opacity: 0.8 !important}
[role="radio"][aria-checked="true"],
[role="radio"][aria-checked="true"] * {color: inherit !important}
[data-testid="stImage"] img {max-height: 66vh; width: auto; image-rendering: pixelated}
</style>
"""


def show_page() -> None:
    """Show the whole page. Errors appear in the place where they occur."""
    st.set_page_config(page_title="pixelprior", layout="centered")
    st.html(STYLE)
    st.title("pixelprior", anchor=False)
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
    run = _choose_run(root)
    try:
        trained = trained_run(root, run)
        views = _views(trained)
    except pp.InputError as error:
        st.error(str(error))
        views = {}
    chosen = _choose_view([*views, GALLERY])
    content = st.container()
    with st.sidebar:
        offer_training(root)
    if chosen == GALLERY:
        with content:
            show_gallery(root)
        return
    show_card(run, trained)
    with content:
        views[chosen](root, run, trained)


def _choose_run(root: Path) -> str:
    """Ask for a run. Another run that appears or disappears does not change the choice."""
    runs = all_runs(root)
    if runs[0].endswith(BUNDLED):  # a stable sort
        runs.sort(key=lambda run: run != FIRST)
    wanted = st.session_state.get("run", st.query_params.get("run"))
    st.session_state["run"] = wanted if wanted in runs else runs[0]
    if wanted not in (None, st.session_state["run"]):
        st.session_state[MISSING] = wanted
    if missing := st.session_state.get(MISSING):
        st.warning(plain(f"The run {missing} is not there. This is {st.session_state['run']}."))
    with st.sidebar:
        run = st.selectbox(
            "Run",
            runs,
            key="run",
            on_change=st.session_state.pop,
            args=[MISSING, None],
            help="The address of this page keeps the run and the settings.",
        )
    # Not bound to the widget: the address would leave out the first run of the list, and another
    # run may become the first one.
    st.query_params["run"] = run
    return run


def _choose_view(names: list[str]) -> str:
    """Ask for a view. A run without the chosen view opens with its first one."""
    if st.session_state.get("view", st.query_params.get("view")) not in names:
        st.session_state["view"] = names[0]
    return str(
        st.segmented_control(
            "View", names, required=True, label_visibility="collapsed", key="view", bind=LINKED
        )
    )


def _views(trained: pp.Run) -> dict[str, View]:
    if trained.task == "pixels":
        return OF_MODELS
    if not trained.can_sample:
        return OF_TOKENIZERS
    return OF_MODELS | OF_TOKENIZERS
