"""Compressed files of images: from grids and facts to a file, and back.

Legend: n images of a block, h height, w width, g channels.
"""

import base64
import hashlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from pixelprior.coding.codec import LARGEST_BATCH, Codec, DamagedStreamError
from pixelprior.coding.container import Block, ContainerReader, ContainerWriter, DamagedFileError
from pixelprior.coding.intervals import PRECISION
from pixelprior.coding.machine import MACHINE, differences, this_machine
from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.json_forms import ANY, Integer, Items, Keys, Maybe, Text
from pixelprior.progress import Advance, Finished, Report, only_warnings

FORMAT = 1
"""Version of the content of a file."""


class Images(NamedTuple):
    """Images of a block.

    Attributes:
        maps: symbols, one array for each grid of the model.
        context: the classes and vectors of the images; None for no condition.
        facts: further facts that are kept with them, as JSON values.
    """

    maps: Sequence[Int[np.ndarray, "n _ _ g"]]
    context: Context | None = None
    facts: Mapping[str, Any] = {}


class Sizes(NamedTuple):
    """Sizes of a compressed file.

    Attributes:
        num_images: number of images.
        num_bytes: bytes of the file.
        stream_bytes: bytes of the entropy-coded symbols. The others are header, classes, vectors,
            facts and digests.
    """

    num_images: int
    num_bytes: int
    stream_bytes: int


HEADER = Keys(
    {
        "format": Integer(1),
        "model": Text(),
        "fingerprint": Text(),
        "grids": Items(Items(Integer(1), length=4), least=1),
        "num_classes": Integer(),
        "images": Integer(1),
        "batch_size": Integer(1, LARGEST_BATCH),
        "lanes": Integer(1),
        "bits_of_a_probability": Integer(1),
        "machine": MACHINE,
        "about": ANY,
    },
    # Only models with vectors have it.
    optional={"vector_features": Integer(1)},
)
"""Form of the header."""

_BLOCK = Keys(
    {
        "images": Integer(1),
        "labels": Maybe(Items(Integer(0, 1 << 20))),
        "digest": Text(),
        "about": ANY,
    },
    optional={"vectors": Text()},
)


def write_images(
    file: BinaryIO,
    codec: Codec,
    images: Iterable[Images],
    total: int,
    *,
    about: Mapping[str, Any] = {},
    verify: bool = True,
    report: Report = only_warnings,
) -> Sizes:
    """Compress images to a file, block by block.

    Args:
        file: the file, open for writing bytes.
        codec: the coder of the model.
        images: the images, at most `Codec.images_per_block` at a time.
        total: the number of all images.
        about: further facts that are kept in the header, as JSON values.
        verify: read each block again, and compare.
        report: receives the progress.

    Raises:
        InputError: if images do not fit the model, or reading does not give them back.
    """
    writer = ContainerWriter(file, _header(codec, total) | {"about": dict(about)})
    done = 0
    try:
        for block in images:
            report(Advance("compress", done, total, "image"))
            num = len(block.maps[0])
            stream = codec.write(block.maps, block.context)
            if verify:
                _check_read(codec, stream, block)
            facts = {
                "images": num,
                **_facts_of(block.context),
                "digest": _digest(block.maps),
                "about": dict(block.facts),
            }
            writer.add(Block(facts, stream))
            done += num
        report(Advance("compress", done, total, "image"))
    finally:
        report(Finished("compress"))
    writer.finish()
    assert done == total, f"{done} images came instead of {total}"
    return Sizes(done, writer.num_bytes, writer.stream_bytes)


