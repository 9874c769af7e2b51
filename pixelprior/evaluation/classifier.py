"""A small convolutional classifier for judging samples; it trains in a minute or two.

A classifier trained on real images tests if samples of a class look like that class. A classifier
trained on samples and tested on real images gives the Classification Accuracy Score.
Samples that lack variety or have wrong labels teach it less than the same number of real images.

It serves to measure samples, not to compete: three convolutions and one linear layer, small enough
for training on two CPU cores. No scan surrounds the convolutions: on CPUs their gradients hang
inside one.

Legend: n images, b batch, h height, w width, c channels, d features, k classes.

Source: Ravuri and Vinyals, "Classification Accuracy Score for Conditional Generative Models"
(2019), https://arxiv.org/abs/1905.10887, with a smaller network than their ResNet-50.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float, Int, Int32, Int64

from pixelprior.errors import InputError
from pixelprior.evaluation.features import Features
from pixelprior.system.prng import named_key
from pixelprior.system.programs import jit_by_structure

LEAST_SIZE = 8
"""Least height and width, in pixels: two halvings of less leave next to nothing."""

PREDICTION_BATCH = 256
"""Size of the batches of predictions; the last batch is filled up."""

NUM_FEATURES = 128
"""Number of features for distances: those of the last convolution."""

Images = Float[Array, "n h w c"] | Int[Array, "n h w c"] | Float[np.ndarray, "n h w c"]
Labels = Int[Array, " n"] | Int[np.ndarray, " n"]


class ClassifierNetwork(nnx.Module):
    """Three convolutions, the first two with a stride of 2, and a linear layer for the logits.

    The linear layer reads every position, since the place of a stroke or a sleeve helps to identify
    it.
    """

    def __init__(
        self, shape: tuple[int, int, int], num_classes: int, *, dropout_rate: float, rngs: nnx.Rngs
    ):
        height, width, channels = shape
        self.first = nnx.Conv(channels, 32, (5, 5), strides=2, rngs=rngs)
        self.second = nnx.Conv(32, 64, (3, 3), strides=2, rngs=rngs)
        self.third = nnx.Conv(64, NUM_FEATURES, (3, 3), rngs=rngs)
        self.dropout = nnx.Dropout(dropout_rate)
        # Halved twice, rounding up, as padding "SAME" does.
        positions = -(-height // 4) * -(-width // 4)
        self.logits = nnx.Linear(NUM_FEATURES * positions, num_classes, rngs=rngs)

    def __call__(
        self, images: Float[Array, "b h w c"], dropout_key: Array | None = None
    ) -> tuple[Float[Array, "b k"], Float[Array, "b d"]]:
        """Compute the logits of each class, and the mean over positions of the last features.

        Args:
            images: pixels in ``[0, 1]``.
            dropout_key: key for training; without one there is no dropout.
        """
        x = images
        for conv in (self.first, self.second, self.third):
            x = nnx.relu(conv(x))
        features = x.mean(axis=(1, 2))
        x = x.reshape(len(x), -1)
        x = self.dropout(x, deterministic=dropout_key is None, rngs=dropout_key)
        return self.logits(x), features


class _State(NamedTuple):
    step: Int[Array, ""]
    weights: Any
    optimizer: Any


@dataclasses.dataclass(frozen=True)
class Classifier:
    """Trained classifier.

    Attributes:
        shape: shape ``(h, w, c)`` of its images.
        num_classes: number of its classes.
        graph: its network without the weights, as `nnx.split` returns it.
        weights: its weights.
    """

    shape: tuple[int, int, int]
    num_classes: int
    graph: nnx.GraphDef
    weights: Any

    def extract(self, images: Images) -> Features:
        """Return the features of each image, and the logits of its classes.

        Args:
            images: ``[n, h, w, c]`` of the classifier's shape: uint8, or floats in ``[0, 1]``.

        Raises:
            InputError: if they are anything else.
        """
        images = _checked_images(images, self.shape)
        parts = [Features(np.zeros((0, NUM_FEATURES), np.float32), self._no_logits())]
        for start in range(0, len(images), PREDICTION_BATCH):
            batch = _to_floats(images[start : start + PREDICTION_BATCH])
            # One compiled shape suffices: the last batch is filled up with black.
            filling = ((0, PREDICTION_BATCH - len(batch)), (0, 0), (0, 0), (0, 0))
            logits, vectors = _apply(self.weights, np.pad(batch, filling), graph=self.graph)
            here = slice(len(batch))
            parts.append(Features(np.asarray(vectors)[here], np.asarray(logits)[here]))
        return Features(*map(np.concatenate, zip(*parts, strict=True)))

    def _no_logits(self) -> Float[np.ndarray, "0 k"]:
        return np.zeros((0, self.num_classes), np.float32)

    def predict(self, images: Images) -> Int64[np.ndarray, " n"]:
        """Return the likeliest class of each image, in ``[0, num_classes)``.

        The arguments and errors are those of `extract`.
        """
        return self.extract(images).logits.argmax(axis=1)


def train_classifier(
    images: Images,
    labels: Labels,
    num_classes: int,
    *,
    seed: int = 0,
    num_steps: int = 1_600,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-2,
    dropout_rate: float = 0.3,
) -> Classifier:
    """Train a classifier with AdamW. The number of steps does not depend on the number of images.

    Equal steps give equal costs. A score from 1,000 samples is then comparable with one from 54,000
    images. On a CPU the result is a pure function of the arguments.

    Args:
        images: ``[n, h, w, c]``, at least 8x8, with 1 or 3 channels: uint8, or floats in
            ``[0, 1]``.
        labels: ``[n]`` in ``[0, num_classes)``.
        num_classes: number of classes; not all of them need occur.
        seed: selects the first weights, the order of the images, and the dropout.
        num_steps: number of batches to train on.
        batch_size: number of images in a batch, or all of them if there are fewer.
        learning_rate: highest learning rate. The rate rises for a tenth of the steps, then falls to
            0 along a cosine.
        weight_decay: share of a weight that a step removes, times the learning rate.
        dropout_rate: share of the last features that a training step leaves out.

    Raises:
        InputError: if images or labels are not as above, or a number is out of its range.
    """
    images = _checked_images(images)
    labels = _checked_labels(labels, len(images))
    _check_numbers(num_classes, num_steps, batch_size, learning_rate, weight_decay, dropout_rate)
    if len(images) == 0:
        raise InputError("expected images to train on, got none")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise InputError(
            f"expected labels in [0, {num_classes}), got labels from {labels.min()} to "
            f"{labels.max()}"
        )
    shape = tuple(images.shape[1:])
    rngs = nnx.Rngs(named_key(seed, "classifier weights"))
    network = ClassifierNetwork(shape, num_classes, dropout_rate=dropout_rate, rngs=rngs)
    graph, weights = nnx.split(network)
    optimizer = _make_optimizer(num_steps, learning_rate, weight_decay)
    dropout_key = named_key(seed, "classifier dropout")
    state = _State(jnp.zeros((), jnp.int32), weights, optimizer.init(weights))
    for number in range(num_steps):
        batch = batch_indices(len(images), batch_size, seed=seed, step=number)
        state = _step(
            dropout_key,
            state,
            _to_floats(images[batch]),
            labels[batch],
            graph=graph,
            optimizer=optimizer,
        )
    return Classifier(shape, num_classes, graph, jax.block_until_ready(state.weights))


def accuracy(classifier: Classifier, images: Images, labels: Labels) -> float:
    """Return the share of images whose label the classifier predicts, in ``[0, 1]``.

    Args:
        classifier: trained classifier.
        images: ``[n, h, w, c]`` of the classifier's shape: uint8, or floats in ``[0, 1]``.
        labels: ``[n]``; a label that is not a class of the classifier is never predicted.

    Raises:
        InputError: if there is no image, or images or labels are not as above.
    """
    predictions = classifier.predict(images)
    if len(predictions) == 0:
        raise InputError("expected images to measure the accuracy on, got none")
    return float((predictions == _checked_labels(labels, len(predictions))).mean())


@functools.lru_cache(maxsize=2)
def _epoch(n: int, seed: int, epoch: int) -> Int64[np.ndarray, " n"]:
    order = np.random.default_rng((seed, epoch)).permutation(n)
    order.flags.writeable = False  # A cached array is returned more than once.
    return order


def batch_indices(n: int, batch_size: int, *, seed: int, step: int) -> Int64[np.ndarray, " b"]:
    """Return the numbers of the images, of n, in a step's batch: a pure function of its arguments.

    Every epoch has its own order, and leaves out the images that would not fill a batch.
    """
    size = min(batch_size, n)
    epoch, place = divmod(step, n // size)
    return _epoch(n, seed, epoch)[place * size : (place + 1) * size]


@functools.lru_cache(maxsize=8)
def _make_optimizer(
    num_steps: int, learning_rate: float, weight_decay: float
) -> optax.GradientTransformation:
    """Make AdamW. Equal arguments give the same object, so that a step compiles only once."""
    # A rate that starts at 0 would waste the first step, and a whole run of one step.
    warmup = max(num_steps // 10, 1)
    schedule = optax.warmup_cosine_decay_schedule(
        learning_rate / warmup, learning_rate, warmup, max(num_steps, warmup + 1)
    )
    return optax.adamw(schedule, weight_decay=weight_decay)


@jit_by_structure(donate_argnames="state")
def _step(
    dropout_key: Array,
    state: _State,
    images: Float[Array, "b h w c"],
    labels: Int[Array, " b"],
    *,
    graph: nnx.GraphDef,
    optimizer: optax.GradientTransformation,
) -> _State:
    """Take a training step: a pure function of state and batch.

    Step n draws its dropout from ``(dropout_key, n)``.
    """

    def loss(weights: Any) -> Float[Array, ""]:
        key = jax.random.fold_in(dropout_key, state.step)
        logits, _ = nnx.merge(graph, weights)(images, key)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    gradient = jax.grad(loss)(state.weights)
    updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.weights)
    weights = optax.apply_updates(state.weights, updates)
    return _State(state.step + 1, weights, optimizer_state)


@jit_by_structure()
def _apply(
    weights: Any, images: Float[Array, "b h w c"], *, graph: nnx.GraphDef
) -> tuple[Float[Array, "b k"], Float[Array, "b d"]]:
    return nnx.merge(graph, weights)(images)


def _to_floats(images: np.ndarray) -> Float[np.ndarray, "b h w c"]:
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 255
    return images.astype(np.float32)


def _checked_images(images: Images, shape: tuple[int, int, int] | None = None) -> np.ndarray:
    if images.ndim != 4:
        raise InputError(f"expected images of shape [n, h, w, c], got {images.shape}")
    _, height, width, channels = images.shape
    if shape is not None and (height, width, channels) != shape:
        raise InputError(
            f"expected images of the shape that the classifier was trained on, {shape}, got "
            f"{tuple(images.shape[1:])}"
        )
    if min(height, width) < LEAST_SIZE or channels not in (1, 3):
        raise InputError(
            f"expected images of at least {LEAST_SIZE}x{LEAST_SIZE} pixels with 1 or 3 channels, "
            f"got shape {images.shape}"
        )
    values = np.asarray(images)
    if values.dtype == np.uint8 or not values.size:
        return values
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError(
            f"expected images of uint8, or of floats in [0, 1], got {values.dtype}; "
            "divide levels by the largest"
        )
    # Written so that a NaN fails too.
    if not (values.min() >= 0 and values.max() <= 1):
        raise InputError(
            f"expected floats in [0, 1], got values from {values.min()} to {values.max()}"
        )
    return values


def _checked_labels(labels: Labels, n: int) -> Int32[np.ndarray, " n"]:
    if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"expected integer labels of shape [{n}], one per image, got {labels.dtype} of shape "
            f"{labels.shape}"
        )
    return np.asarray(labels, np.int32)


def _check_numbers(
    num_classes: int,
    num_steps: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    dropout_rate: float,
) -> None:
    if num_classes < 2:
        raise InputError(f"expected at least 2 classes, got {num_classes}")
    if num_steps < 1 or batch_size < 1:
        raise InputError(
            f"expected at least 1 step and 1 image per batch, got {num_steps} and {batch_size}"
        )
    if not learning_rate > 0 or not weight_decay >= 0 or not 0 <= dropout_rate < 1:
        raise InputError(
            "expected a positive learning rate, a weight decay of at least 0 and a dropout rate in "
            f"[0, 1), got {learning_rate}, {weight_decay} and {dropout_rate}"
        )
