"""The file of compressed images, ``.ppz``: a header, blocks of images, and an end.

A file begins with `MAGIC`. Then come frames: a letter, the number of bytes of the content as 4
bytes, the content, and a digest of 16 bytes. The digest covers the header's digest, the number of
the frame, the letter and the content. A frame of another file or at another place is therefore
found out, and damage in one block leaves the others readable.

The header and the facts of a block are JSON, compressed by zlib. Numbers are little-endian.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

from pixelprior.errors import InputError

MAGIC = b"\x89PPZ\r\n\x1a\n"
"""First bytes of a file. Like those of PNG, they do not survive a transfer as text."""

MOST_FACTS = 1 << 25
"""Largest number of bytes of a header or of a block's facts. A forged file may claim more."""

_DIGEST = 16
_FRAME = struct.Struct("<cI")
_LENGTH = struct.Struct("<I")


class DamagedFileError(InputError):
    """A compressed file that is damaged, cut, or none at all."""


class Block(NamedTuple):
    """A block of images.

    Attributes:
        facts: the facts of the block, as JSON values.
        stream: the entropy-coded symbols.
    """

    facts: Mapping[str, Any]
    stream: bytes


class ContainerWriter:
    """Writer of a file, block by block.

    Args:
        file: the file, open for writing bytes.
        header: the facts of the whole file, as JSON values.

    Attributes:
        num_bytes: bytes written so far.
        stream_bytes: bytes of them that are entropy-coded symbols.
    """

    def __init__(self, file: BinaryIO, header: Mapping[str, Any]):
        self._file = file
        self.num_bytes = self.stream_bytes = self._number = 0
        self._put(MAGIC)
        self._root = b""
        self._root = self._frame(b"H", _pack(header))

    def add(self, block: Block) -> None:
        """Write the next block."""
        facts = _pack(block.facts)
        self._frame(b"B", _LENGTH.pack(len(facts)) + facts + block.stream)
        self.stream_bytes += len(block.stream)

    def finish(self) -> None:
        """Write the end. A file without it counts as cut."""
        self._frame(b"E", b"")

    def _frame(self, kind: bytes, content: bytes) -> bytes:
        digest = _digest(self._root, self._number, kind, content)
        self._put(_FRAME.pack(kind, len(content)) + content + digest)
        self._number += 1
        return digest

    def _put(self, content: bytes) -> None:
        self._file.write(content)
        self.num_bytes += len(content)


class ContainerReader:
    """Reader of a file, block by block.

    Args:
        file: the file, open for reading bytes; it must be seekable.
        name: the name of the file in messages.

    Attributes:
        header: the facts of the whole file. Their types are not checked.

    Raises:
        DamagedFileError: if it is no such file, or the header is damaged.
    """

    def __init__(self, file: BinaryIO, name: str):
        self._file, self._name = file, name
        if not file.seekable():
            raise InputError(f"{name} is a pipe; give a file")
        file.seek(0, 2)
        self._size = file.tell()
        file.seek(0)
        if file.read(len(MAGIC)) != MAGIC:
            raise DamagedFileError(
                f"{name} is no file of `pixelprior compress`, or a transfer as text damaged it"
            )
        self._root = b""
        kind, content, self._root = self._frame(0, "the header")
        if kind != b"H":
            raise DamagedFileError(f"{name} has no header; copy or download it again")
        self.header = self._unpacked(content, "the header")

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks in turn.

        Raises:
            DamagedFileError: at the first block that is damaged or missing.
        """
        number = 1
        while True:
            what = f"block {number}"
            kind, content, _ = self._frame(number, what)
            if kind == b"E" and not content and self._file.tell() == self._size:
                return
            size = _LENGTH.unpack(content[:4])[0] if len(content) >= 4 else len(content)
            if kind != b"B" or 4 + size > len(content):
                raise self._damaged(what)
            yield Block(self._unpacked(content[4 : 4 + size], what), content[4 + size :])
            number += 1

    def _frame(self, number: int, what: str) -> tuple[bytes, bytes, bytes]:
        head = self._file.read(_FRAME.size)
        if len(head) < _FRAME.size:
            raise DamagedFileError(f"{self._name} is cut before {what}; copy or download it again")
        kind, length = _FRAME.unpack(head)
        if self._file.tell() + length + _DIGEST > self._size:
            raise DamagedFileError(
                f"{self._name} is cut or damaged in {what}; copy or download it again"
            )
        content, digest = self._file.read(length), self._file.read(_DIGEST)
        if digest != _digest(self._root, number, kind, content):
            raise self._damaged(what)
        return kind, content, digest

    def _unpacked(self, content: bytes, what: str) -> Mapping[str, Any]:
        inflated = zlib.decompressobj()
        try:
            facts = json.loads(inflated.decompress(content, MOST_FACTS))
        except (zlib.error, ValueError, RecursionError):
            raise self._damaged(what) from None
        if not isinstance(facts, dict):
            raise self._damaged(what)
        return facts

    def _damaged(self, what: str) -> DamagedFileError:
        return DamagedFileError(f"{self._name} is damaged in {what}; copy or download it again")


def _pack(facts: Mapping[str, Any]) -> bytes:
    content = json.dumps(facts, separators=(",", ":")).encode()
    if len(content) > MOST_FACTS:
        raise InputError(
            f"the names and conditions of a block must have at most {MOST_FACTS:,} bytes, got "
            f"{len(content):,}; compress fewer images, or give them shorter names"
        )
    return zlib.compress(content, 9)


def _digest(root: bytes, number: int, kind: bytes, content: bytes) -> bytes:
    return hashlib.sha256(root + struct.pack("<Q", number) + kind + content).digest()[:_DIGEST]
