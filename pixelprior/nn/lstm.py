"""Convolutional LSTMs that run over the lines of a grid (van den Oord et al. 2016a, section 3).

Legend: n lines, b batch, p positions of a line, d features, k taps, c features of the context.

A *line* is a row, or a diagonal. The gates at a position are the sum of *terms*, which are known
for all lines beforehand (what the input contributes, the context, a bias), and of a convolution
over k positions of the hidden states of the line before [equation 3 there]:

    output, forget, input, candidate = terms + kernel * hidden of the line before
    cell   = sigmoid(forget) cell + sigmoid(input) tanh(candidate)
    hidden = sigmoid(output) tanh(cell)

The taps are centred for odd k; for k = 2 they are the position before and the own one.
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
    """The hidden state and the cell, from the gates before they are activated and the last cell."""
    output, forget, input_, candidate = jnp.split(_activate(gates), 4, axis=-1)
    cell = forget * cell + input_ * candidate
    return output * jnp.tanh(cell), cell


def line_taps(hidden: Float[Array, "*m p d"], taps: int) -> Float[Array, "*m p taps*d"]:
    """What the taps at each position see, side by side; zeros beyond the line's ends."""
    before = taps // 2
    margins = [(0, 0)] * (hidden.ndim - 2) + [(before, taps - 1 - before), (0, 0)]
    wide, p = jnp.pad(hidden, margins), hidden.shape[-2]
    return jnp.concatenate([wide[..., n : n + p, :] for n in range(taps)], axis=-1)


@jax.custom_vjp
def line_lstm(
    terms: Float[Array, "n b p 4*d"], kernel: Float[Array, "k d 4*d"]
) -> Float[Array, "n b p d"]:
    """The hidden states of all lines, one after the other, from states of zero before the first.

    Where the terms of a position and of all that its state comes from are zero, its state is zero:
    the candidate is, and the cell never leaves it.

    The gradient is written out. Left to autodiff, every line would add its share to the gradient of
    the kernel; here the gradients of the gates are stacked up, as they are needed for the terms
    anyway, and that of the kernel is one matrix product over all lines.
    """
    return _line_lstm_forward(terms, kernel)[0]


# Compiled where they stand outside of compiled code: what their loops run over are new functions
# in every call.
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
    # Linear, so that its transpose is what carries gradients back through the taps.
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
    # The first line has nothing before it.
    d_kernel = jnp.einsum("nbpt,nbpg->tg", see(hiddens[:-1]), d_terms[1:])
    return d_terms, d_kernel.reshape(kernel.shape)


line_lstm.defvjp(_line_lstm_forward, _line_lstm_backward)


class LineLSTM(nnx.Module):
    """All of a convolutional LSTM but its input-to-state part, which depends on what a line is.

    Args:
        taps: positions of the line before that a state comes from.
        d: size of the hidden state and of the cell.
        context_features: size of the vectors that stand for the context; 0 for none.
        rngs: where the initial weights come from.
    """

    def __init__(self, taps: int, d: int, *, context_features: int, rngs: nnx.Rngs):
        self.kernel = kernel(taps, d, 4 * d, rngs=rngs)
        # Cells start by remembering: their forget gates are open.
        bias = np.zeros(4 * d)
        bias[d : 2 * d] = 1.0
        self.bias = nnx.Param(jnp.asarray(bias, jnp.float32))
        self.context = context_layer(context_features, 4 * d, rngs=rngs)

    def condition(self, context: EncodedContext) -> Float[Array, "..."]:
        """The terms that are there whatever the pixels are."""
        return add_context(self.bias[...], self.context, context)

    def from_line_before(self, hidden: Float[Array, "*m p d"]) -> Float[Array, "*m p 4*d"]:
        """What the states of one line contribute to the gates of the next."""
        taps, d, gates = self.kernel.shape
        return line_taps(hidden, taps) @ self.kernel[...].reshape(taps * d, gates)

    def __call__(self, terms: Float[Array, "n b p 4*d"]) -> Float[Array, "n b p d"]:
        """The hidden states of all lines, see `line_lstm`."""
        return line_lstm(terms, self.kernel[...])

    def init_state(self, *shape: int) -> Float[Array, "*shape d"]:
        """What is before the first line, hidden state or cell: zeros."""
        return jnp.zeros((*shape, self.kernel.shape[1]), self.kernel.dtype)
