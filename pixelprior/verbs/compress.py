"""Lossless compression of grids.

Legend: b batch, h height, w width, c channels, g codebooks.
"""

import io
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int32

from pixelprior.coding.codec import BATCH_SIZE, Codec
from pixelprior.coding.compressed import CompressedReader, Images, write_images
from pixelprior.context import Context
from pixelprior.errors import InputError
from pixelprior.prior import Prior
from pixelprior.progress import Report, only_warnings
from pixelprior.verbs.arguments import context_of, distribution_of


def compress(
    model: Any,
    symbols: Any,
    label: Any = None,
    *,
    vector: Any = None,
    batch_size: int | None = None,
    verify: bool = True,
    report: Report = only_warnings,
) -> bytes:
    """Compress grids to about as many bits as their NLL under the model says.

    `decompress` gives the same symbols back, bit for bit. It needs the same model, versions and
    kind of device. Another machine may round in another way. Then it raises an error, and does not
    give wrong symbols.

    Examples:
        >>> data = pp.compress(run, images)
        >>> assert (pp.decompress(run, data) == images).all()

    Args:
        model: a pixel model or a prior, or its run.
        symbols: integers in ``[0, levels)``, ``[b, h, w, c]``; for a prior the maps of codes
            ``[b, h, w, g]``, the coarsest first.
        label: one class for all images (index or name), or one class for each image.
        vector: one vector for all images, or one for each image. Labels and vectors are kept in the
            result, so `decompress` needs neither. Without both, images have no condition, if the
            model has a null class.
        batch_size: the number of images coded at once, also by `decompress`; None for at most 64.
        verify: decompress the result, and compare.
        report: receives the progress.

    Returns:
        The content of a ``.ppz`` file.

    Raises:
        InputError: if symbols, labels or vectors do not fit the model.
    """
    distribution = distribution_of(model)
    if isinstance(distribution, Prior) and not (isinstance(symbols, list | tuple) and symbols):
        raise InputError(
            f"a prior needs a list of maps of codes, the coarsest first, got {symbols!r:.80}"
        )
    maps = list(symbols) if isinstance(distribution, Prior) else [symbols]
    for level in maps:
        if not hasattr(level, "shape") or level.ndim != 4 or len(level) == 0:
            raise InputError(
                "symbols must be arrays [batch, height, width, channels] of at least one image, "
                f"got {level!r:.80}"
            )
    num = len(maps[0])
    size = min(num, BATCH_SIZE) if batch_size is None else batch_size
    codec = Codec(distribution, batch_size=size)
    shape = codec.context_shape
    context = context_of(model, distribution, label, vector, None, None, num)
    # Without vectors, the null class is written for each image, like any other class.
    if context is None and shape.null_class and not shape.vector_features:
        context = Context(label=jnp.full(num, shape.num_classes))
    file = io.BytesIO()
    arrays = [np.asarray(level) for level in maps]
    blocks = _in_blocks(codec, arrays, jax.tree.map(np.asarray, context))
    write_images(file, codec, blocks, num, verify=verify, report=report)
    return file.getvalue()


def decompress(
    model: Any, data: bytes, *, force: bool = False, report: Report = only_warnings
) -> Int32[np.ndarray, "b h w c"] | list[Int32[np.ndarray, "b _ _ g"]]:
    """Decompress the grids of `compress`.

    Args:
        model: the model that compressed them, or its run.
        data: the content of a ``.ppz`` file.
        force: try it also if versions, device or the model's fingerprint differ. Checksums decide.
        report: receives the progress.

    Returns:
        int32 symbols; for a prior the maps of all levels, the coarsest first.

    Raises:
        InputError: if the model or the machine does not fit, or the data are damaged.
    """
    distribution = distribution_of(model)
    if not isinstance(data, bytes | bytearray | memoryview):
        raise InputError(f"data must be the bytes of a .ppz file, got {type(data).__name__}")
    reader = CompressedReader(io.BytesIO(bytes(data)), "the data")
    codec = Codec(distribution, batch_size=reader.header["batch_size"])
    reader.check(codec, force=force)
    blocks = [block.maps for block in reader.blocks(codec, report)]
    maps = [np.concatenate(level) for level in zip(*blocks, strict=True)]
    return maps if isinstance(distribution, Prior) else maps[0]


def _in_blocks(codec: Codec, maps: list[Any], context: Context | None) -> Iterator[Images]:
    for first in range(0, len(maps[0]), codec.images_per_block):
        block = slice(first, first + codec.images_per_block)
        here = jax.tree.map(lambda values, block=block: values[block], context)
        yield Images([level[block] for level in maps], here)
