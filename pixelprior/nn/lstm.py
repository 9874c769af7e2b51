"""Convolutional LSTMs over the lines of a grid (van den Oord et al. 2016a, section 3).

Legend: n lines, b batch, p positions of a line, d features, k taps, c features of the context.

A *line* is a row or a diagonal. The gates at a position are a sum of two parts. The *terms* are
known for all lines in advance: they come from the input, the context and a bias. The second part is
a convolution over k positions of the previous line's hidden states [equation 3 of the paper]:

    output, forget, input, candidate = terms + kernel * hidden of the line before
    cell   = sigmoid(forget) cell + sigmoid(input) tanh(candidate)
    hidden = sigmoid(output) tanh(cell)

For odd k the taps are centred. For k = 2 they are the previous position and the own position.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from pixelprior.nn.conditioning import EncodedContext, add_context, context_layer
from pixelprior.nn.initializers import kernel


def _activate(gates: Float[Array, "*n 4*d"]) -> Float[Array, "*n 4*d"]:
    d = gates.shape[-1] // 4
    return jnp.concatenate(
        [jax.nn.sigmoid(gates[..., : 3 * d]), jnp.tanh(gates[..., 3 * d :])], axis=-1
    )


def lstm_cell(
    gates: Float[Array, "*n 4*d"], cell: Float[Array, "*n d"]
) -> tuple[Float[Array, "*n d"], Float[Array, "*n d"]]:
    """Return the hidden state and the cell, given the gates before activation and the last cell."""
    output, forget, input_, candidate = jnp.split(_activate(gates), 4, axis=-1)
    cell = forget * cell + input_ * candidate
    return output * jnp.tanh(cell), cell


def line_taps(hidden: Float[Array, "*m p d"], taps: int) -> Float[Array, "*m p taps*d"]:
    """Concatenate the states under the taps at each position; zeros beyond the line's ends."""
    before = taps // 2
    margins = [(0, 0)] * (hidden.ndim - 2) + [(before, taps - 1 - before), (0, 0)]
    wide, p = jnp.pad(hidden, margins), hidden.shape[-2]
    return jnp.concatenate([wide[..., n : n + p, :] for n in range(taps)], axis=-1)


@jax.custom_vjp
def line_lstm(
    terms: Float[Array, "n b p 4*d"], kernel: Float[Array, "k d 4*d"]
) -> Float[Array, "n b p d"]:
    """Compute the hidden states of all lines in order; the states before the first line are zero.

    A state is zero if the terms are zero at its position and at all positions that it comes from.
    The candidate is then zero, and the cell stays zero.

    The gradient is written by hand. With autodiff, every line would add its share to the gradient
    of the kernel. The hand-written version stacks the gradients of the gates, which the terms need
    in any case. The gradient of the kernel is then one matrix product over all lines.
    """
    return _line_lstm_forward(terms, kernel)[0]


# `jax.jit` is for calls from outside of compiled code. The bodies of the loops are new functions in
# every call, and JAX would compile each of them anew.
@functools.partial(jax.jit, inline=True)
def _line_lstm_forward(terms, kernel):
    taps, d, _ = kernel.shape

    def line(state, terms):
        hidden, last_cell = jnp.split(state, 2, axis=-1)
        gates = _activate(terms + line_taps(hidden, taps) @ kernel.reshape(-1, 4 * d))
        output, forget, input_, candidate = jnp.split(gates, 4, axis=-1)
        cell = forget * last_cell + input_ * candidate
        hidden = output * jnp.tanh(cell)
        return jnp.concatenate([hidden, cell], axis=-1), (hidden, last_cell, gates)

    start = jnp.zeros((*terms.shape[1:-1], 2 * d), terms.dtype)
    _, (hidden, last_cell, gates) = lax.scan(line, start, terms)
    return hidden, (hidden, last_cell, gates, kernel)


@functools.partial(jax.jit, inline=True)
def _line_lstm_backward(residuals, d_hiddens):
    hiddens, last_cells, gates, kernel = residuals
    taps, d, _ = kernel.shape
    # The taps are a linear function. Its transpose carries gradients back through them.
    see = functools.partial(line_taps, taps=taps)
    spread = jax.linear_transpose(see, hiddens[0])

    def line(state, inputs):
        d_hidden, d_cell = jnp.split(state, 2, axis=-1)
        d_own_hidden, last_cell, gates = inputs
        output, forget, input_, candidate = jnp.split(gates, 4, axis=-1)
        tanh_cell = jnp.tanh(forget * last_cell + input_ * candidate)
        d_hidden = d_hidden + d_own_hidden
        d_cell = d_cell + d_hidden * output * (1 - tanh_cell**2)
        d_gates = jnp.concatenate(
            [
                d_hidden * tanh_cell * output * (1 - output),
                d_cell * last_cell * forget * (1 - forget),
                d_cell * candidate * input_ * (1 - input_),
                d_cell * input_ * (1 - candidate**2),
            ],
            axis=-1,
        )
        (d_hidden,) = spread(d_gates @ kernel.reshape(-1, 4 * d).T)
        return jnp.concatenate([d_hidden, d_cell * forget], axis=-1), d_gates

    start = jnp.zeros((*hiddens.shape[1:-1], 2 * d), hiddens.dtype)
    _, d_terms = lax.scan(line, start, (d_hiddens, last_cells, gates), reverse=True)
    # The first line has no line before it.
    d_kernel = jnp.einsum("nbpt,nbpg->tg", see(hiddens[:-1]), d_terms[1:])
    return d_terms, d_kernel.reshape(kernel.shape)


line_lstm.defvjp(_line_lstm_forward, _line_lstm_backward)


class LineLSTM(nnx.Module):
    """Convolutional LSTM without its input-to-state part, which depends on the kind of line.

    Args:
        taps: number of positions of the previous line that a state depends on.
        d: size of the hidden state and of the cell.
        context_features: size of the vectors of the encoded context; 0 for no context.
        rngs: random number generators for the initial weights.
    """

    def __init__(self, taps: int, d: int, *, context_features: int, rngs: nnx.Rngs):
        self.kernel = kernel(taps, d, 4 * d, rngs=rngs)
        # Forget gates start open, so that new cells keep their content.
        bias = np.zeros(4 * d)
        bias[d : 2 * d] = 1.0
        self.bias = nnx.Param(jnp.asarray(bias, jnp.float32))
        self.context = context_layer(context_features, 4 * d, rngs=rngs)

    def condition(self, context: EncodedContext) -> Float[Array, "..."]:
        """Return the terms that do not depend on the pixels: the bias and the context."""
        return add_context(self.bias[...], self.context, context)

    def from_line_before(self, hidden: Float[Array, "*m p d"]) -> Float[Array, "*m p 4*d"]:
        """Return the contribution of one line's states to the gates of the next line."""
        taps, d, gates = self.kernel.shape
        return line_taps(hidden, taps) @ self.kernel[...].reshape(taps * d, gates)

    def __call__(self, terms: Float[Array, "n b p 4*d"]) -> Float[Array, "n b p d"]:
        """Compute the hidden states of all lines; see `line_lstm`."""
        return line_lstm(terms, self.kernel[...])

    def init_state(self, *shape: int) -> Float[Array, "*shape d"]:
        """Return the hidden state, or the cell, before the first line: zeros."""
        return jnp.zeros((*shape, self.kernel.shape[1]), self.kernel.dtype)
