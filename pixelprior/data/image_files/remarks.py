"""Remarks about the files of a data set: unreadable files, mixed colours, copies."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pixelprior.data.errors import DataError
from pixelprior.data.image_files.classes import class_names
from pixelprior.data.image_files.inspect import Facts
from pixelprior.data.image_files.listing import Listing
from pixelprior.data.manifest import Manifest
from pixelprior.data.words import SHOWN, listed, plural, shown
from pixelprior.progress import Caution, Message, Report

FEW = 0.05  # share of colour images below which they may be there by mistake


def refuse_unreadable(root: Path, facts: Mapping[str, Facts], remedy: str) -> None:
    """Raise a DataError that names all unreadable files, if there are any."""
    broken = _unreadable(facts)
    if broken and len(facts) == 1:
        raise DataError(f"{root}/{broken[0]}")
    if broken:
        raise DataError(
            f"{len(broken):,} of {len(facts):,} files in {root} cannot be used; {remedy}: "
            f"{_lines(broken)}"
        )


def skip_unreadable(root: Path, facts: Mapping[str, Facts], report: Report) -> None:
    """Report all unreadable files, if there are any."""
    if broken := _unreadable(facts):
        report(
            Caution(f"skipped {len(broken):,} of {len(facts):,} files in {root}: {_lines(broken)}")
        )


def _unreadable(facts: Mapping[str, Facts]) -> list[str]:
    """Return the unreadable files, each with its problem."""
    return [f"{shown(name)} {one.problem}" for name, one in facts.items() if one.problem]


def _lines(broken: Sequence[str]) -> str:
    """List a single file in the same line, and more files in lines of their own."""
    if len(broken) == 1:
        return broken[0]
    more = [f"and {len(broken) - SHOWN:,} more"] if len(broken) > SHOWN else []
    return "".join(f"\n  {line}" for line in [*broken[:SHOWN], *more])


def describe_files(
    root: Path, facts: Mapping[str, Facts], listing: Listing, num_classes: int, report: Report
) -> None:
    """Say in one line which images were found, and how they will be converted."""
    colour = [name for name, one in facts.items() if one.channels == 3]
    kind = "colour" if colour else "grey"
    parts = [plural(len(facts), f"{kind} image")]
    if num_classes:
        parts[0] += f" in {plural(num_classes, 'class', 'classes')}"
    frames = sum(one.frames > 1 for one in facts.values())
    if frames:
        parts.append(f"{frames:,} have several frames, and give the first")
    if words := listing.words():
        parts.append(words)
    report(Message(f"{root}: {'; '.join(parts)}"))
    if colour and len(colour) < len(facts):
        grey = [name for name, one in facts.items() if one.channels == 1]
        few, kind = (colour, "have colour") if len(colour) <= len(grey) else (grey, "are grey")
        text = (
            f"{len(few):,} of {len(facts):,} images in {root} {kind} ({listed(few, 5)}), and all "
            "get 3 channels"
        )
        if len(colour) < FEW * len(facts):
            report(Caution(f"{text}; make them grey if that is a mistake"))
        else:
            report(Message(text))


def warn_of_untrained_classes(manifest: Manifest, class_depth: int, report: Report) -> None:
    """Warn of classes that have images, but none in the training split."""
    trained, held = (
        set(class_names((name for split in splits for name in manifest.splits[split]), class_depth))
        for splits in (("train",), ("validation", "test"))
    )
    if missing := sorted(held - trained):
        report(
            Caution(
                f"{len(missing):,} of {len(held | trained):,} classes have no training image "
                f"({listed(missing, 5)}); a class-conditional model cannot learn them"
            )
        )


def warn_of_copies(manifest: Manifest, report: Report) -> None:
    """Warn of test and validation files that are also in the training split, by another name."""
    trained: dict[str, str] = {}
    for name, content in manifest.splits["train"].items():
        trained.setdefault(content, name)
    for split in ("validation", "test"):
        files = manifest.splits[split]
        copies = [name for name, content in files.items() if content in trained]
        if copies:
            example = f"{shown(copies[0])} is {shown(trained[files[copies[0]]])}"
            report(
                Caution(
                    f"{len(copies):,} of {len(files):,} {split} images are also training images "
                    f"under another name ({example}); remove the copies before you trust the "
                    f"{split} results"
                )
            )
