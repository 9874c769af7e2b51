"""The layers of docs/architecture.md: imports go down, in no circle, and only the top prints."""

import ast
import graphlib
import tokenize
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pixelprior"

# Each line may import what stands in it or above it.
LAYERS = [
    ["errors", "progress", "sizes", "grid", "json_forms", "lazy_names"],
    ["turns"],
    ["context"],
    ["system"],
    ["figures"],
    ["data"],
    ["nn"],
    ["models"],
    ["tokenizers"],
    ["sampling"],
    ["prior"],
    ["jitted"],
    ["coding"],
    ["experiment"],
    ["evaluation"],
    ["training"],
    ["runs"],
    ["verbs"],
    ["cli", "demo"],
    ["__main__"],
]
# The terminal, and processes that cannot go on, speak for the command line.
MAY_PRINT = {"cli", "demo", "__main__", "system.console", "system.processes"}
# They are loaded by name, by the public names' own table.
LAZY = {"__init__"}

MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if "configs" not in path.parts
}


def layer(module):
    return next(n for n, names in enumerate(LAYERS) if module.split(".")[0] in names)


def imports(module):
    """The modules of the package that a module imports, wherever in its code."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            inner = name.removeprefix("pixelprior.")
            if name != inner and inner in MODULES:
                found.add(inner)
    return found - {module}


def test_every_module_has_a_layer():
    for module in MODULES.keys() - LAZY:
        layer(module)


@pytest.mark.parametrize("module", sorted(MODULES.keys() - LAZY))
def test_imports_go_down(module):
    upwards = {other for other in imports(module) if layer(other) > layer(module)}
    assert not upwards, f"{module} imports what stands above it: {sorted(upwards)}"


def test_there_is_no_circle():
    # A package's face hands on the names of its own modules.
    faces = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    graph = {module: imports(module) - faces for module in MODULES.keys() - LAZY - faces}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", sorted(MODULES.keys() - LAZY))
def test_library_code_never_prints(module):
    if module in MAY_PRINT or module.split(".")[0] in MAY_PRINT:
        return
    with tokenize.open(MODULES[module]) as file:
        tree = ast.parse(file.read())
    calls = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"print", "say", "warn", "tqdm", "input"}
    assert not {"absl", "absl.flags", "tqdm"} & {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }
