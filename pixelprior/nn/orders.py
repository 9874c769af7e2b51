"""Orders of the pixels of a grid.

An order is an array of integers: at each pixel, the number of pixels before it. The **sequence** of
a grid holds the same pixels in their order. It has the grid's shape and is read row by row.
Positions are an array of this shape: at each place of the sequence, the number of its pixel in
raster order. Order and positions are inverse permutations.

Legend: b batch, h height, w width, n any further axes.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key, Shaped

from pixelprior.grid import Grid

Order = Int[Array, "b h w"]
Positions = Int[Array, "b h w"]


def raster_order(batch: int, grid: Grid) -> Order:
    """Return the order row by row, left to right, which is its own inverse."""
    numbers = jnp.arange(grid.height * grid.width, dtype=jnp.int32)
    return jnp.broadcast_to(numbers.reshape(1, *grid.shape[:2]), (batch, *grid.shape[:2]))


def random_orders(keys: Key[Array, " b"], grid: Grid) -> Order:
    """Draw a uniformly random order for each key."""
    pixels = grid.height * grid.width
    orders = jax.vmap(lambda key: jax.random.permutation(key, pixels))(keys)
    return orders.reshape(-1, *grid.shape[:2])


def training_orders(keys: Key[Array, " b"], grid: Grid) -> Order:
    """Draw orders of three kinds, one for each key, for training.

    A third of the orders are uniformly random. In the others, some pixels come first, and the rest
    follows. Both parts are in raster order, as in completions. The rest is a random rectangle in
    one half of them, and a random share of all pixels in the other half.
    """
    rows, columns = jnp.arange(grid.height)[:, None], jnp.arange(grid.width)

    def draw(key: Array) -> tuple[Bool[Array, ""], Bool[Array, "h w"]]:
        """Draw whether the order is uniformly random, and the pixels that come first if not."""
        kind_key, rows_key, columns_key, share_key, pixels_key = jax.random.split(key, 5)
        top, bottom = jnp.sort(jax.random.randint(rows_key, (2,), 0, grid.height))
        left, right = jnp.sort(jax.random.randint(columns_key, (2,), 0, grid.width))
        outside = (rows < top) | (rows > bottom) | (columns < left) | (columns > right)
        share = jax.random.uniform(share_key)
        chosen = jax.random.uniform(pixels_key, grid.shape[:2]) < share
        kind = jax.random.randint(kind_key, (), 0, 3)
        return kind == 2, jnp.where(kind == 0, outside, chosen)

    uniform, first = jax.vmap(lambda key: draw(jax.random.fold_in(key, 1)))(keys)
    around = order_around(raster_order(len(keys), grid), first)
    return jnp.where(uniform[:, None, None], random_orders(keys, grid), around)


def order_around(order: Order, known: Bool[Array, "b h w"]) -> Order:
    """Move the known pixels before all others; within both groups, the order stays the same."""
    return inverse(inverse(order + order[0].size * ~known))


def inverse(order: Order) -> Positions:
    """Return the positions of an order, or the order of positions.

    Distinct numbers that are no order give the positions by increasing number.
    """
    return jnp.argsort(order.reshape(len(order), -1), axis=-1).reshape(order.shape)


def rearrange(
    x: Shaped[Array, "b h w *n"], places: Int[Array, "b h w"]
) -> Shaped[Array, "b h w *n"]:
    """Gather pixels by their numbers in raster order.

    With positions it turns a grid into its sequence; with the order it turns a sequence back.
    """
    batch, *sides = places.shape
    flat = jax.vmap(lambda x, places: x[places])(
        x.reshape(batch, -1, *x.shape[3:]), places.reshape(batch, -1)
    )
    return flat.reshape(batch, *sides, *x.shape[3:])
