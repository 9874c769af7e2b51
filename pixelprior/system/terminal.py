"""Lines that fit into a terminal. Files and other programs get whole lines."""

import os
import textwrap
from typing import TextIO

USUAL_COLUMNS = 80


def fitted(line: str, stream: TextIO) -> str:
    """Break a line between words where the terminal of a stream would break it in a word."""
    columns = width_of(stream)
    if columns is None or len(line) <= columns:
        return line
    return textwrap.fill(
        line, columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def width_of(stream: TextIO) -> int | None:
    """Number of columns of the terminal of a stream, or None if it is no terminal."""
    if not stream.isatty():
        return None
    try:
        # Some terminals report no width.
        return os.get_terminal_size(stream.fileno()).columns or USUAL_COLUMNS
    except OSError:
        return USUAL_COLUMNS
