"""What a classifier sees in a prior's samples.

Legend: n images, h height, w width, c channels.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from pixelprior.data import Dataset, Symbols, to_pixels
from pixelprior.evaluation.classifier import accuracy, train_classifier
from pixelprior.evaluation.read import read_symbols
from pixelprior.keys import named_key
from pixelprior.priors import Prior
from pixelprior.sampling.labels import labels_in_turn
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.vqvae import random_codes

DRAWN_AT_ONCE = 64
MAX_REAL_IMAGES = 60_000
"""At most so many real training images teach the classifier."""


class SampleClasses(NamedTuple):
    """Shares of images whose class a classifier names as it should.

    Attributes:
        num_real: how many real training images taught the classifier.
        num_samples: how many samples there were, of all classes in turn.
        real_accuracy: on the real test images.
        reconstruction_accuracy: on the same, after the tokenizer: what bounds the next.
        sample_accuracy: on class-conditional samples, by the class asked for.
        random_accuracy: on images of uniformly random codes, by a class in turn: chance.
        classification_accuracy_score: of a classifier taught by the samples, on the real test
            images. Ravuri and Vinyals 2019.
    """

    num_real: int
    num_samples: int
    real_accuracy: float
    reconstruction_accuracy: float
    sample_accuracy: float
    random_accuracy: float
    classification_accuracy_score: float


def judge_samples(
    prior: Prior, tokenizer: VQVAE, dataset: Dataset, symbols: Symbols, *, num: int, seed: int
) -> SampleClasses:
    """Draws samples of all classes in turn, and has a classifier name their classes.

    Args:
        prior: class-conditional.
        tokenizer: whose codes it draws.
        dataset: the images that the classifier learns from and is tested on.
        symbols: how they become symbols.
        num: how many samples.
        seed: of the samples and of the classifiers' weights.
    """
    classes = len(dataset.class_names)
    train, train_labels = read_symbols(dataset.splits["train"], symbols, limit=MAX_REAL_IMAGES)
    test, test_labels = read_symbols(dataset.splits["test"], symbols)
    train, test = (to_pixels(images, symbols.levels) for images in (train, test))
    real = train_classifier(train, train_labels, classes, seed=seed)

    graph, weights = nnx.split(tokenizer)

    @jax.jit
    def decode_random(weights: Any, first: Int[Array, ""]) -> Float[Array, "n h w c"]:
        numbers = first + jnp.arange(DRAWN_AT_ONCE)
        codes = random_codes(named_key(seed, "random codes"), numbers, tokenizer.code_grids)
        return nnx.merge(graph, weights).decode_codes(codes)

    @jax.jit
    def reconstruct(weights: Any, pixels: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        return nnx.merge(graph, weights).reconstruct(pixels)

    def draw_sample(first: int) -> Any:
        return prior.sample(
            named_key(seed, "judged samples"),
            DRAWN_AT_ONCE,
            label=labels_in_turn(classes, None, DRAWN_AT_ONCE, first_image=first),
            first_image=first,
            tokenizer=tokenizer,
        )

    def draw_reconstruction(first: int) -> Any:
        # The last ones are filled up with the first, and cut off again.
        places = np.arange(first, first + DRAWN_AT_ONCE) % len(test)
        return reconstruct(weights, test[places])

    asked = np.arange(num) % classes
    samples = _collect(draw_sample, num)
    taught = train_classifier(samples, asked, classes, seed=seed)
    return SampleClasses(
        num_real=len(train),
        num_samples=num,
        real_accuracy=accuracy(real, test, test_labels),
        reconstruction_accuracy=accuracy(
            real, _collect(draw_reconstruction, len(test)), test_labels
        ),
        sample_accuracy=accuracy(real, samples, asked),
        random_accuracy=accuracy(
            real, _collect(lambda first: decode_random(weights, first), num), asked
        ),
        classification_accuracy_score=accuracy(taught, test, test_labels),
    )


def _collect(draw: Callable[[int], Any], num: int) -> Float[np.ndarray, "n h w c"]:
    """``num`` images, drawn batch by batch."""
    batches = [np.asarray(draw(first)) for first in range(0, num, DRAWN_AT_ONCE)]
    return np.concatenate(batches)[:num]
