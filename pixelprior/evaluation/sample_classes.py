"""Judge samples of requested classes with a classifier.

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
from pixelprior.tokenizers.code_maps import random_codes

AT_ONCE = 64  # images

Labels = Int[np.ndarray, " n"]


class SampleClasses(NamedTuple):
    """Accuracies of classifiers on real images and on samples.

    Attributes:
        real_accuracy: accuracy on the real test images.
        sample_accuracy: accuracy on class-conditional samples, for the requested classes.
        classification_accuracy_score: accuracy on the real test images of a classifier trained on
            the samples. Ravuri and Vinyals 2019.
    """

    real_accuracy: float
    sample_accuracy: float
    classification_accuracy_score: float


class CodeClasses(NamedTuple):
    """Accuracies of a classifier on images decoded by a tokenizer.

    Attributes:
        reconstruction_accuracy: accuracy on reconstructions of the real test images. It bounds the
            accuracy of samples.
        random_accuracy: accuracy on images of uniformly random codes, with classes in turn: chance.
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
    """Classify samples, and train another classifier on them.

    Args:
        classifier: classifier trained on real images.
        samples: all samples.
        asked: requested class of each sample.
        test: real images that no classifier was trained on.
        test_labels: classes of these images.
        seed: seed of the classifier that is trained on the samples.
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
    """Classify reconstructions, and ``num`` images of random codes.

    Args:
        classifier: classifier trained on real images.
        tokenizer: tokenizer of the codes.
        test: real images that the classifier was not trained on, as the tokenizer's symbols.
        test_labels: classes of these images.
        num: number of images of random codes.
        seed: seed of the random codes.
    """
    pixels = to_pixels(test, tokenizer.grid.levels)
    key = named_key(seed, "random codes")

    def decode_random(first: int) -> Any:
        codes = random_codes(key, first + jnp.arange(AT_ONCE), tokenizer.code_grids)
        return jitted.decode(tokenizer, codes)

    def reconstruction(first: int) -> Any:
        # The last batch is filled up with the first images, which are cut off again.
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
    """Make ``num`` images, batch by batch."""
    batches = [np.asarray(make(first)) for first in range(0, num, AT_ONCE)]
    return np.concatenate(batches)[:num]
