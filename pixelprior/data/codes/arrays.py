"""A code set in memory, for priors that keep nothing on disk.

Legend: b batch, h height, w width, c codebooks per position. Every level has its own h, w and c.
"""

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
from jaxtyping import Int, Int32

from pixelprior.data.codes.code_set import CodeSet, CodeSplit
from pixelprior.data.codes.records import add_counts, no_counts, pack, unpack
from pixelprior.data.codes.writer import CodeSplits
from pixelprior.grid import Grid


class CodeArrays:
    """Records in memory, read as `CodeFile` reads those of a file.

    Args:
        records: an array of `record_type`.
    """

    def __init__(self, records: np.ndarray):
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def read(
        self, indices: Sequence[int] | Int[np.ndarray, " b"]
    ) -> tuple[list[Int32[np.ndarray, "b h w c"]], Int32[np.ndarray, " b"]]:
        """Codes of each level, and labels, at ``indices`` in ``[0, len(self))``; fresh arrays."""
        return unpack(self._records[np.asarray(indices, np.int64)])


def codes_in_memory(
    *,
    fingerprint: str,
    grids: Sequence[Grid],
    name: str,
    note: str = "",
    class_names: Sequence[str] = (),
    splits: CodeSplits,
) -> CodeSet:
    """Collect a code set in memory.

    Args:
        fingerprint: of the tokenizer that makes the codes.
        grids: of its levels, coarsest first.
        name: the name of the images' data set.
        note: a remark about the data, printed beside results.
        class_names: the name of each label, in order.
        splits: the codes and labels of every split, read once.

    Raises:
        DataError: if codes do not fit their grids.
    """
    counts, found = no_counts(grids), {}
    for split, (description, batches) in splits.items():
        parts = [pack(codes, labels, grids) for codes, labels in batches]
        records = np.concatenate(parts)
        if split == "train":
            add_counts(counts, records)
        found[split] = CodeSplit(split, CodeArrays(records), description)
    return CodeSet(
        fingerprint=fingerprint,
        grids=tuple(grids),
        splits=MappingProxyType(found),
        counts=tuple(counts),
        name=name,
        class_names=tuple(class_names),
        note=note,
    )
