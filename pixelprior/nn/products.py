"""Products with kernels: the primitive for each backend is chosen here, and nowhere else.

Legend: b batch, h height, w width, d features in, e features out, r rows and k columns of a kernel.

On CPUs, a correlation gathers its taps side by side for one matrix product, because the gradient of
``lax.conv_general_dilated`` has no fast implementation there. Other backends have such an
implementation, and gathered taps would only cost memory.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def correlate(
    x: Float[Array, "b H W d"], kernel: Float[Array, "r k d e"]
) -> Float[Array, "b h w e"]:
    """``y[i, j] = sum over (m, n) of x[i + m, j + n] @ kernel[m, n]``, wherever all taps exist."""
    rows, columns, d, e = kernel.shape
    if x.shape[1:3] == (rows, columns):
        # One position, in a sampler's step: its taps are the whole input, and nothing is gathered.
        return product(x.reshape(-1, 1, 1, rows * columns * d), kernel.reshape(-1, e))
    if _on_cpu():
        return _gathered(x, kernel)
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def product(x: Float[Array, "*n d"], kernel: Float[Array, "d e"]) -> Float[Array, "*n e"]:
    """``x @ kernel``, with the faster gradient of the kernel for the backend."""
    return _product(x, kernel) if _on_cpu() else x @ kernel


def dot_general(x: Array, kernel: Array, dimensions: Any, **settings: Any) -> Array:
    """`product` with the signature of ``lax.dot_general``, for `nnx.Linear`."""
    del dimensions, settings
    return product(x, kernel)


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"


@jax.custom_vjp
def _product(x: Float[Array, "*n d"], kernel: Float[Array, "d e"]) -> Float[Array, "*n e"]:
    return x @ kernel


def _product_forward(x, kernel):
    return x @ kernel, (x, kernel)


def _product_backward(residuals, dy):
    x, kernel = residuals
    return dy @ kernel.T, _kernel_gradient(x, dy)


_product.defvjp(_product_forward, _product_backward)


@jax.custom_vjp
def _gathered(
    x: Float[Array, "b H W d"], kernel: Float[Array, "r k d e"]
) -> Float[Array, "b h w e"]:
    """Gather all taps for one matrix product.

    The gradient is written by hand:

    - The backward pass gathers the taps again. Stored taps would take r * k times the memory.
    - The gradient of ``x`` is one product, followed by shifts.
    """
    rows, columns, _, e = kernel.shape
    return _taps(x, rows, columns) @ kernel.reshape(-1, e)


def _gathered_forward(x, kernel):
    return _gathered(x, kernel), (x, kernel)


def _gathered_backward(residuals, dy):
    x, kernel = residuals
    rows, columns, d, e = kernel.shape
    d_kernel = _kernel_gradient(_taps(x, rows, columns), dy).reshape(kernel.shape)
    d_taps = dy @ kernel.reshape(-1, e).T
    dx = jnp.zeros((), x.dtype)
    for n in range(rows * columns):
        i, j = divmod(n, columns)
        spread = ((0, 0), (i, rows - 1 - i), (j, columns - 1 - j), (0, 0))
        dx = dx + jnp.pad(d_taps[..., n * d : (n + 1) * d], spread)
    return dx, d_kernel


_gathered.defvjp(_gathered_forward, _gathered_backward)


def _taps(x: Float[Array, "b H W d"], rows: int, columns: int) -> Float[Array, "b h w r*k*d"]:
    """Return the values under all taps of a kernel, in the kernel's row-major order."""
    height, width = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    views = [x[:, i : i + height, j : j + width] for i in range(rows) for j in range(columns)]
    # XLA writes stacked views faster than concatenated ones.
    return jnp.stack(views, axis=-2).reshape(len(x), height, width, -1)


def _kernel_gradient(x: Float[Array, "*n d"], dy: Float[Array, "*n e"]) -> Float[Array, "d e"]:
    """``x.T @ dy`` over all positions, as a product of an explicitly transposed ``dy``.

    Both operands have the summed axis first. XLA's matrix product is up to 1.4 times as fast if one
    of them has it last. Without the barriers, XLA would undo the transposition.
    """
    rows = lax.optimization_barrier(dy.reshape(-1, dy.shape[-1]).T)
    return lax.optimization_barrier(rows @ x.reshape(-1, x.shape[-1])).T
