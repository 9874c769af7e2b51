"""The container: what was written is read, and any damage is found."""

import io
import struct
import zlib

import numpy as np
import pytest

from pixelprior.coding.container import (
    MAGIC,
    MOST_FACTS,
    Block,
    ContainerReader,
    ContainerWriter,
    DamagedFileError,
    _digest,
)

HEADER = {"images": 5, "about": {"name": "é"}}
BLOCKS = [Block({"images": n}, bytes(range(n * 40))) for n in (1, 3, 2)]


def content(header=HEADER, blocks=BLOCKS):
    file = io.BytesIO()
    writer = ContainerWriter(file, header)
    for block in blocks:
        writer.add(block)
    writer.finish()
    assert writer.num_bytes == len(file.getvalue())
    assert writer.stream_bytes == sum(len(block.stream) for block in blocks)
    return file.getvalue()


def read(data):
    reader = ContainerReader(io.BytesIO(data), "x.ppz")
    return reader.header, list(reader.blocks())


def test_what_was_written_is_read():
    assert read(content()) == (HEADER, BLOCKS)
    assert read(content({}, [])) == ({}, [])


def test_every_flipped_bit_and_every_cut_is_found():
    data = content()
    for place in range(len(data)):
        for damaged in (
            data[:place],
            data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :],
        ):
            with pytest.raises(DamagedFileError, match="x.ppz"):
                read(damaged)
    with pytest.raises(DamagedFileError):
        read(data + b"\0")


def test_blocks_before_the_damage_are_read():
    data = bytearray(content())
    data[data.index(BLOCKS[1].stream) + 7] ^= 1
    blocks = ContainerReader(io.BytesIO(bytes(data)), "x.ppz").blocks()
    assert next(blocks) == BLOCKS[0]
    with pytest.raises(DamagedFileError, match="x.ppz is damaged in block 2; copy"):
        next(blocks)


def frames(data):
    """Split a file into its first bytes and its frames."""
    parts, place = [data[: len(MAGIC)]], len(MAGIC)
    while place < len(data):
        size = 5 + struct.unpack("<I", data[place + 1 : place + 5])[0] + 16
        parts.append(data[place : place + size])
        place += size
    return parts


def test_frames_of_other_places_and_files_are_found():
    ours = frames(content())
    theirs = frames(content({"images": 6}))
    assert b"".join(ours) == content()
    for wrong in (
        [*ours[:2], ours[3], ours[2], *ours[4:]],
        [*ours[:2], *ours[3:]],
        [*ours[:3], theirs[3], *ours[4:]],
        [*theirs[:2], *ours[2:]],
        [*ours[:-1], ours[-1], ours[-1]],
        [ours[0], *ours[2:]],
    ):
        with pytest.raises(DamagedFileError):
            read(b"".join(wrong))


def test_a_forged_header():
    def forged(inner):
        frame = b"H" + struct.pack("<I", len(inner)) + inner
        return MAGIC + frame + _digest(b"", 0, b"H", inner)

    for inner in (
        b"",
        b"no zlib",
        zlib.compress(b"[1, 2]"),
        zlib.compress(b"{"),
        zlib.compress(b"[" * 100_000),
        # It inflates to a thousand times its size.
        zlib.compress(b'{"a": "' + bytes(MOST_FACTS + 10) + b'"}'),
    ):
        with pytest.raises(DamagedFileError, match="damaged in the header"):
            read(forged(inner))
    # A frame that claims more than there is.
    with pytest.raises(DamagedFileError, match="cut or damaged in the header"):
        read(MAGIC + b"H" + struct.pack("<I", 2**32 - 1))


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(99), MAGIC[:-1], bytes(50)])
def test_other_files(data):
    with pytest.raises(DamagedFileError, match="x.ppz is no file of `pixelprior compress`"):
        read(data)


def test_random_files_are_refused():
    rng = np.random.default_rng(0)
    for _ in range(200):
        with pytest.raises(DamagedFileError):
            read(MAGIC + rng.bytes(rng.integers(0, 60)))
