"""Names of images in compressed files: relative paths that every system can write."""

import collections
import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

_LONGEST = 200  # bytes of a part of a name, before a number is added
_MOST = 240  # bytes of a part with its number; systems allow 255, and ".png" is added
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
"""Names that Windows keeps for devices."""


def portable_names(names: Sequence[str]) -> list[str]:
    """Return names without suffix, all different, that every system can write.

    An image keeps its name if that is possible. Characters that some system forbids become "_", and
    long parts are cut. Systems may ignore the case of letters, so of two equal names the later one
    gets a number.
    """
    wanted = [_portable(name) for name in names]
    times = collections.Counter(map(str.lower, wanted))
    # Names that occur once are not given to another image.
    used = {name for name, count in times.items() if count == 1}
    found = []
    for name in wanted:
        if times[name.lower()] > 1:
            number, base = 1, name
            while name.lower() in used:
                number += 1
                name = f"{base}_{number}"
            used.add(name.lower())
        found.append(name)
    return found


def is_portable(name: object) -> bool:
    """True if a name could come from `portable_names`, and so stays below its folder."""
    if not isinstance(name, str) or not name or name.startswith("/"):
        return False
    parts = name.split("/")
    return all(part and _plain(part) == part and len(part.encode()) <= _MOST for part in parts)


def _portable(name: str) -> str:
    path = PurePosixPath(name)
    stem = path.with_suffix("") if path.suffix and path.stem else path
    return "/".join(_cut(_plain(part)) for part in stem.parts)


def _plain(part: str) -> str:
    """Replace control characters, halves of characters, and what Windows forbids."""
    text = "".join(
        "_" if unicodedata.category(c)[0] == "C" or c in '\\:*?"<>|' else c for c in part
    )
    # Windows drops dots and spaces at the end, and ".." is another folder.
    if text != text.rstrip(" ."):
        text = text.rstrip(" .") + "_"
    return f"_{text}" if _RESERVED.match(text) else text


def _cut(part: str) -> str:
    return _plain(part.encode()[:_LONGEST].decode(errors="ignore"))
