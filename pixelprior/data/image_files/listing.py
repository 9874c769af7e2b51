"""Image files in a folder and in all folders below it."""

import collections
import itertools
import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pixelprior.data.errors import DataError
from pixelprior.data.pictures.formats import readable_suffixes
from pixelprior.data.words import plural, shown

# Other programs leave these behind. Names with a dot at their start are hidden.
IGNORED = {"__macosx", "thumbs.db", "desktop.ini"}


class ImageFile(NamedTuple):
    """An image file in a folder.

    Attributes:
        name: the path relative to the folder, with "/" between its parts, in Unicode's form NFC.
            It is the same on every operating system.
        path: the path to open. It is text, because paths of many files take long to build.
    """

    name: str
    path: str


class Listing(NamedTuple):
    """Content of a folder.

    Attributes:
        files: the image files, sorted by name.
        others: the number of other files for each suffix.
        folders: the names of all folders below, with the suffixes of the other files in each.
        links: the number of image files that are symbolic links.
        passed_links: the number of broken links and of links to folders, which are not followed.
    """

    files: Sequence[ImageFile]
    others: Mapping[str, int]
    folders: Mapping[str, Mapping[str, int]]
    links: int
    passed_links: int

    def check_found(self, root: Path) -> None:
        """Raise a DataError if there are no images."""
        if not self.files:
            raise DataError(
                f"{root} holds no images that can be read; expected images, or folders of images"
                + (f" ({self.words()})" if self.words() else "")
            )

    def words(self) -> str:
        """Describe everything that is unusual in one line; "" if there is nothing."""
        parts = []
        if self.others:
            parts.append(f"passed over {counted(self.others)}")
        if self.passed_links:
            parts.append(
                f"passed over {plural(self.passed_links, 'link')} that are broken or lead to "
                "folders"
            )
        if self.links:
            parts.append(f"followed {plural(self.links, 'link')} to files")
        return "; ".join(parts)


def list_images(root: Path, *, used: str = "") -> Listing:
    """List the image files in a folder and below it.

    The suffix decides: see `readable_suffixes`. Links to files are followed, and links to folders
    are not, so loops do no harm. Hidden names and files of other programs are ignored.

    Args:
        root: the folder.
        used: name of a file that has another use, and does not count.

    Raises:
        DataError: if a folder cannot be read.
    """
    suffixes = readable_suffixes()
    files: list[ImageFile] = []
    others: collections.Counter[str] = collections.Counter()
    folders: dict[str, collections.Counter[str]] = {}
    links = passed_links = 0
    for entry, name in _walk(root, ""):
        if name == used:
            continue
        folder, _, base = name.rpartition("/")
        here = folders.setdefault(folder, collections.Counter())
        if entry.is_dir(follow_symlinks=False):
            folders.setdefault(name, collections.Counter())
            continue
        is_link = entry.is_symlink()
        if is_link and not _leads_to_file(entry):
            passed_links += 1
            continue
        suffix = os.path.splitext(base)[1].lower()
        if suffix not in suffixes or not _leads_to_file(entry):
            others[suffix] += 1
            here[suffix] += 1
            continue
        links += is_link
        files.append(ImageFile(name, entry.path))
    folders.pop("", None)
    files.sort()
    for one, other in itertools.pairwise(files):
        if one.name == other.name:
            raise DataError(
                f"{root} has two files of the name {shown(one.name)}, which differ only in how "
                "Unicode writes their letters; rename one of them"
            )
    return Listing(files, others, folders, links, passed_links)


def counted(others: Mapping[str, int]) -> str:
    """Describe files by suffix, like "3 files (2 .txt, 1 .md)"."""
    kinds = sorted(others.items(), key=lambda item: (-item[1], item[0]))
    words = ", ".join(f"{count:,} {suffix or 'without suffix'}" for suffix, count in kinds)
    advice = "; `pip install pillow-heif` adds HEIC" if {".heic", ".heif"} & set(others) else ""
    return f"{plural(sum(others.values()), 'file')} ({words}{advice})"


def _walk(folder: str | Path, prefix: str) -> Iterator[tuple["os.DirEntry[str]", str]]:
    """Yield all entries below a folder, with their names, except those to ignore."""
    try:
        with os.scandir(folder) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"the folder {folder} cannot be read ({error.strerror}); change its permissions, or "
            "give another one"
        ) from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in IGNORED:
            continue
        name = prefix + unicodedata.normalize("NFC", entry.name)
        yield entry, name
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{name}/")


def _leads_to_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # a loop of links
        return False
