"""Code sets in memory, for priors that keep nothing on disk.

Legend: b batch.
"""

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
from jaxtyping import Int

from pixelprior.data.codes.code_set import CodeFacts, CodeSet, CodeSplit
from pixelprior.data.codes.records import Coded, add_counts, no_counts, pack, unpack
from pixelprior.data.codes.writer import CodeSplits


class CodeArrays:
    """Records in memory, with the interface of `CodeFile`.

    Args:
        records: an array of `record_type`.
    """

    def __init__(self, records: np.ndarray):
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def read(self, indices: Sequence[int] | Int[np.ndarray, " b"]) -> Coded:
        """Codes, labels and attributes at ``indices`` in ``[0, len(self))``, as new arrays."""
        return unpack(self._records[np.asarray(indices, np.int64)])


def codes_in_memory(facts: CodeFacts, splits: CodeSplits) -> CodeSet:
    """Collect a code set in memory.

    Args:
        facts: facts about the tokenizer that makes the codes, and about the images.
        splits: the codes, labels and attributes of every split, read once.

    Raises:
        DataError: if codes or attributes do not fit the facts.
    """
    counts, found = no_counts(facts.grids), {}
    for split, (description, batches) in splits.items():
        parts = [pack(batch, facts.grids, len(facts.attribute_names)) for batch in batches]
        records = np.concatenate(parts)
        if split == "train":
            add_counts(counts, records)
        found[split] = CodeSplit(split, CodeArrays(records), description)
    return CodeSet(facts=facts, splits=MappingProxyType(found), counts=tuple(counts))
