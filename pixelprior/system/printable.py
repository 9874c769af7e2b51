"""Text for a terminal: names of data sets, classes and folders may hold any characters."""

import html
import unicodedata

_SEPARATORS = ("Zl", "Zp")  # of lines and of paragraphs


def printable(text: str) -> str:
    r"""Replace control characters, line breaks, and marks that reorder text, by escapes.

    Otherwise a name could move the cursor, hide other text, or look like a second line.

    Examples:
        >>> printable("a\x1b[2Jb")
        'a\\x1b[2Jb'
    """
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def html_text(text: str) -> str:
    """Escape a text for a page, also within quotes of an attribute."""
    return html.escape(printable(text))


def _escaped(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] != "C" and category not in _SEPARATORS:
        return character
    return character.encode("unicode_escape").decode()
