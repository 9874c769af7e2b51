"""Formats of image files: those that this installation of Pillow reads."""

import contextlib
import functools
import importlib
from collections.abc import Sequence

_SUFFIXES = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jfif"),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif"),
    "PPM": (".pgm", ".ppm", ".pbm", ".pnm"),
}
SUFFIXES = tuple(suffix for suffixes in _SUFFIXES.values() for suffix in suffixes)
"""Suffixes of image files, in lower case. See `readable_suffixes` for those that can be read."""

_CODECS = {"PNG": "zlib", "JPEG": "jpg", "WEBP": "webp", "AVIF": "avif"}
"""Optional parts of Pillow, by the format that needs them."""

_TIFF_PREFIXES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def readable_suffixes() -> frozenset[str]:
    """Those of `SUFFIXES` whose format this installation of Pillow reads."""
    return frozenset(suffix for name in readable_formats() for suffix in _SUFFIXES[name])


@functools.cache
def readable_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that this installation reads."""
    from PIL import Image, features

    with contextlib.suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
    registered = set(Image.registered_extensions().values())
    return tuple(
        name
        for name in _SUFFIXES
        if name in registered and (name not in _CODECS or features.check(_CODECS[name]))
    )


def unidentified(prefix: bytes, formats: Sequence[str]) -> str:
    """Reason for a file whose header Pillow does not accept."""
    brand = prefix[8:12] if prefix[4:8] == b"ftyp" else b""
    if brand in (b"avif", b"avis") and "AVIF" not in formats:
        return "is an AVIF image, which is not accepted here; convert it to PNG"
    if brand.startswith((b"hei", b"hev", b"mif1", b"msf1")) and "HEIF" not in formats:
        return (
            "is a HEIF image, which is not accepted here; convert it to PNG or JPEG, or install "
            "pillow-heif for folders"
        )
    if not prefix:
        return damaged("the file is empty")
    if prefix.startswith(_TIFF_PREFIXES) and "TIFF" in formats:
        return damaged("it is a broken TIFF, or its pixels are of a type Pillow does not read")
    return damaged(f"it is broken, or none of {', '.join(formats)}")


def damaged(detail: str) -> str:
    """Reason for a file that cannot be decoded."""
    return f"cannot be read as an image ({detail}); repair or replace it"
