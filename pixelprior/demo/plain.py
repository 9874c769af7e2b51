"""Text of others, such as the name of a folder, in places that read Markdown."""

import re

_SIGNS = re.compile(r"([\\`*_{}\[\]()<>#+.!|~$:-])")


def plain(text: str) -> str:
    r"""Escape a text, so that Markdown shows it as it is.

    Examples:
        >>> plain("*a* $b$")
        '\\*a\\* \\$b\\$'
    """
    return _SIGNS.sub(r"\\\1", text)
