"""Runs that the demo may open: folders and exported files under one folder, and bundled models."""

import os
from pathlib import Path

import pixelprior as pp
from pixelprior.runs.bundled import bundled_models
from pixelprior.runs.one_file.layout import SUFFIX
from pixelprior.training.run_folder import RunFolder

DEPTH = 3
"""Depth of the search for runs. A list of runs has one folder for each run."""

BUNDLED = " (bundled)"
"""End of the names of bundled models on the page. A run may have the same name without it."""


def find_runs(root: Path) -> list[str]:
    """Find the runs under a folder that can be opened; return sorted paths relative to it.

    Folders inside a run are not searched, and links are not followed. Names that are not Unicode
    cannot be shown, and names of bundled models on the page are taken. Both are left out.
    """

    def look(folder: Path, depth: int) -> list[str]:
        try:
            if (folder / "config.json").is_file():
                ready = (folder / "data.json").is_file() and _checkpoints(folder)
                return [folder.relative_to(root).as_posix()] if ready else []
            with os.scandir(folder) as entries:
                found = [entry for entry in entries if _can_be_shown(entry.name)]
        except OSError:  # it does not exist yet, or cannot be read
            return []
        names = [
            Path(entry).relative_to(root).as_posix()
            for entry in found
            if entry.name.endswith(SUFFIX) and entry.is_file(follow_symlinks=False)
        ]
        folders = [Path(entry) for entry in found if entry.is_dir(follow_symlinks=False)]
        return names + [name for path in folders if depth for name in look(path, depth - 1)]

    return sorted(look(root, DEPTH))


def _can_be_shown(name: str) -> bool:
    return name.isprintable() and not name.endswith(BUNDLED)


def all_runs(root: Path) -> list[str]:
    """Names of the runs under a folder, and after them the bundled models."""
    return find_runs(root) + [name + BUNDLED for name in bundled_models()]


def run_path(root: Path, name: str) -> Path:
    """Folder or file of the run with a name.

    Raises:
        InputError: if `all_runs` does not find the run.
    """
    if name not in all_runs(root):
        raise pp.InputError(f"there is no run {name!r} under {root} that can be opened")
    bundled = bundled_models().get(name.removesuffix(BUNDLED))
    return bundled if name.endswith(BUNDLED) and bundled else root / name


def version(path: Path) -> float:
    """A number that changes whenever the run has a new checkpoint, or the file is a new one."""
    if path.is_file():
        return path.stat().st_mtime
    return max((entry.stat().st_mtime for entry in _checkpoints(path)), default=0.0)


def _checkpoints(path: Path) -> list[Path]:
    folder = RunFolder(path).checkpoints
    return list(folder.iterdir()) if folder.is_dir() else []