class CompressedReader:
    """Reader of a compressed file.

    Args:
        file: the file, open for reading bytes; it must be seekable.
        name: the name of the file in messages.

    Attributes:
        header: facts of the file; see `HEADER`.

    Raises:
        DamagedFileError: if it is no such file, or its header is damaged.
        InputError: if a newer version wrote it.
    """

    def __init__(self, file: BinaryIO, name: str):
        self._container, self._name = ContainerReader(file, name), name
        self.header = self._container.header
        form = self.header.get("format")
        if isinstance(form, int) and form > FORMAT:
            raise InputError(
                f"{name} has format {form!r:.20}, and this version reads formats up to "
                f"{FORMAT}; upgrade pixelprior"
            )
        if (problem := HEADER.problem(self.header, "")) is not None:
            raise DamagedFileError(f"the header of {name} does not fit: {problem}")

    def check(self, codec: Codec, *, force: bool = False) -> None:
        """Check that this process can read the images with a coder.

        Args:
            codec: the coder of the model, with the batch size of the file.
            force: ignore another model of the same grid, other versions and another device. The
                digests of the blocks then decide.

        Raises:
            InputError: if something differs; it names what.
        """
        ours = _header(codec, self.header["images"])
        for key, words in _NEVER.items():
            there, here = self.header.get(key, 0), ours.get(key, 0)
            if here != there:
                raise InputError(
                    f"{self._name} has another {words} ({_short(there)} there, "
                    f"{_short(here)} here); give the model that compressed it"
                )
        found = differences(self.header["machine"], ours["machine"])
        if ours["fingerprint"] != self.header["fingerprint"]:
            there, here = self.header["fingerprint"], ours["fingerprint"]
            found.insert(0, f"fingerprint of the model ({there:.16} there, {here:.16} here)")
        if found and not force:
            raise InputError(
                f"{self._name} was compressed with another {', another '.join(found)}; use the "
                "same, or try it with --force, which compares checksums"
            )

    def blocks(self, codec: Codec, report: Report = only_warnings) -> Generator[Images, None, None]:
        """Yield the images, block by block.

        Raises:
            DamagedFileError: at the first block that is damaged or missing, or that this process
                reads as other images than were compressed.
        """
        total, done = self.header["images"], 0
        kinds: set[Any] = set()
        report(Advance("decompress", done, total, "image"))
        try:
            for number, (facts, stream) in enumerate(self._container.blocks(), 1):
                block = self._block(codec, number, facts, stream)
                kinds.add(jax.tree.structure(block.context))
                if len(kinds) > 1:
                    raise DamagedFileError(
                        f"block {number} of {self._name} has other conditions than block 1; copy "
                        "or download it again"
                    )
                done += len(block.maps[0])
                if done > total:
                    break
                report(Advance("decompress", done, total, "image"))
                yield block
        finally:
            report(Finished("decompress"))
        if done != total:
            raise DamagedFileError(
                f"{self._name} has {done:,} images instead of {total:,}; copy or download it again"
            )

    def _block(self, codec: Codec, number: int, facts: Mapping[str, Any], stream: bytes) -> Images:
        if (problem := _BLOCK.problem(facts, "")) is not None:
            raise DamagedFileError(f"block {number} of {self._name} does not fit: {problem}")
        if facts["images"] > codec.images_per_block:
            raise DamagedFileError(
                f"block {number} of {self._name} has {facts['images']:,} images, and at most "
                f"{codec.images_per_block:,} fit; copy or download it again"
            )
        num, shape = facts["images"], codec.context_shape
        try:
            context = _context_of(facts, num)
            shape.check(context, num)
        except (InputError, ValueError) as error:
            raise DamagedFileError(
                f"the conditions in block {number} of {self._name} do not fit the model: {error}"
            ) from error
        try:
            maps = codec.read(stream, num, context)
        except DamagedStreamError:
            maps = []
        if _digest(maps) != facts["digest"]:
            raise DamagedFileError(
                f"block {number} of {self._name} cannot be read back: this machine or another "
                "model rounds in another way; use the model and the machine that compressed it"
            )
        return Images(maps, context, facts["about"])


_NEVER = {
    "grids": "grid",
    "num_classes": "number of classes",
    "vector_features": "size of vectors",
    "lanes": "number of lanes",
    "bits_of_a_probability": "precision of probabilities",
}
"""Facts that must be equal, and their names in messages."""


def _short(value: Any) -> str:
    """Describe a fact in a few words; a grid as its sizes and values."""
    if isinstance(value, list):
        grids = [f"{h} x {w} x {c} of {levels} values" for h, w, c, levels in value[:3]]
        return ", ".join(grids) + ", ..." * (len(value) > 3)
    return f"{value:,}"


def _header(codec: Codec, total: int) -> dict[str, Any]:
    vector_features = codec.context_shape.vector_features
    return {
        "format": FORMAT,
        "model": codec.name,
        "fingerprint": codec.fingerprint,
        "grids": [[*grid.shape, grid.levels] for grid in codec.grids],
        "num_classes": codec.context_shape.num_classes,
        **({"vector_features": vector_features} if vector_features else {}),
        "images": total,
        "batch_size": codec.batch_size,
        "lanes": codec.lanes,
        "bits_of_a_probability": PRECISION,
        "machine": this_machine(),
    }


def _check_read(codec: Codec, stream: bytes, block: Images) -> None:
    try:
        again = codec.read(stream, len(block.maps[0]), block.context)
    except DamagedStreamError:
        again = []
    if _digest(again) != _digest(block.maps):
        raise InputError(
            "the compressed images cannot be read back on this machine: two runs of one program "
            "round differently; try another --batch_size"
        )


def _facts_of(context: Context | None) -> dict[str, Any]:
    """Facts of a block about the classes and vectors of its images."""
    given = {} if context is None else {k: v for k, v in vars(context).items() if v is not None}
    if others := given.keys() - {"label", "vector"}:
        raise InputError(
            f"a file of images keeps the fields label and vector of a Context, got "
            f"{', '.join(sorted(others))} too; leave it out"
        )
    facts: dict[str, Any] = {"labels": None}
    if "label" in given:
        facts["labels"] = np.asarray(given["label"]).tolist()
    if "vector" in given:
        numbers = np.asarray(given["vector"], "<f4").tobytes()
        facts["vectors"] = base64.b64encode(numbers).decode()
    return facts


def _context_of(facts: Mapping[str, Any], num: int) -> Context | None:
    """Classes and vectors of a block of ``num`` images. Raises a ValueError if they do not fit."""
    given: dict[str, Any] = {}
    if facts["labels"] is not None:
        given["label"] = np.asarray(facts["labels"], np.int32)
    if "vectors" in facts:
        numbers = np.frombuffer(base64.b64decode(facts["vectors"], validate=True), "<f4")
        given["vector"] = numbers.reshape(num, -1).astype(np.float32)
    return Context(**given) if given else None


def _digest(maps: Sequence[Any]) -> str:
    """Hash symbols. 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for level in maps:
        digest.update(np.ascontiguousarray(level, "<i4").tobytes())
    return digest.hexdigest()[:32]
