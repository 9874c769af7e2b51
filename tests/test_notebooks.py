"""The notebooks: what is kept in them reads well, and they run when they are shortened."""

import ast
import re
import sys
from pathlib import Path

import nbformat
import pytest

import pixelprior as pp
from notebooks.execute import SETUP, execute, parameters, shorten
from tests.release import slow_cases
from tests.test_documents import imported

FOLDER = Path(__file__).parents[1] / "notebooks"
SHORTENED = {
    "causal_layers": 2,
    "inpainting_and_compression": 5,
    "quickstart": 5,
    "sampling": 20,
    "several_devices": 5,
    "vqvae2_and_prior": 50,
    "your_own_images": 20,
}
MOST_BYTES = 400_000
BUNDLED = Path(pp.__file__).parent / "bundled"
# Beside the library. A model's constructor takes `nnx.Rngs`, and Pillow writes pictures.
OTHERS = {"PIL", "flax", "jax", "matplotlib", "numpy", "pixelprior"}
COLAB = "https://colab.research.google.com/github/"

each_notebook = pytest.mark.parametrize("name", sorted(SHORTENED))


def read(name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def num_pictures(notebook):
    return sum("image/png" in output.get("data", {}) for output in outputs(notebook))


def printed(output):
    return output.get("text", "") + output.get("data", {}).get("text/plain", "")


def test_all_are_tested():
    assert sorted(SHORTENED) == sorted(path.stem for path in FOLDER.glob("*.ipynb"))


@each_notebook
def test_begins_with_where_to_open_it_and_the_common_cell(name):
    notebook = read(name)
    title, *_ = notebook.cells
    assert title.source.startswith("# ") and COLAB in title.source
    assert f"`{name}.ipynb`" in title.source
    first, second, *_ = code_cells(notebook)
    assert first.source == SETUP
    assert second is parameters(notebook)


@each_notebook
def test_shows_pictures_of_a_bundled_model_within_three_cells(name):
    *_, third = code_cells(read(name))[:3]
    bundled = re.findall(r'pp\.load(?:_trained)?\("(\w+)"\)', third.source)
    assert bundled and all((BUNDLED / f"{model}.safetensors").exists() for model in bundled)
    assert any("image/png" in output.get("data", {}) for output in third.outputs)


@each_notebook
def test_the_library_is_one_import(name):
    source = "\n".join(cell.source for cell in code_cells(read(name)))
    assert imported(source) == {"import pixelprior as pp"}
    tree = ast.parse(source)
    modules = {
        module.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in ([node.module] if isinstance(node, ast.ImportFrom) else names_of(node))
    }
    assert modules - sys.stdlib_module_names <= OTHERS
    public = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pp"
    }
    assert public <= {*pp.__all__, "__version__"}


def names_of(node):
    return [alias.name for alias in node.names]


@each_notebook
def test_outputs_are_those_of_one_execution(name):
    notebook = read(name)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert num_pictures(notebook) >= 1
    for output in outputs(notebook):
        assert output.output_type != "error"
        assert output.get("name") != "stderr"


@each_notebook
def test_nothing_kept_is_of_the_machine_or_large(name):
    for output in outputs(read(name)):
        assert not re.search(r"/(tmp|work|root|home|Users)/", printed(output)), printed(output)
    assert (FOLDER / f"{name}.ipynb").stat().st_size < MOST_BYTES


@each_notebook
def test_links_lead_somewhere(name):
    text = "\n".join(cell.source for cell in read(name).cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    for link in links:
        if not re.match(r"https://(arxiv\.org/abs/\d{4}\.\d{4,5}$|colab\.)", link):
            assert (FOLDER / link).exists(), link
    for named in re.findall(r"configs/\w+\.py", text):
        assert (FOLDER.parent / named).exists(), named


# The functions of the others are those of other tests.
IN_EVERY_RUN = ("quickstart", "your_own_images")


@pytest.mark.parametrize("name", slow_cases(sorted(SHORTENED), *IN_EVERY_RUN))
def test_runs(name, tmp_path, monkeypatch):
    # Where the kernel makes its folders.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    # A test of this process may have chosen a backend that shows nothing.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook, kept = read(name), num_pictures(read(name))
    shorten(notebook, SHORTENED[name])
    execute(notebook, tmp_path)
    assert num_pictures(notebook) == kept
    said = "".join(printed(o) for o in outputs(notebook) if o.get("name") == "stderr")
    assert "Warning" not in said and "warning" not in said, said
