"""Places of data sets: the part of a name that says where the files are.

The same data may be at another place on another machine. Its place is therefore no part of its
identity.
"""

from pathlib import Path

from pixelprior.data.errors import DataError

KINDS = ("folder:", "npz:")


def kind_of(name: str) -> str:
    """Return "folder:" or "npz:", or "" for a data set that has no place of its own."""
    return next((kind for kind in KINDS if name.startswith(kind)), "")


def absolute(name: str) -> str:
    """Return the name of a data set with an absolute path, usable from any working folder."""
    kind = kind_of(name)
    path = name.removeprefix(kind)
    return f"{kind}{Path(path).expanduser().absolute()}" if kind and path else name


def moved(name: str, data: str | Path) -> str:
    """Return the name of a data set at another place.

    Args:
        name: the name at the old place.
        data: the new path, with or without the start "folder:" or "npz:".

    Raises:
        DataError: if the data set has no place of its own.
    """
    kind = kind_of(name)
    if not kind:
        raise DataError(
            f"--data is for data sets of the form folder:/path and npz:/path, but this one is "
            f"{name!r}; give the folder of TensorFlow Datasets with --data_dir"
        )
    if kind_of(str(data)) not in ("", kind):
        raise DataError(f"--data must be the place of a data set {kind}..., got {str(data)!r}")
    return absolute(kind + str(data).removeprefix(kind))
