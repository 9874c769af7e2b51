"""The classifier learns what there is to learn, and is a pure function of what it was given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from sklearn.datasets import load_digits

from pixelprior.errors import InputError
from pixelprior.evaluation import classifier as module
from pixelprior.evaluation.classifier import accuracy, batch_indices, train_classifier
from tests.compilations import compilations


def bright_quarters(seed, n, *, shape=(8, 8, 1)):
    """Noise in which one quarter is brighter; which one is the label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    images = rng.uniform(0.0, 0.5, (n, *shape)).astype(np.float32)
    half_h, half_w = shape[0] // 2, shape[1] // 2
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(label, 2)
        image[row * half_h : (row + 1) * half_h, column * half_w : (column + 1) * half_w] += 0.4
    return images, labels


def same_weights(a, b):
    leaves = zip(jax.tree.leaves(a.weights), jax.tree.leaves(b.weights), strict=True)
    return all(np.array_equal(x, y) for x, y in leaves)


@pytest.fixture(scope="module")
def trained():
    return train_classifier(*bright_quarters(0, 200), 4, num_steps=30, batch_size=32)


@pytest.mark.slow
def test_separable_classes_are_told_apart_without_an_error(trained):
    assert trained.shape == (8, 8, 1)
    assert accuracy(trained, *bright_quarters(2, 300)) == 1.0


# Sizes that do not halve evenly, grey and coloured.
@pytest.mark.slow
@pytest.mark.optimized
@pytest.mark.parametrize("shape", [(9, 11, 3), (13, 8, 1)])
def test_other_shapes_too(shape):
    images, labels = bright_quarters(1, 200, shape=shape)
    classifier = train_classifier(images, labels, 4, num_steps=30, batch_size=32)
    assert classifier.shape == shape
    assert accuracy(classifier, *bright_quarters(2, 300, shape=shape)) == 1.0


@pytest.mark.slow
@pytest.mark.optimized
def test_labels_without_a_meaning_cannot_be_learnt():
    rng = np.random.default_rng(3)
    images = rng.uniform(size=(200, 8, 8, 1)).astype(np.float32)
    classifier = train_classifier(images, rng.integers(0, 4, 200), 4, num_steps=30, batch_size=32)
    fresh = rng.uniform(size=(1000, 8, 8, 1)).astype(np.float32)
    # A fair guess, and five standard deviations.
    assert abs(accuracy(classifier, fresh, rng.integers(0, 4, 1000)) - 0.25) < 0.07


@pytest.mark.slow
@pytest.mark.optimized
def test_one_seed_one_classifier(trained):
    images, labels = bright_quarters(0, 200)
    again = train_classifier(images, labels, 4, num_steps=30, batch_size=32)
    other = train_classifier(images, labels, 4, num_steps=30, batch_size=32, seed=1)
    assert same_weights(trained, again)
    assert not same_weights(trained, other)


@pytest.mark.slow
@pytest.mark.optimized
def test_arrays_of_jax_and_of_numpy_are_alike(trained):
    images, labels = bright_quarters(0, 200)
    held = jnp.asarray(images), jnp.asarray(labels)
    assert same_weights(trained, train_classifier(*held, 4, num_steps=30, batch_size=32))
    assert accuracy(trained, *held) == accuracy(trained, images, labels)


@pytest.mark.slow
@pytest.mark.optimized
def test_bytes_and_floats_are_alike():
    images, labels = bright_quarters(4, 60)
    levels = np.round(255 * images).astype(np.uint8)
    from_bytes = train_classifier(levels, labels, 4, num_steps=30, batch_size=32)
    from_floats = train_classifier(
        levels.astype(np.float32) / 255, labels, 4, num_steps=30, batch_size=32
    )
    assert same_weights(from_bytes, from_floats)
    np.testing.assert_array_equal(
        from_bytes.predict(levels), from_floats.predict(levels / np.float32(255))
    )


def test_predictions_do_not_depend_on_batches(monkeypatch):
    # Hardly trained, so that images are near the borders between classes.
    images, labels = bright_quarters(5, 40)
    classifier = train_classifier(images, labels, 4, num_steps=2, batch_size=32)
    noise = np.random.default_rng(6).uniform(size=(57, 8, 8, 1)).astype(np.float32)
    whole = classifier.predict(noise)
    assert whole.shape == (57,) and len(np.unique(whole)) > 1
    # With a last batch of 1, of 9 and of full size.
    for size in (8, 16, 19):
        monkeypatch.setattr(module, "PREDICTION_BATCH", size)
        np.testing.assert_array_equal(classifier.predict(noise), whole)
    one_by_one = [classifier.predict(noise[i : i + 1]) for i in range(57)]
    np.testing.assert_array_equal(np.concatenate(one_by_one), whole)


