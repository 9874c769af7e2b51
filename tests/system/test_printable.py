"""Names reach the terminal and pages without control characters."""

import pytest

from pixelprior.progress import Caution, Message
from pixelprior.system.console import Terminal, show
from pixelprior.system.printable import html_text, printable

ESC, BIDI = "\x1b[2J\x1b]0;title\x07", "\u202ecod.exe"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Fréchet 猫 \u00a0 ± 🐈", "plain, Fréchet 猫 \u00a0 ± 🐈"),
        (ESC, r"\x1b[2J\x1b]0;title\x07"),
        ("a\nb\r\tc\x7f\x00\x9b", r"a\nb\r\tc\x7f\x00\x9b"),
        (BIDI, r"\u202ecod.exe"),
        ("\u2066a\u2069\u200f\u200b\ufeff", r"\u2066a\u2069\u200f\u200b\ufeff"),
        ("a\u2028b\u2029c\x85", r"a\u2028b\u2029c\x85"),
        ("\udcff", r"\udcff"),  # a byte of a file name that is no UTF-8
        ("back\\slash", "back\\slash"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, shown):
    assert printable(text) == shown


def test_a_page_has_neither_tags_nor_control_characters():
    assert html_text(f"<b a='\"'>{ESC[:3]}&") == r"&lt;b a=&#x27;&quot;&#x27;&gt;\x1b[2&amp;"


def test_everything_that_is_printed_is_printable(capsys):
    terminal = Terminal()
    terminal(Message(f"one{ESC}"))
    terminal(Caution(f"two\n{BIDI}"))
    show([f"three{ESC}", "four\nfive"])
    told = capsys.readouterr()
    assert told.out == "three\\x1b[2J\\x1b]0;title\\x07\nfour\\nfive\n"
    assert told.err.splitlines() == [
        r"one\x1b[2J\x1b]0;title\x07",
        r"warning: two\n\u202ecod.exe",
    ]
