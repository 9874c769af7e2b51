"""The number of parts of a batch, and the loops over them."""

import jax
import numpy as np
import pytest
from flax import nnx

from pixelprior.grid import Grid
from pixelprior.models import GatedPixelCNN
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.quantizer import merge_statistics
from pixelprior.training.jaxprs import operations
from pixelprior.training.optimizer import make_optimizer
from pixelprior.training.parts import PART_BYTES, choose_parts
from pixelprior.training.step import init_state, make_train_step
from pixelprior.training.task import Loss
from pixelprior.training.tasks.pixels import pixel_loss

FEATURES = 16


class _Mesh:
    """Devices of one kind, which need not exist here."""

    def __init__(self, platform, size=1):
        self.size = size
        self.devices = np.array([type("Device", (), {"platform": platform})()])


def _gated(side, batch):
    grid = Grid(side, side, 1, 2)
    model = GatedPixelCNN(
        grid,
        features=FEATURES,
        num_layers=1,
        first_kernel_size=3,
        head_features=FEATURES,
        rngs=nnx.Rngs(0),
    )
    zeros = {"image": np.zeros((batch, *grid.shape), np.int32), "label": np.zeros(batch)}
    return model, pixel_loss, zeros


def _tokenizer(side, batch):
    tokenizer = VQVAE(
        Grid(side, side, 1, 4), strides=(2,), features=8, residual_features=4, rngs=nnx.Rngs(0)
    )

    def loss(model, batch, keys):
        losses = model.loss(batch["image"], variance=0.1, key=keys)
        return Loss(losses.total, {}, losses.statistics)

    return tokenizer, loss, {"image": np.zeros((batch, side, side, 1), np.int32)}


def test_the_largest_array_of_a_part_fits():
    side = 64
    model, loss, batch = _gated(side, 64)
    # The taps of a 2x3 kernel over the features, in float32.
    of_an_image = side * side * 6 * FEATURES * 4
    fitting = PART_BYTES // of_an_image
    # Parts of four images do not fit, parts of two do.
    assert fitting == 3
    assert choose_parts(model, loss, batch, _Mesh("cpu")) == 32
    # Each of two devices has half of the images.
    assert choose_parts(model, loss, batch, _Mesh("cpu", 2)) == 16
    # The number divides the batch: 63 images in parts of three.
    assert choose_parts(model, loss, jax.tree.map(lambda x: x[:63], batch), _Mesh("cpu")) == 21
    assert choose_parts(model, loss, batch, _Mesh("gpu")) == 1
    assert choose_parts(*_gated(8, 64), _Mesh("cpu")) == 1


def test_convolutions_are_cut_into_a_few_parts():
    assert choose_parts(*_tokenizer(256, 64), _Mesh("cpu")) == 8
    assert choose_parts(*_tokenizer(8, 64), _Mesh("cpu")) == 1


@pytest.mark.parametrize(("make", "looped"), [(_gated, True), (_tokenizer, False)])
def test_only_networks_without_convolutions_loop_over_parts_on_cpus(make, looped):
    if jax.default_backend() != "cpu":
        pytest.skip("on CPUs alone a convolution is slow inside a loop")
    model, loss, batch = make(8, 4)
    optimizer, _ = make_optimizer(
        num_steps=2, learning_rate=1e-3, warmup_steps=0, weight_decay=0.0, clip_norm=1.0
    )
    graph, weights = nnx.split(model)
    step = make_train_step(
        graph,
        optimizer,
        loss,
        after_step=lambda model, parts: [merge_statistics(level) for level in parts or ()],
        ema_decay=0.9,
        key=jax.random.key(0),
        accumulate_steps=2,
    )
    text = step.lower(init_state(weights, optimizer), batch).compile().as_text()
    assert ("while(" in text) == looped


def test_inner_operations_count_as_often_as_they_run():
    def body(x, _):
        return x @ x, None

    traced = jax.make_jaxpr(lambda x: jax.lax.scan(body, x, None, length=3)[0])(np.ones((2, 2)))
    counts = {o.primitive.name: times for o, times in operations(traced.jaxpr)}
    assert counts == {"scan": 1, "dot_general": 3}
