"""Names in places that read Markdown."""

import pytest

from pixelprior.demo.plain import plain

markdown_it = pytest.importorskip("markdown_it")


@pytest.mark.parametrize(
    "name", ["*star*", "**x** `c`", "[a](b)", "# a", "1. a", "a_b_c", "a\\\\b", "<b>x</b>", "- a"]
)
def test_markdown_shows_a_name_as_it_is(name):
    shown = markdown_it.MarkdownIt().render(plain(name)).strip()
    assert shown == f"<p>{name.replace('<', '&lt;').replace('>', '&gt;')}</p>"


def test_signs_of_streamlit_are_escaped_too():
    assert plain("$x$ :red[a] ~b~") == r"\$x\$ \:red\[a\] \~b\~"