def test_one_shape_is_compiled(trained):
    images, _ = bright_quarters(7, module.PREDICTION_BATCH + 5)
    with compilations() as compiled:
        for n in (1, 17, len(images)):
            trained.predict(images[:n])
    assert len(compiled) <= 1


def test_a_step_compiles_once_for_all_seeds(trained):
    with compilations() as compiled:
        train_classifier(*bright_quarters(0, 90), 4, num_steps=30, batch_size=32, seed=5)
    assert not compiled


def test_predictions_are_the_largest_logits(trained):
    images, _ = bright_quarters(8, 50)
    network = nnx.merge(trained.graph, trained.weights)
    np.testing.assert_array_equal(trained.predict(images), network(images)[0].argmax(axis=-1))
    assert trained.predict(images[:0]).shape == (0,)


def test_dropout_leaves_out_features_in_training_alone(trained):
    images, _ = bright_quarters(9, 5)
    network = nnx.merge(trained.graph, trained.weights)
    a, b = (network(images, jax.random.key(seed))[0] for seed in (0, 1))
    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(a, network(images, jax.random.key(0))[0])
    np.testing.assert_array_equal(network(images)[0], network(images)[0])


@pytest.mark.parametrize(("n", "size"), [(12, 4), (14, 4), (3, 8)])
def test_every_epoch_visits_an_image_once(n, size):
    batches = [batch_indices(n, size, seed=0, step=step) for step in range(2 * (n // min(n, size)))]
    assert all(len(batch) == min(n, size) for batch in batches)
    epochs = np.split(np.concatenate(batches), 2)
    for epoch in epochs:
        assert len(np.unique(epoch)) == len(epoch) == n - n % min(n, size)
    if n > 3:  # Three images have few orders.
        assert not np.array_equal(*epochs)


def test_batches_depend_on_seed_and_step_alone():
    forward = [batch_indices(50, 8, seed=3, step=step).tolist() for step in range(40)]
    backward = [batch_indices(50, 8, seed=3, step=step).tolist() for step in reversed(range(40))]
    assert forward == backward[::-1]
    assert batch_indices(50, 8, seed=4, step=0).tolist() != forward[0]


def test_fewer_images_than_a_batch():
    images, labels = bright_quarters(10, 5)
    classifier = train_classifier(images, labels, 4, num_steps=1)
    assert classifier.predict(images).shape == (5,)


def test_accuracy_by_hand(trained):
    images, labels = bright_quarters(11, 8)
    assert accuracy(trained, images, labels) == 1.0
    labels[:2] = (labels[:2] + 1) % 4
    # A class that the classifier does not have is never what it says.
    labels[2] = 7
    assert accuracy(trained, images, labels) == 5 / 8


@pytest.mark.slow
@pytest.mark.optimized
def test_digits():
    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.images))
    images = (bunch.images[order] / 16).astype(np.float32)[..., None]
    labels = bunch.target[order]
    classifier = train_classifier(images[:1438], labels[:1438], 10, num_steps=400)
    assert accuracy(classifier, images[1438:], labels[1438:]) > 0.93


def test_errors_say_what_to_do(trained):
    images, labels = bright_quarters(12, 6)

    def train(images=images, labels=labels, num_classes=4, **keywords):
        train_classifier(images, labels, num_classes, **{"num_steps": 1} | keywords)

    for keywords, message in [
        ({"images": images[..., 0]}, r"\[n, h, w, c\], got \(6, 8, 8\)"),
        ({"images": images[:, :7]}, "at least 8x8"),
        ({"images": np.repeat(images, 2, axis=-1)}, "1 or 3 channels"),
        ({"images": images[:0], "labels": labels[:0]}, "got none"),
        ({"images": 255 * images}, r"floats in \[0, 1\]"),
        ({"images": images * np.nan}, "nan"),
        ({"images": images.astype(np.int32)}, "got int32; divide"),
        ({"labels": labels[:5]}, r"labels of shape \[6\], .* got int64 of shape \(5,\)"),
        ({"labels": labels / 1}, "got float64"),
        ({"labels": labels + 2}, r"labels in \[0, 4\)"),
        ({"labels": labels - 9}, r"labels in \[0, 4\)"),
        ({"num_classes": 1}, "at least 2 classes, got 1"),
        ({"num_steps": 0}, "at least 1 step"),
        ({"batch_size": 0}, "1 image per batch"),
        ({"learning_rate": 0.0}, "positive learning rate"),
        ({"weight_decay": -1.0}, "weight decay of at least 0"),
        ({"dropout_rate": 1.0}, r"dropout rate in \[0, 1\)"),
    ]:
        with pytest.raises(InputError, match=message):
            train(**keywords)
    with pytest.raises(InputError, match="trained on"):
        trained.predict(np.zeros((2, 9, 8, 1), np.uint8))
    with pytest.raises(InputError, match="got none"):
        accuracy(trained, images[:0], labels[:0])
    with pytest.raises(InputError, match="one per image"):
        accuracy(trained, images, labels[:3])
