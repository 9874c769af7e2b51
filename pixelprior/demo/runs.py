"""Run folders that the demo may open: only those under one folder."""

import os
from pathlib import Path

import pixelprior as pp
from pixelprior.training.run_folder import RunFolder

DEPTH = 3
"""Depth of the search for runs. A list of runs has one folder for each run."""


def find_runs(root: Path) -> list[str]:
    """Find the runs under a folder that can be opened; return sorted paths relative to it.

    Folders inside a run are not searched, and links are not followed.
    """

    def look(folder: Path, depth: int) -> list[str]:
        try:
            if (folder / "config.json").is_file():
                ready = (folder / "data.json").is_file() and _checkpoints(folder)
                return [folder.relative_to(root).as_posix()] if ready else []
            with os.scandir(folder) as entries:
                folders = [Path(e) for e in entries if e.is_dir(follow_symlinks=False)]
        except OSError:  # it does not exist yet, or cannot be read
            return []
        return [name for path in folders if depth for name in look(path, depth - 1)]

    return sorted(look(root, DEPTH))


def run_path(root: Path, name: str) -> Path:
    """Folder of the run with a name.

    Raises:
        InputError: if `find_runs` does not find the run.
    """
    if name not in find_runs(root):
        raise pp.InputError(f"there is no run {name!r} under {root} that can be opened")
    return root / name


def version(path: Path) -> float:
    """A number that changes whenever the run has a new checkpoint."""
    return max((entry.stat().st_mtime for entry in _checkpoints(path)), default=0.0)


def _checkpoints(path: Path) -> list[Path]:
    folder = RunFolder(path).checkpoints
    return list(folder.iterdir()) if folder.is_dir() else []
