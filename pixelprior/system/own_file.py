"""Files that are really in a folder, and not reached by a link."""

import os
import stat
from pathlib import Path


def is_own_file(folder: Path, path: Path) -> bool:
    """True if a regular file is in a folder, with no link between them.

    Args:
        folder: the folder, which may itself be a link.
        path: the path of the file, which starts with that of the folder.
    """
    below = [path, *path.parents]
    try:
        kinds = [os.lstat(one).st_mode for one in below[: below.index(folder)]]
    # The file is missing, or not below the folder.
    except (OSError, ValueError):
        return False
    return bool(kinds) and stat.S_ISREG(kinds[0]) and all(map(stat.S_ISDIR, kinds[1:]))
