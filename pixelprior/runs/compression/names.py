"""Names of images in compressed files: relative paths that every system can write."""

import collections
import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

_LONGEST = 200  # bytes of a part of a name; systems allow 255


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
    # A suffix is added, because `_portable` takes one away.
    return ".." not in name.split("/") and _portable(f"{name}.png") == name


def _portable(name: str) -> str:
    path = PurePosixPath(name)
    stem = path.with_suffix("") if path.suffix and path.stem else path
    return "/".join(_cut(_plain(part)) for part in stem.parts)


def _plain(part: str) -> str:
    """Replace control characters, halves of characters, and what Windows forbids."""
    return "".join(
        "_" if unicodedata.category(c)[0] == "C" or re.match(r'[\\:*?"<>|]', c) else c for c in part
    )


def _cut(part: str) -> str:
    return part.encode()[:_LONGEST].decode(errors="ignore")
