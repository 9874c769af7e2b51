"""Reading of pictures that a run folder keeps, which may come from somebody else.

A link could put the bytes of any other file into a page. Links are therefore not followed.
"""

import io
from pathlib import Path

from PIL import Image

from pixelprior.system.own_file import is_own_file


def kept_png(folder: Path, path: Path) -> bytes | None:
    """Read a PNG file in a folder; return None if it is missing, reached by a link, or no PNG file.

    Args:
        folder: the folder, which may itself be a link.
        path: the file, in it or in a folder of it.
    """
    if not is_own_file(folder, path):
        return None
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.verify()
    # Pillow raises any of these for a damaged file.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return content
