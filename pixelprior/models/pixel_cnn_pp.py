"""PixelCNN++: two streams through several resolutions, with skip connections.

Legend: b batch, h height, w width, c channels, d features, k columns of a step, H and W: h and w
halved, rounded up.

A *vertical* stream ``v`` reads the rows above. A *horizontal* stream ``x`` reads all other earlier
positions in raster order. Both streams follow a *downward path* to coarser resolutions, then an
*upward path* back. Each block of the upward path also receives one result of the downward path, the
last result first [1, section 2.4].

A coarse position (I, J) stands for (2 I, 2 J) of the next finer grid, and depends only on positions
before that one. During sampling, a coarse row therefore changes only on every second row, and a
coarse position only on every second column. Between these changes its stored values are reused.

Where we deviate from [1]:

- Steps between resolutions are 2x2 in both streams, while the vertical steps of [1] are 2x3. The
  windows do not overlap, and each step is one matrix product and a rearrangement.
- There is no weight normalisation, no initialisation from data, and no smaller initial weights for
  the output of a block.
- The head has a hidden layer (see `LogisticMixtureHead`), and `SoftmaxHead` is also supported.
- Symbols enter as learned embeddings, which suit codes as well as intensities.
- A context may be a map. A coarse position takes it from the fine position that it stands for.

[1] Salimans et al. 2017, PixelCNN++: Improving the PixelCNN with Discretized Logistic Mixture
    Likelihood and Other Modifications, figure 2; details as in the code published with it.
"""

from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from pixelprior.context import Context
from pixelprior.grid import Grid
from pixelprior.models.base import AutoregressiveModel, CommonSettings, Embedded, Features, row_of
from pixelprior.nn.causal import Above, Left, shift_down, shift_right
from pixelprior.nn.compiled import compiled
from pixelprior.nn.conditioning import EncodedContext
from pixelprior.nn.image_keys import split_keys
from pixelprior.nn.initializers import zeros
from pixelprior.nn.shifted_conv import interleave
from pixelprior.nn.two_streams import Layer, Scale
from pixelprior.sizes import check_sizes


class _ScaleCache(NamedTuple):
    """State of one resolution from the rows above; ``coarse`` is the next coarser one's state."""

    pasts: list[Any]  # of each vertical block, down and up
    inputs: list[Any]  # of each horizontal block in the row above, down and up
    # These four are [b, 1, w, d], or None at the coarsest resolution. `v` and `x` are both streams
    # of the row above, at the end of the downward path. `v_odd` and `x_odd` are the result of the
    # step up for an odd row, which is known since the even row above it.
    v: Any
    x: Any
    v_odd: Any
    x_odd: Any
    coarse: Any


class _Cache(NamedTuple):
    row: Int[Array, ""]
    context: EncodedContext
    pixels: Int[Array, "b 1 w c"]  # the row above
    first: Float[Array, "b rows-1 w e"]  # the rows above that one, embedded
    scale: _ScaleCache


class _ScaleAbove(NamedTuple):
    """Contribution of the rows above to a row of one resolution."""

    layers: list[list[Float[Array, "b 1 w e"]]]  # to each horizontal block, down and up
    # Both are [b, 1, w, d], or None at the coarsest resolution. `down` is the contribution to the
    # step down. `odd` is the result of the step up, for odd rows.
    down: Any
    odd: Any
    coarse: Any


class _ScaleLeft(NamedTuple):
    """State of one resolution after its last column (k = 1), or the trace of several columns.

    A trace holds the values of a coarse column twice: at both of its fine columns.
    """

    inputs: list[list[Float[Array, "b 1 k 2*d"]]]  # of each horizontal block, down and up
    # Both are None at the coarsest resolution. `x`, [b, 1, k, d], is the stream at the end of the
    # downward path. `up`, [b, 1, k, 4 * d], is the result of the step up for all four fine places.
    x: Any
    up: Any
    coarse: Any


