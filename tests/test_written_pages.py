"""Pages that are made from the source are those that the source makes."""

import importlib.util
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.release import slow_cases

ROOT = Path(__file__).parents[1]


def script(name):
    """A script of the documents, which are no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


write_pages, draw_diagrams = script("write_pages"), script("draw_diagrams")


@pytest.mark.parametrize("name", draw_diagrams.DIAGRAMS)
def test_a_diagram_is_up_to_date(name):
    drawn = draw_diagrams.DIAGRAMS[name]().svg()
    assert (ROOT / "docs" / "images" / f"{name}.svg").read_text() == drawn
    assert ElementTree.fromstring(drawn).tag.endswith("svg")


# The cards take the evaluation of all bundled models.
@pytest.mark.parametrize("page", slow_cases(write_pages.PAGES, "messages.md"))
def test_a_page_is_up_to_date(page):
    # Compared as they are: what differs is seen at a glance.
    words = "run python docs/write_pages.py, and look at what has changed"
    assert (ROOT / "docs" / page).read_text() == write_pages.PAGES[page](), words


def test_every_message_has_its_place():
    assert len(list(write_pages.messages())) > 250
    page = write_pages.messages_page()
    for _, text in write_pages.messages():
        assert text.replace("`", "'") in page


@pytest.mark.slow
def test_parameters_are_those_of_a_run(tmp_path):
    from pixelprior.experiment.recipes import all_variants, load_recipe
    from pixelprior.runs.train import train_run

    config = load_recipe("digits") | {"num_steps": 1, "warmup_steps": 0}
    train_run(config | {"checkpoint_every": 1}, tmp_path / "run")
    first = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    counted = write_pages._num_parameters("digits", config)
    assert counted == first["num_parameters"]
    assert (
        f"### digits\n\n{all_variants()['digits'].title}.\n\n- Parameters: {counted:,}"
        in (ROOT / "docs" / "model_cards.md").read_text()
    )
