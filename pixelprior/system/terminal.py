"""Lines that fit into a terminal. Files and other programs get whole lines."""

import os
import textwrap
from typing import TextIO

USUAL_COLUMNS = 80


def fitted(line: str, stream: TextIO) -> str:
    """Break a line between words where the terminal of a stream would break it in a word."""
    if not stream.isatty():
        return line
    columns = _columns(stream)
    if len(line) <= columns:
        return line
    return textwrap.fill(
        line, columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _columns(stream: TextIO) -> int:
    try:
        # Some terminals report no width.
        return os.get_terminal_size(stream.fileno()).columns or USUAL_COLUMNS
    except OSError:
        return USUAL_COLUMNS
