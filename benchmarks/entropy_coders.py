"""Two places for the entropy coder: inside the compiled program, or on the host after each step.

python -m benchmarks.entropy_coders [RUN] [--batch_size=64]

The coder on the host is the range coder of `constriction`. The program stops at every pixel, gives
its probabilities to the host, and waits for the symbols. Both decode the same images.
"""

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

import constriction
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import pixelprior as pp
from benchmarks.machine import matrix_product_rate
from pixelprior.coding.codec import Codec
from pixelprior.models.base import side_by_side
from pixelprior.sampling.in_columns import columns_of
from pixelprior.sampling.labels import label_context


def main() -> None:
    """Print the seconds of both coders beside those of sampling as many images."""
    parser = argparse.ArgumentParser(description="Times two places of the entropy coder.")
    parser.add_argument("run", nargs="?", default="fashion_mnist")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    model, num = pp.load(arguments.run), arguments.batch_size
    if model.grid.channels != 1:
        raise SystemExit("give a run on grey images")
    context = label_context(model, None, num)

    def draw() -> Any:
        return pp.sample(model, jax.random.key(0), num, context=context, method="cached")

    images, codec = np.asarray(draw()), Codec(model, batch_size=num)
    stream = codec.write([images], context)
    host = OnHost(model, context, num)
    words = host.write(images)
    sampling = _best(lambda: jax.block_until_ready(draw()), arguments.repetitions)
    inside = _best(lambda: codec.read(stream, num, context), arguments.repetitions)
    outside = _best(lambda: host.read(words), arguments.repetitions)
    np.testing.assert_array_equal(codec.read(stream, num, context)[0], images)
    np.testing.assert_array_equal(host.read(words), images)
    print(f"{num} images of {arguments.run}; seconds, and times of sampling")
    print(f"sampling              {sampling:6.2f}")
    print(f"coder in the program  {inside:6.2f}  {inside / sampling:5.2f}  {len(stream):,} bytes")
    print(
        f"coder on the host     {outside:6.2f}  {outside / sampling:5.2f}  {4 * len(words):,} bytes"
    )
    print(f"a 2048^3 float32 product in the same run: {matrix_product_rate() / 1e9:.0f} GFLOP/s")


class OnHost:
    """Coder that stops the program at every pixel."""

    def __init__(self, model: Any, context: Any, num: int):
        self._graph, self._weights = nnx.split(model)
        self._context, self._num, self._grid = context, num, model.grid
        self._family = constriction.stream.model.Categorical(perfect=False)

    def write(self, images: Any) -> Any:
        """Encode images, with the probabilities of the decoder's own steps."""
        encoder = constriction.stream.queue.RangeEncoder()

        def put(row: int, column: int, probabilities: Any) -> Any:
            symbols = images[:, row, column, 0].astype(np.int32)
            encoder.encode(symbols, self._family, probabilities)
            return symbols

        self._walk(put)
        return encoder.get_compressed()

    def read(self, words: Any) -> Any:
        """Decode images."""
        decoder = constriction.stream.queue.RangeDecoder(words)
        return self._walk(lambda row, column, p: decoder.decode(self._family, p))

    def _walk(self, choose: Callable[[int, int, Any], Any]) -> Any:
        images = np.zeros((self._num, *self._grid.shape), np.int32)
        cache = _start(self._weights, self._context, graph=self._graph, num=self._num)
        for row in range(self._grid.height):
            cache, above, left = _start_row(self._weights, cache, row, graph=self._graph)
            previous, traces = jnp.full((self._num, 1, 1), -1, jnp.int32), []
            for column in range(self._grid.width):
                probabilities, left, trace = _step(
                    self._weights, above, left, previous, column, graph=self._graph
                )
                symbols = choose(row, column, np.asarray(probabilities))
                images[:, row, column, 0] = symbols
                previous = jnp.asarray(symbols, jnp.int32)[:, None, None]
                traces.append(trace)
            pixels = jnp.asarray(images[:, row : row + 1])
            cache = _end_row(self._weights, cache, pixels, traces, graph=self._graph)
        return images


_jit = functools.partial(jax.jit, static_argnames="graph")


@functools.partial(jax.jit, static_argnames=("graph", "num"))
def _start(weights: Any, context: Any, *, graph: Any, num: int) -> Any:
    return nnx.merge(graph, weights).for_steps().init_cache(num, context)


@_jit
def _start_row(weights: Any, cache: Any, row: Any, *, graph: Any) -> Any:
    return nnx.merge(graph, weights).for_steps().start_row(cache, row)


@_jit
def _step(weights: Any, above: Any, left: Any, previous: Any, column: Any, *, graph: Any) -> Any:
    model = nnx.merge(graph, weights).for_steps()
    features, left, trace = model.step(columns_of(above, column, 1), left, previous)
    logits = model.head.logits(features[:, 0], jnp.zeros((len(previous), 0), jnp.int32))
    return jax.nn.softmax(logits), left, trace


@_jit
def _end_row(weights: Any, cache: Any, pixels: Any, traces: Any, *, graph: Any) -> Any:
    row = jax.tree.map(lambda *x: side_by_side(jnp.stack(x)), *traces)
    return nnx.merge(graph, weights).for_steps().end_row(cache, pixels, row)


def _best(call: Callable[[], Any], repetitions: int) -> float:
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
