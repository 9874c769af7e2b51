"""Files of code records: written once from start to end, read in any order.

Legend: b batch, c codebooks per position, v codes of a codebook. Every level has its own c and v.

Files of array_record contain hashes of their records, so damage is found when they are read.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int64, UInt8

from pixelprior.data.codes.records import (
    Coded,
    add_counts,
    check_codes,
    no_counts,
    pack,
    record_type,
    unpack,
)
from pixelprior.data.codes.whole_folder import writing
from pixelprior.data.decode_once import KEPT_BYTES
from pixelprior.data.errors import DataError
from pixelprior.grid import Grid
from pixelprior.system.atomic import sync

CodeBatches = Iterable[Coded]
"""Batches of images, of any sizes."""

_DAMAGE = (RuntimeError, ValueError, IndexError)  # errors of array_record for a damaged file


def write_code_file(
    path: Path, grids: Sequence[Grid], batches: CodeBatches, num_attributes: int = 0
) -> tuple[int, list[Int64[np.ndarray, "c v"]]]:
    """Write a new file of records, in the order of the batches.

    Returns:
        The number of records, and for each level how often each code occurs.

    Raises:
        DataError: if codes or attributes do not fit the records, or the file cannot be written.
    """
    from array_record.python.array_record_module import ArrayRecordWriter

    count, size = 0, record_type(grids, num_attributes).itemsize
    counts = no_counts(grids)
    # A writer that is abandoned half-way does not need to be closed.
    with writing(path):
        writer = ArrayRecordWriter(str(path), "group_size:1")  # for random access
    for batch in batches:
        records = pack(batch, grids, num_attributes)
        count += len(records)
        add_counts(counts, records)
        with writing(path):
            raw = records.tobytes()
            for start in range(0, len(raw), size):
                writer.write(raw[start : start + size])
    with writing(path):
        writer.close()
        sync(path)
    return count, counts


class CodeFile:
    """A file of records that reads batches and keeps the records that it has read in memory.

    The memory works as in `DecodeOnce`. The operating system hands it out as it is filled. Records
    beyond ``kept_bytes`` are read from the file every time. Many threads may read at once.

    Args:
        path: the file.
        grids: the grid of each level.
        count: the number of records that were written.
        kept_bytes: the number of bytes of records to keep.
        num_attributes: the number of attributes of every image.

    Raises:
        DataError: if it is not such a file, or has another number of records.
    """

    def __init__(
        self,
        path: Path,
        grids: Sequence[Grid],
        count: int,
        kept_bytes: int = KEPT_BYTES,
        num_attributes: int = 0,
    ):
        from array_record.python.array_record_data_source import ArrayRecordDataSource

        self._path = path
        self._grids = tuple(grids)
        self._type = record_type(grids, num_attributes)
        try:
            self._source = ArrayRecordDataSource(str(path))
        except _DAMAGE as error:
            raise self._damaged(error) from error
        if len(self._source) != count:
            raise self._damaged(f"expected {count} records, got {len(self._source)}")
        capacity = min(count, kept_bytes // self._type.itemsize)
        # Bytes, because NumPy would copy structures field by field.
        self._kept = np.empty((capacity, self._type.itemsize), np.uint8)
        self._filled = np.zeros(count, bool)

    def __len__(self) -> int:
        return len(self._filled)

    def read(self, indices: Sequence[int] | Int[np.ndarray, " b"]) -> Coded:
        """Codes, labels and attributes at ``indices`` in ``[0, len(self))``, as new arrays.

        Raises:
            DataError: if a record is damaged, or holds codes that do not fit their grids.
        """
        indices = np.asarray(indices, np.int64)
        kept = self._filled[indices]
        if kept.all():
            raw = self._kept[indices]
        else:
            raw = np.empty((len(indices), self._type.itemsize), np.uint8)
            raw[kept] = self._kept[indices[kept]]
            raw[~kept] = self._fetch(indices[~kept])
        return unpack(raw.view(self._type)[:, 0])

    def _fetch(self, indices: Int64[np.ndarray, " b"]) -> UInt8[np.ndarray, "b bytes"]:
        size = self._type.itemsize
        try:
            found = self._source.__getitems__(indices.tolist())
        except _DAMAGE as error:
            raise self._damaged(error) from error
        wrong = next((len(record) for record in found if len(record) != size), None)
        if wrong is not None:
            raise self._damaged(f"expected records of {size} bytes, got one of {wrong}")
        raw = np.frombuffer(b"".join(found), np.uint8).reshape(len(indices), size)
        records = raw.view(self._type)[:, 0]
        try:
            check_codes([records[f"level{n}"] for n in range(len(self._grids))], self._grids)
        except DataError as error:
            raise self._damaged(error) from error
        keep = indices < len(self._kept)
        self._kept[indices[keep]] = raw[keep]
        self._filled[indices[keep]] = True  # set last: other threads read the bytes once it is True
        return raw

    def _damaged(self, why: object) -> DataError:
        return DataError(
            f"{self._path} cannot be read as codes ({why}); "
            f"delete {self._path.parent} to have them made again"
        )
