"""Batches made ahead of their use, by Grain's threads.

Grain reads ahead whole batches: its own shuffling and batching costs some 8 microseconds an
example, many times what it takes to copy a small one that is in memory.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

READ_THREADS = 4
READ_AHEAD = 8  # batches

_Batch = TypeVar("_Batch")


def read_ahead(batch: Callable[[int], _Batch], numbers: range) -> Iterator[_Batch]:
    """``batch`` of every number, in order, while threads make those to come.

    What a thread raises is raised where its batch is asked for.
    """
    import grain

    # Decoding, reading and copying run in parallel.
    options = grain.ReadOptions(num_threads=READ_THREADS, prefetch_buffer_size=READ_AHEAD)
    batches = grain.MapDataset.range(numbers.start, numbers.stop, numbers.step).map(batch)
    return iter(batches.to_iter_dataset(options))
