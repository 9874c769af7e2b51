"""Facts about image files. Every file is decoded once, and its facts are kept between programs."""

import hashlib
import io
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from pixelprior.data.image_files.listing import ImageFile
from pixelprior.data.pictures.formats import readable_formats
from pixelprior.data.pictures.pixel_range import Stored
from pixelprior.data.pictures.read import PictureError, read_picture
from pixelprior.progress import Advance, Finished, Report
from pixelprior.system.atomic import replacing
from pixelprior.system.cache_folder import cache_folder

VERSION = 1  # raise it with every change that gives other facts for the same file
JOB = "checking images"

Stamp = tuple[int, int, int]
"""Size of a file in bytes, and the times of its last changes of content and of status, in ns."""

_CHUNK = 256  # files
_A_MOMENT, _A_MINUTE = 5 * 10**8, 60 * 10**9  # nanoseconds
_SAME_MOMENT = 2 * 10**9
"""Nanoseconds within which two changes of a file may have the same time on some file systems."""


class Facts(NamedTuple):
    """Facts about an image file.

    Attributes:
        content: hash of the bytes.
        height: height in pixels, after rotation.
        width: width in pixels.
        channels: 1 if all pixels are grey, else 3.
        bits: see `Stored`.
        brightest: see `Stored`.
        cut: see `Stored`.
        frames: number of frames or pages, of which only the first is used.
        problem: the reason that the file cannot be used; "" if it can.
    """

    content: str
    height: int = 0
    width: int = 0
    channels: int = 0
    bits: int = 0
    brightest: int = 0
    cut: bool = False
    frames: int = 0
    problem: str = ""

    @property
    def stored(self) -> Stored:
        """Facts about the pixels."""
        return Stored(self.bits, self.brightest, self.cut)


def inspect_files(root: Path, files: Sequence[ImageFile], report: Report) -> dict[str, Facts]:
    """Decode every file of a folder once, and return the facts by name.

    The facts are kept in the user's cache folder. A file is decoded again if its size or one of its
    times has changed. Files that cannot be read have a `Facts.problem`.

    Args:
        root: the folder.
        files: files in the folder.
        report: receives the progress if files are decoded.
    """
    place = cache_folder("image_files") / f"{_key(root)}.json"
    kept = _read(place)
    started = time.time_ns()
    stamps = {file.name: _stamp(file.path) for file in files}
    known = {
        name: kept[name][1]
        for name, stamp in stamps.items()
        if name in kept and kept[name][0] == stamp
    }
    unknown = [file for file in files if file.name not in known]
    if not unknown:
        return {file.name: known[file.name] for file in files}

    def keep() -> None:
        # A file that changed a moment ago may change once more and keep its time and its size. A
        # file without a hash could not be opened, which may be a fault of the disk.
        settled = {
            name: (stamps[name], facts)
            for name, facts in known.items()
            if facts.content and max(stamps[name][1:]) < started - _SAME_MOMENT
        }
        _write(place, kept | settled)

    written, told = started, False
    try:
        for done, (file, facts) in enumerate(_decode_all(unknown), 1):
            known[file.name] = facts
            now = time.time_ns()
            # A bar for a moment would only disturb.
            if told or now - started > _A_MOMENT:
                told = True
                report(Advance(JOB, done, len(unknown), "file"))
            # A process that is killed must not lose much.
            if now - written > _A_MINUTE:
                keep()
                written = now
    finally:
        if told:
            report(Finished(JOB))
        keep()
    return {file.name: known[file.name] for file in files}


def _decode_all(files: Sequence[ImageFile]) -> Iterator[tuple[ImageFile, Facts]]:
    """Yield every file with its facts, in order. One thread for each CPU core decodes."""
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        # Chunks bound the number of waiting tasks.
        for start in range(0, len(files), _CHUNK):
            chunk = files[start : start + _CHUNK]
            yield from zip(chunk, pool.map(_inspect, chunk), strict=True)
    finally:
        # After Ctrl-C, only the files that are being decoded are finished.
        pool.shutdown(cancel_futures=True)


def _inspect(file: ImageFile) -> Facts:
    try:
        data = Path(file.path).read_bytes()
    except OSError as error:
        return Facts("", problem=f"cannot be read ({error.strerror})")
    content = hashlib.sha256(data).hexdigest()[:32]
    try:
        picture = read_picture(io.BytesIO(data))
    except PictureError as error:
        return Facts(content, problem=error.reason)
    height, width, channels = picture.pixels.shape
    bits, brightest, cut = picture.stored
    return Facts(content, height, width, channels, bits, brightest, cut, picture.frames)


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0, 0
    # A file that another one replaced by renaming can have the old time of content, not of status.
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _key(root: Path) -> str:
    return hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:32]


def _decoder() -> str:
    """Everything else that determines the facts: our version, Pillow's, and its formats."""
    import PIL

    return f"{VERSION}, Pillow {PIL.__version__}, {' '.join(readable_formats())}"


def _read(place: Path) -> dict[str, tuple[Stamp, Facts]]:
    try:
        content = json.loads(place.read_text())
        if content["decoder"] != _decoder():
            return {}
        read = {
            name: (tuple(stamp), Facts(*facts)) for name, (stamp, facts) in content["files"].items()
        }
    # The file is missing, damaged or of another version.
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    kinds = [type(value) for value in Facts("", cut=False)]
    intact = all([type(value) for value in facts] == kinds for _, facts in read.values())
    return read if intact else {}


def _write(place: Path, facts: Mapping[str, tuple[Stamp, Facts]]) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as temporary:
            temporary.write_text(json.dumps({"decoder": _decoder(), "files": facts}))
    except OSError:
        pass  # the next program decodes the files again
