"""Attributes of image files, from the file ``attributes.csv`` in their folder.

The first line names the columns: the first column is the path of an image, relative to the folder,
with "/" between its parts. All other columns are attributes, and hold numbers.
"""

import csv
import unicodedata
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from pixelprior.data.attributes import Attributes, as_attributes, check_names
from pixelprior.data.errors import DataError
from pixelprior.data.words import listed, plural, shown

FILE = "attributes.csv"


def read_attributes(
    root: Path, names: Collection[str], others: Collection[str] | None
) -> Attributes:
    """Read the attributes of the image files in a folder.

    Args:
        root: the folder.
        names: the images, in the order of the result.
        others: further images that may have a row; None for any.

    Raises:
        DataError: if there is no such file, a line is no row of numbers, an image has no row or
            two rows, or a row belongs to no image.
    """
    path = root / FILE
    columns, rows = _rows(path)
    missing = [name for name in names if name not in rows]
    if missing:
        raise DataError(
            f"{path} has no row for {plural(len(missing), 'image')}: {listed(missing, 5)}; add "
            "them, with paths relative to the folder"
        )
    unknown = [] if others is None else sorted(set(rows) - set(names) - set(others))
    if unknown:
        raise DataError(
            f"{path} has rows for {plural(len(unknown), 'file')} that the folder does not have: "
            f"{listed(unknown, 5)}; remove the rows, or correct their paths"
        )
    values = np.array([rows[name] for name in names], np.float64).reshape(len(names), len(columns))
    return as_attributes(values, columns, len(names))


def _rows(path: Path) -> tuple[tuple[str, ...], Mapping[str, list[float]]]:
    """Read the names of the attributes, and the numbers of each file."""
    try:
        # Spreadsheets write a byte order mark, which "utf-8-sig" drops.
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file, strict=True))
    except FileNotFoundError:
        raise DataError(
            f"there is no file {path}; write it with a first line like file,smiling,age and a line "
            "for each image, or set config.attribute_conditional=False"
        ) from None
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read as text in UTF-8 with commas ({error}); write it again"
        ) from error
    header, *body = lines or [[]]
    if len(header) < 2:
        raise DataError(
            f"the first line of {path} must name the columns, like file,smiling,age, got "
            f"{','.join(header)!r:.80}"
        )
    try:
        columns = check_names(name.strip() for name in header[1:])
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    rows: dict[str, list[float]] = {}
    for number, cells in enumerate(body, start=2):
        if not any(cells):
            continue  # an empty line
        name = unicodedata.normalize("NFC", cells[0])
        if len(cells) != len(header):
            raise DataError(
                f"line {number} of {path} must have {len(header)} columns, got {len(cells)}"
            )
        if name in rows:
            raise DataError(f"{path} has two rows for {shown(name)}; remove one of them")
        rows[name] = [
            _number(cell, column, name, path)
            for cell, column in zip(cells[1:], columns, strict=True)
        ]
    return columns, rows


def _number(cell: str, column: str, name: str, path: Path) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise DataError(
            f"{column} of {shown(name)} in {path} must be a finite number, got {cell!r:.40}; write "
            "text and categories as numbers, for example 0 and 1"
        )
    return number
