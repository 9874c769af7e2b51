"""What a classifier sees in samples whose classes were asked for.

Legend: n images, h height, w width, c channels.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from pixelprior import jitted
from pixelprior.data import to_pixels
from pixelprior.evaluation.classifier import Classifier, accuracy, train_classifier
from pixelprior.evaluation.features import Images
from pixelprior.system.prng import named_key
from pixelprior.tokenizers import VQVAE
from pixelprior.tokenizers.vqvae import random_codes

AT_ONCE = 64  # images

Labels = Int[np.ndarray, " n"]


class SampleClasses(NamedTuple):
    """Shares of images whose class a classifier names as it should.

    Attributes:
        real_accuracy: on the real test images.
        sample_accuracy: on class-conditional samples, by the class asked for.
        classification_accuracy_score: of a classifier taught by the samples, on the real test
            images. Ravuri and Vinyals 2019.
    """

    real_accuracy: float
    sample_accuracy: float
    classification_accuracy_score: float


class CodeClasses(NamedTuple):
    """The same of what a tokenizer makes of codes.

    Attributes:
        reconstruction_accuracy: on the real test images, after the tokenizer: what bounds the
            accuracy of samples.
        random_accuracy: on images of uniformly random codes, by a class in turn: chance.
    """

    reconstruction_accuracy: float
    random_accuracy: float


def judge_samples(
    classifier: Classifier,
    samples: Images,
    asked: Labels,
    test: Images,
    test_labels: Labels,
    *,
    seed: int,
) -> SampleClasses:
    """Has a classifier name the classes of samples, and samples teach another one.

    Args:
        classifier: taught by real images.
        samples: all of them.
        asked: the class that each was asked to be of.
        test: real images that no classifier has learned from.
        test_labels: their classes.
        seed: of the weights of the classifier that the samples teach.
    """
    taught = train_classifier(samples, asked, classifier.num_classes, seed=seed)
    return SampleClasses(
        real_accuracy=accuracy(classifier, test, test_labels),
        sample_accuracy=accuracy(classifier, samples, asked),
        classification_accuracy_score=accuracy(taught, test, test_labels),
    )


def judge_codes(
    classifier: Classifier,
    tokenizer: VQVAE,
    test: Int[np.ndarray, "n h w c"],
    test_labels: Labels,
    *,
    num: int,
    seed: int,
) -> CodeClasses:
    """Has a classifier name the classes of reconstructions, and of ``num`` images of random codes.

    Args:
        classifier: taught by real images.
        tokenizer: whose codes they are.
        test: real images that it has not learned from, as the tokenizer's symbols.
        test_labels: their classes.
        num: how many random ones.
        seed: of the random codes.
    """
    pixels = to_pixels(test, tokenizer.grid.levels)
    key = named_key(seed, "random codes")

    def decode_random(first: int) -> Any:
        codes = random_codes(key, first + jnp.arange(AT_ONCE), tokenizer.code_grids)
        return jitted.decode(tokenizer, codes)

    def reconstruction(first: int) -> Any:
        # The last ones are filled up with the first, and cut off again.
        here = pixels[np.arange(first, first + AT_ONCE) % len(pixels)]
        return jitted.reconstruct(tokenizer, here)

    return CodeClasses(
        reconstruction_accuracy=accuracy(
            classifier, _collect(reconstruction, len(test)), test_labels
        ),
        random_accuracy=accuracy(
            classifier,
            _collect(decode_random, num),
            np.arange(num) % classifier.num_classes,
        ),
    )


def _collect(make: Callable[[int], Any], num: int) -> Float[np.ndarray, "n h w c"]:
    """``num`` images, made batch by batch."""
    batches = [np.asarray(make(first)) for first in range(0, num, AT_ONCE)]
    return np.concatenate(batches)[:num]