class PixelCNNPP(AutoregressiveModel):
    """The PixelCNN++ of Salimans et al. (2017).

    Args:
        grid: size, channels and values per symbol of the grids.
        features: number of features of each stream.
        num_blocks: number of layers of one resolution on the downward path (5 in the paper). The
            upward path has one more, except at the coarsest resolution.
        num_scales: number of resolutions, each half as fine as the one before it (3 in the paper).
        rngs: random number generators for the initial weights.
        common: settings of every model; see `AutoregressiveModel`. The default head is a logistic
            mixture. The paper's dropout_rate is 0.5.

    Raises:
        InputError: if ``num_blocks`` or ``num_scales`` is below 1.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        features: int = 64,
        num_blocks: int = 2,
        num_scales: int = 3,
        rngs: nnx.Rngs,
        **common: Unpack[CommonSettings],
    ):
        check_sizes(num_blocks=num_blocks, num_scales=num_scales)
        settings: CommonSettings = {"head": "logistic_mixture", **common}
        super().__init__(grid, features, rngs=rngs, **settings)
        # The input is shifted. The vertical stream begins with the two rows above. The horizontal
        # stream begins with three places of the row above, and the place to the left.
        self.first_vertical = Above(2, 3, self.embedding.features, features, rngs=rngs)
        self.first_above = Above(1, 3, self.embedding.features, features, rngs=rngs)
        self.first_left = Left(1, self.embedding.features, features, rngs=rngs)
        self.first_bias = nnx.Param(zeros(2, features))
        self.scales = nnx.List(
            [
                Scale(
                    features,
                    num_blocks=num_blocks,
                    coarsest=index == num_scales - 1,
                    context_features=self.context_features,
                    dropout_rate=self.dropout_rate,
                    remat=self.remat,
                    rngs=rngs,
                )
                for index in range(num_scales)
            ]
        )
        self.head = self.head_settings.make(grid, features, rngs=rngs)

    @property
    def column_multiple(self) -> int:
        """See `AutoregressiveModel.column_multiple`; fine columns per column of the coarsest grid.

        A `step` of several columns must begin where a column of the coarsest grid begins.
        """
        return 2 ** (len(self.scales) - 1)

    # The whole grid.

    def network(self, x: Embedded, context: EncodedContext, dropout_key: Array | None) -> Features:
        """See `AutoregressiveModel.network`."""
        b, h, w, _ = x.shape
        down = shift_down(x)
        v, _ = self.first_vertical(down, self.first_vertical.init_past(b, w))
        from_above, _ = self.first_above(down, self.first_above.init_past(b, w))
        from_left, _ = self.first_left(shift_right(x), self.first_left.init_past(b, h))
        v_bias, x_bias = self.first_bias[...]
        return self._whole(0, (v + v_bias, from_above + from_left + x_bias), context, dropout_key)[
            1
        ]

    def _whole(
        self,
        index: int,
        streams: tuple[Float[Array, "b h w d"], Float[Array, "b h w d"]],
        context: EncodedContext,
        dropout_key: Array | None,
    ) -> tuple[Float[Array, "b h w d"], Float[Array, "b h w d"]]:
        """Run both streams through one resolution and all coarser ones, down and up."""
        scale = self.scales[index]
        dropout_key, down_key, up_key = split_keys(dropout_key, 3)

        def down(layer: Layer, streams: Any, key: Array | None) -> tuple[Any, Any]:
            # The input of each layer is kept for the skip connections.
            return layer(streams, (None, None), context, key), streams

        def up(layer: Layer, streams: Any, inputs: Any) -> tuple[Any, None]:
            skips, key = inputs
            return layer(streams, skips, context, key), None

        streams, skips = scale.down.scan(down, streams, scale.down.split_key(down_key))
        if not scale.coarsest:
            skips = jax.tree.map(lambda s, last: jnp.append(s, last[None], axis=0), skips, streams)
            coarse = None if context is None else context[:, ::2, ::2]
            v, x = streams
            nothing = jnp.zeros_like(v[:, :1])
            coarse_v, coarse_x = self._whole(
                index + 1,
                (scale.vertical_down(v, nothing), scale.horizontal_down(x, nothing)),
                coarse,
                dropout_key,
            )
            _, h, w, _ = v.shape
            streams = scale.vertical_up(coarse_v, h, w), scale.horizontal_up(coarse_x, h, w)
        last_first = jax.tree.map(lambda s: s[::-1], skips)
        return scale.up.scan(up, streams, (last_first, scale.up.split_key(up_key)))[0]

    # Position by position.

    def init_cache(self, batch: int, context: Context | None = None) -> _Cache:
        """See `AutoregressiveModel.init_cache`."""
        return _Cache(
            jnp.zeros((), jnp.int32),
            self.context_encoder(context, batch),
            self.outside_row(batch),
            self.first_vertical.init_past(batch, self.grid.width),
            self._init_scale(0, batch, self.grid.width),
        )

    def _init_scale(self, index: int, batch: int, width: int) -> _ScaleCache:
        scale, layers = self.scales[index], self._layers(index)
        row = None if scale.coarsest else self._nothing(batch, width)
        return _ScaleCache(
            [layer.vertical.init_pasts(batch, width) for layer in layers],
            [layer.horizontal.init_inputs(batch, width) for layer in layers],
            *(row, row, row, row),
            None if scale.coarsest else self._init_scale(index + 1, batch, (width + 1) // 2),
        )

    @compiled()
    def start_row(
        self, cache: _Cache, row: Int[Array, ""]
    ) -> tuple[_Cache, tuple[Float[Array, "b 1 w d"], _ScaleAbove], Any]:
        """See `AutoregressiveModel.start_row`; includes the whole vertical stream."""
        embedded = self.embedding(cache.pixels)
        batch = embedded.shape[0]
        v, first = self.first_vertical(embedded, cache.first)
        from_above, _ = self.first_above(embedded, self.first_above.init_past(batch, v.shape[2]))
        v_bias, x_bias = self.first_bias[...]
        context = row_of(cache.context, row)
        _, scale, above = self._start_row(0, cache.scale, v + v_bias, context, row)
        cache = cache._replace(row=row, first=first, scale=scale)
        left = row, jnp.zeros((), jnp.int32), self._init_left(0, batch)
        return cache, (from_above + x_bias, above), left

    def _start_row(
        self,
        index: int,
        cache: _ScaleCache,
        v: Float[Array, "b 1 w d"],
        context: EncodedContext,
        row: Int[Array, ""],
    ) -> tuple[Float[Array, "b 1 w d"], _ScaleCache, _ScaleAbove]:
        """Run a row of the vertical stream through this resolution and all coarser ones."""
        scale, layers = self.scales[index], self._layers(index)
        depth = scale.down.depth
        above, pasts, skips = [], [], []

        def run(
            v: Float[Array, "b 1 w d"], n: int, skip: Float[Array, "b 1 w d"] | None
        ) -> Float[Array, "b 1 w d"]:
            v, past = layers[n].vertical(v, skip, cache.pasts[n], context)
            pasts.append(past)
            above.append(layers[n].horizontal.from_above(cache.inputs[n], v, context))
            return v

        for n in range(depth):
            skips.append(v)
            v = run(v, n, None)
        down = odd = coarse_above = None
        if not scale.coarsest:
            skips.append(v)
            width = v.shape[2]

            def even_row() -> Any:
                coarse_context = None if context is None else context[:, :, ::2]
                coarse_v, coarse, above = self._start_row(
                    index + 1,
                    cache.coarse,
                    scale.vertical_down(v, cache.v),
                    coarse_context,
                    row // 2,
                )
                both = scale.vertical_up(coarse_v, 2, width)
                step_down = scale.horizontal_down.from_above(cache.x)
                wide = _for_both_columns((step_down, above), width)
                return both[:, :1], both[:, 1:], coarse, wide

            def odd_row() -> Any:
                # An odd row computes nothing at coarser resolutions, and never reads these zeros.
                unused = jax.tree.map(
                    lambda y: jnp.zeros(y.shape, y.dtype), jax.eval_shape(even_row)[3]
                )
                return cache.v_odd, cache.v_odd, cache.coarse, unused

            up, v_odd, coarse, (down, coarse_above) = lax.cond(row % 2 == 0, even_row, odd_row)
            odd = cache.x_odd
            cache = cache._replace(v=v, v_odd=v_odd, coarse=coarse)
            v = up
        for n in range(depth, len(layers)):
            v = run(v, n, skips.pop())
        return v, cache._replace(pasts=pasts), _ScaleAbove(above, down, odd, coarse_above)

    def _init_left(self, index: int, batch: int) -> _ScaleLeft:
        scale = self.scales[index]
        x = None if scale.coarsest else self._nothing(batch, 1)
        return _ScaleLeft(
            [layer.horizontal.init_inputs(batch, 1) for layer in self._layers(index)],
            x,
            None if x is None else jnp.tile(x, 4),
            None if scale.coarsest else self._init_left(index + 1, batch),
        )

    @compiled()
    def step(
        self, above: Any, left: Any, previous: Int[Array, "b k c"]
    ) -> tuple[Float[Array, "b k d"], Any, _ScaleLeft]:
        """See `AutoregressiveModel.step`; runs the horizontal stream."""
        (from_above, scale_above), (row, column, scale_left) = above, left
        embedded = self.embedding(previous)[:, None]
        x, _ = self.first_left(embedded, self.first_left.init_past(embedded.shape[0], 1))
        # The layers are unstacked here, and not in a branch, so that all loops share this work.
        layers = [self._layers(index) for index in range(len(self.scales))]
        x, scale_left, trace = self._step(
            0, layers, x + from_above, scale_above, scale_left, row, column
        )
        return x[:, 0], (row, column + x.shape[2], scale_left), trace

    def _step(
        self,
        index: int,
        layers: list[list[Layer]],
        x: Float[Array, "b 1 k d"],
        above: _ScaleAbove,
        left: _ScaleLeft,
        row: Int[Array, ""],
        column: Int[Array, ""],
    ) -> tuple[Float[Array, "b 1 k d"], _ScaleLeft, _ScaleLeft]:
        """Run columns through this resolution and all coarser ones, down and up.

        Returns:
            The stream, the state after these columns, and their trace.
        """
        scale, num = self.scales[index], x.shape[2]
        depth = scale.down.depth
        inputs, skips = [], []

        def run(
            x: Float[Array, "b 1 k d"], n: int, skip: Float[Array, "b 1 k d"] | None
        ) -> Float[Array, "b 1 k d"]:
            block = layers[index][n].horizontal
            x, own = block.step(x, skip, above.layers[n], left.inputs[n])
            inputs.append(own)
            return x

        for n in range(depth):
            skips.append(x)
            x = run(x, n, None)
        trace = _ScaleLeft(inputs, None, None, None)
        coarse = None
        if not scale.coarsest:
            skips.append(x)
            down, coarse_above = jax.tree.map(lambda y: y[..., ::2, :], (above.down, above.coarse))

            def even() -> tuple[Float[Array, "b 1 K 4*d"], _ScaleLeft, _ScaleLeft]:
                coarse_x = scale.horizontal_down.from_left(x, left.x) + down
                coarse_x, coarse, coarse_trace = self._step(
                    index + 1, layers, coarse_x, coarse_above, left.coarse, row // 2, column // 2
                )
                return scale.horizontal_up.linear(coarse_x), coarse, coarse_trace

            def odd() -> tuple[Float[Array, "b 1 K 4*d"], _ScaleLeft, _ScaleLeft]:
                # This branch computes nothing at coarser resolutions. `end_row` never reads this
                # trace.
                up, _, unused = jax.tree.map(
                    lambda y: jnp.zeros(y.shape, y.dtype), jax.eval_shape(even)
                )
                return jnp.broadcast_to(left.up, up.shape), left.coarse, unused

            # Several columns always begin at an even column (see `column_multiple`). A single
            # column may be odd.
            odd_row, odd_column = row % 2 == 1, column % 2 == 1
            up, coarse, coarse_trace = lax.cond(
                odd_row | odd_column if num == 1 else odd_row, odd, even
            )
            trace = trace._replace(
                x=x,
                **_for_both_columns({"up": up, "coarse": coarse_trace}, num),
            )
            here, right, *_ = jnp.split(up, 4, axis=-1)
            if num == 1:
                own = jnp.where(odd_column, right, here)
            else:
                own = jnp.stack([here, right], axis=3).reshape(*up.shape[:2], -1, x.shape[-1])
            x = jnp.where(odd_row, above.odd, own[:, :, :num])
        for n in range(depth, len(layers[index])):
            x = run(x, n, skips.pop())
        last = jax.tree.map(lambda y: y[..., -1:, :], trace._replace(coarse=None))
        return x, last._replace(coarse=coarse), trace

    @compiled()
    def end_row(self, cache: _Cache, pixels: Int[Array, "b 1 w c"], traces: _ScaleLeft) -> _Cache:
        """See `AutoregressiveModel.end_row`."""
        return cache._replace(pixels=pixels, scale=self._end_row(cache.scale, traces, cache.row))

    def _end_row(self, cache: _ScaleCache, traces: _ScaleLeft, row: Int[Array, ""]) -> _ScaleCache:
        """Add a row to the cache of one resolution and, if the row is even, of all coarser ones."""
        cache = cache._replace(inputs=traces.inputs)
        if traces.coarse is None:
            return cache
        even_columns = jax.tree.map(lambda y: y[..., ::2, :], (traces.up, traces.coarse))

        def even_row() -> tuple[Float[Array, "b 1 w d"], _ScaleCache]:
            up, coarse = even_columns
            both = interleave(up)[:, :, : traces.x.shape[2]]
            return both[:, 1:], self._end_row(cache.coarse, coarse, row // 2)

        x_odd, coarse = lax.cond(row % 2 == 0, even_row, lambda: (cache.x_odd, cache.coarse))
        return cache._replace(x=traces.x, x_odd=x_odd, coarse=coarse)

    def _layers(self, index: int) -> list[Layer]:
        """Return the layers of one resolution as a list, down and then up."""
        scale = self.scales[index]
        return [*scale.down.unstack(), *scale.up.unstack()]

    def _nothing(self, batch: int, width: int) -> Float[Array, "b 1 w d"]:
        """Return the features of places outside the grid: zeros."""
        d = self.first_bias.shape[-1]
        return jnp.zeros((batch, 1, width, d), self.first_bias.dtype)


def _for_both_columns(coarse: Any, width: int) -> Any:
    """Repeat the values of coarse columns, arrays ``[..., K, d]``, at both fine columns of each."""
    return jax.tree.map(lambda y: jnp.repeat(y, 2, axis=-2)[..., :width, :], coarse)
