"""Size of compressed images beside their entropy and other formats, and speed beside sampling.

python -m benchmarks.compression RUN [RUN ...] [--split=test] [--limit=1000] [--batch_size=64]

A run is a folder, a file or a bundled model. PNG and WebP store each image in a file, and the same
images on sheets of 256. The bits of the model are the sum of -log2 of its probabilities. All images
are compressed and compared with the decompressed ones. The first ones are timed.
"""

import argparse
import io
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple

import jax
import numpy as np

import pixelprior as pp
from benchmarks.machine import best_time, matrix_product_rate
from pixelprior import jitted
from pixelprior.coding.codec import BATCH_SIZE, Codec
from pixelprior.coding.compressed import CompressedReader, Images, write_images
from pixelprior.figures.file_sizes import png_bytes_of, webp_bytes_of
from pixelprior.runs.compression.blocks import Blocks
from pixelprior.runs.compression.sources import Given, open_source
from pixelprior.sampling.labels import label_context

SHEET = 16  # images along each side of a sheet
REPETITIONS = 2  # of each time; the shorter one counts


def main() -> None:
    """Print one row of each table for every run."""
    parser = argparse.ArgumentParser(description="Measures compressed sizes and speeds.")
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--batch_size", type=int, default=BATCH_SIZE)
    parser.add_argument("--timed", type=int, default=256, help="Number of images to time.")
    arguments = parser.parse_args()
    sizes, speeds = [], []
    for name in arguments.runs:
        case = _load(name, arguments.split, arguments.limit, arguments.batch_size)
        sizes.append(_size(case))
        print(sizes[-1], flush=True)
        speeds.append(_speed(case, arguments.timed))
        print(speeds[-1], flush=True)
    print(
        "\n| run | images | entropy | symbols | excess | all of the file | PNG | "
        "PNG sheets | WebP | WebP sheets |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    print("\n".join(sizes))
    print(f"\nthe first {arguments.timed} images, as a multiple of cached sampling of as many")
    print("\n| run | sampling | compressing | decompressing |")
    print("|---|---:|---:|---:|")
    print("\n".join(speeds))
    print(f"\na 2048^3 float32 product in the same run: {matrix_product_rate() / 1e9:.0f} GFLOP/s")


class _Case(NamedTuple):
    name: str
    run: Any
    codec: Codec
    blocks: list[Images]
    num: int


def _load(name: str, split: str, limit: int | None, batch_size: int) -> _Case:
    run = pp.load_trained(name)
    source = open_source(
        run, [], split=split, limit=limit, given=Given(), quantise=False, report=lambda event: None
    )
    codec = Codec(run.model, batch_size=batch_size)
    return _Case(name, run, codec, list(Blocks(run, codec, source)), len(source))


def _size(case: _Case) -> str:
    """Row of the sizes. Raises an AssertionError if an image changes."""
    nats = sum(_nats(case.run.model, block, case.codec.batch_size) for block in case.blocks)
    entropy = nats / np.log(2) / 8
    file = io.BytesIO()
    written = write_images(file, case.codec, case.blocks, case.num, verify=False)
    _decompress(case, file)
    excess = written.stream_bytes - entropy
    others = [f"{size:,}" for size in _others(case.run, case.blocks)] or 4 * [""]
    cells = [f"{case.num:,}", f"{entropy:,.0f}", f"{written.stream_bytes:,}", f"{excess:+,.0f}"]
    return f"| {' | '.join([case.name, *cells, f'{written.num_bytes:,}', *others])} |"


def _speed(case: _Case, timed: int) -> str:
    """Row of the speeds, after `_size` has compiled the programs."""
    first = case.blocks[0]
    num = min(timed, len(first.maps[0]))
    block = Images([level[:num] for level in first.maps], _part(first.context, slice(num)))
    case = case._replace(blocks=[block], num=num)
    file = io.BytesIO()
    write_images(file, case.codec, case.blocks, num, verify=False)
    compressing = best_time(
        lambda: write_images(io.BytesIO(), case.codec, case.blocks, num, verify=False), REPETITIONS
    )
    decompressing = best_time(lambda: _decompress(case, file), REPETITIONS)
    sampling = _sampling(case.run, num, case.codec.batch_size)
    return (
        f"| {case.name} | {sampling:.1f} s | {compressing / sampling:.2f} | "
        f"{decompressing / sampling:.2f} |"
    )


def _decompress(case: _Case, file: BinaryIO) -> None:
    reader = CompressedReader(file, case.name)
    for block, again in zip(case.blocks, reader.blocks(case.codec), strict=True):
        for before, after in zip(block.maps, again.maps, strict=True):
            np.testing.assert_array_equal(before, after)


def _part(context: Any, images: slice) -> Any:
    return jax.tree.map(lambda values: values[images], context)


def _nats(model: Any, block: Any, batch_size: int) -> float:
    total = 0.0
    for first in range(0, len(block.maps[0]), batch_size):
        images = slice(first, first + batch_size)
        maps = [jax.numpy.asarray(level[images]) for level in block.maps]
        context = jax.tree.map(jax.numpy.asarray, _part(block.context, images))
        x = maps if isinstance(model, pp.Prior) else maps[0]
        total -= float(jitted.log_prob(model, x, context).sum())
    return total


def _sampling(run: Any, num: int, batch_size: int) -> float:
    """Seconds of drawing as many images with the cached sampler, in batches of the same size."""
    model = run.model

    def draw() -> Any:
        if isinstance(model, pp.Prior):
            return model.sample(jax.random.key(0), batch_size, method="cached")
        context = label_context(model, None, batch_size)
        return pp.sample(model, jax.random.key(0), batch_size, context=context, method="cached")

    def draw_all() -> None:
        for _ in range(0, num, batch_size):
            jax.block_until_ready(draw())

    jax.block_until_ready(draw())
    return best_time(draw_all, REPETITIONS)


def _others(run: Any, blocks: Sequence[Any]) -> list[int]:
    """Bytes in PNG and WebP, each in files of one image and on sheets; none for codes."""
    if run.task != "pixels":
        return []
    grid = run.model.grid
    symbols = np.concatenate([block.maps[0] for block in blocks])
    ones = [symbols[number] for number in range(len(symbols))]
    sheets = [_sheet(symbols[n : n + SHEET**2]) for n in range(0, len(symbols), SHEET**2)]
    return [
        sum(size(image, grid.levels) for image in images)
        for size in (png_bytes_of, webp_bytes_of)
        for images in (ones, sheets)
    ]


def _sheet(symbols: Any) -> Any:
    num, height, width, channels = symbols.shape
    side = min(SHEET, num)
    rows = -(-num // side)
    padded = np.zeros((rows * side, height, width, channels), symbols.dtype)
    padded[:num] = symbols
    grid = padded.reshape(rows, side, height, width, channels).swapaxes(1, 2)
    return grid.reshape(rows * height, side * width, channels)


if __name__ == "__main__":
    main()
