"""Models that come with the package, by name."""

from pathlib import Path

from pixelprior.runs.one_file.layout import SUFFIX

FOLDER = Path(__file__).parents[1] / "bundled"
"""Folder of the files, each with a model card and a picture of the same name."""


def bundled_models() -> dict[str, Path]:
    """Files of the bundled models by name, in alphabetical order."""
    return {path.stem: path for path in sorted(FOLDER.glob(f"*{SUFFIX}"))}


def picture_of(path: Path) -> Path | None:
    """Picture that comes with a bundled model, given its file; None for other files and folders."""
    return path.with_suffix(".png") if path.parent == FOLDER else None
