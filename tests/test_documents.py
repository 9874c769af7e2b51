"""What the documents link to is there."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
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

    assert sorted(pages(nav)) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


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
