"""What the documents link to and name is there."""

import ast
import importlib
import re
from pathlib import Path

import pytest
import yaml

import pixelprior as pp
from tests.test_written_pages import script

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
)


def anchors(path):
    """Of a document's headings, as GitHub and MkDocs make them."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(path):
    """What a document links to, pictures included, but for what is elsewhere."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if not re.match(r"https?://", link)]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    path = ROOT / name
    for link in links(path):
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), f"{name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{name}: {link}"


def blocks(name):
    """The Python of a document, block by block."""
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)


def imported(source):
    """The statements that import the library or a part of it."""
    return {
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom) and "pixelprior" in ast.unparse(node)
    }


# Whoever adds to the library needs its parts.
EXTENDING = {"docs/extending.md", "docs/architecture.md"}


@pytest.mark.parametrize("name", sorted({*DOCUMENTS} - EXTENDING))
def test_the_library_is_one_import(name):
    assert imported("\n".join(blocks(name))) <= {"import pixelprior as pp"}


def test_documents_import_the_library():
    importing = {name for name in DOCUMENTS if imported("\n".join(blocks(name)))}
    assert {"README.md", "docs/api.md", "docs/quickstart.md", "docs/tutorials.md"} <= importing
    assert len(imported("\n".join(blocks("docs/extending.md")))) > 2


API = ["docs/api.md", *(name for name in DOCUMENTS if name.startswith("docs/api/"))]


def test_every_public_name_is_documented_once_with_an_example():
    text = "\n".join((ROOT / name).read_text() for name in API)
    shown = re.findall(r"^::: pp\.(\w+)$", text, flags=re.MULTILINE)
    assert sorted(shown) == sorted(pp.__all__)
    for name in API[1:]:
        page = (ROOT / name).read_text()
        examples = "\n".join(blocks(name))
        for public in re.findall(r"^::: pp\.(\w+)$", page, flags=re.MULTILINE):
            assert re.search(rf"\bpp\.{public}\b", examples), f"{name}: {public}"


def test_the_overview_of_the_api_lists_the_names_of_each_page():
    overview = (ROOT / "docs" / "api.md").read_text()
    rows = re.findall(r"^\| (?:\[.*\]\((\S+)\)|this page) \| (.*) \|$", overview, re.MULTILINE)
    assert len(rows) == len(API)
    for page, listed in rows:
        text = (ROOT / "docs" / (page or "api.md")).read_text()
        shown = re.findall(r"^::: pp\.(\w+)$", text, flags=re.MULTILINE)
        assert sorted(re.findall(r"`(\w+)`", listed)) == sorted(shown), page


def test_public_names_are_shown_as_users_write_them():
    hook = script("public_names").on_page_markdown
    shown = hook("# Sampling\n\n::: pp.sample\n\nText.\n\n::: pixelprior.models.base.GridModel\n")
    assert shown.count("::: pixelprior.sample\n    options:\n      heading: pp.sample\n") == 1
    assert "\n::: pixelprior.models.base.GridModel\n" in shown


def names(path):
    """What a document sets in backticks outside its blocks of code."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)


def test_files_that_documents_name_exist():
    tops = {path.name for path in ROOT.iterdir() if path.is_dir()}
    count = 0
    for document in DOCUMENTS:
        for name in names(ROOT / document):
            # A file of the repository or of the package, or a folder; not those of a reader's own.
            file = re.fullmatch(r"[\w/]+\.py", name) and not re.search(r"\bmy_\w+\.py$", name)
            folder = re.fullmatch(r"[\w/]+/", name) and name.split("/")[0] in tops
            if file or folder:
                places = [ROOT / name, ROOT / "pixelprior" / name]
                assert any(place.exists() for place in places), f"{document}: {name}"
                count += 1
    assert count > 50


def test_objects_that_documents_name_exist():
    for document in DOCUMENTS:
        for name in names(ROOT / document):
            for public in re.findall(r"\bpp\.(\w+)", name):
                assert public in pp.__all__, f"{document}: {name}"
            if re.fullmatch(r"pixelprior(\.\w+)+", name):
                assert exists(name), f"{document}: {name}"


def exists(name):
    """Tell if a dotted name is a module, or an object of one."""
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), attribute) or bool(
            importlib.import_module(name)
        )
    except ImportError:
        return False


def test_there_are_links():
    assert sum(len(links(ROOT / name)) for name in DOCUMENTS) > 20


def test_every_document_has_its_page():
    class Loader(yaml.SafeLoader):
        pass

    # Whatever a plugin's settings are made of.
    Loader.add_multi_constructor("!", lambda *_: None)
    nav = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"]

    def pages(entries):
        for entry in entries:
            for value in entry.values():
                yield from pages(value) if isinstance(value, list) else [value]

    assert sorted(f"docs/{page}" for page in pages(nav)) == [
        name for name in DOCUMENTS if name.startswith("docs/")
    ]


def test_messages_are_those_that_are_raised():
    source = "\n".join(path.read_text() for path in sorted((ROOT / "pixelprior").rglob("*.py")))
    # Strings that go on in the next line.
    source = re.sub(r'"\s*\n\s*f?"', "", source)
    table = (ROOT / "docs" / "troubleshooting.md").read_text()
    messages = re.findall(r'^\| [^|]*?"([^"|]+)"', table, flags=re.MULTILINE)
    assert len(messages) > 10
    for message in messages:
        part = max(re.split(r"\.\.\.|128x128|\bN\b.*", message), key=len).strip(" ()")
        assert part in source, message
