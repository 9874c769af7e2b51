"""Augmentation in a run: training batches alone are changed, and a run says so."""

import itertools

import numpy as np
import pytest

from pixelprior.data import Position, training_batch
from pixelprior.errors import InputError
from pixelprior.experiment import augmentation_of, complete
from pixelprior.runs.train import train_run
from pixelprior.system.devices import data_mesh
from pixelprior.training.tasks import PixelTask, TokenizerTask
from pixelprior.training.tasks.images import Images
from tests.training.small_configs import AUGMENTED, CONFIG, PRIOR, TOKENIZER

PLAIN = {**TOKENIZER, "flip": False, **{name: 0 for name in AUGMENTED if name != "flip"}}


def images_of(config):
    return Images(complete(config), data_mesh())


def test_training_batches_are_augmented_and_the_first_is_that_of_the_codebooks():
    images, plain = images_of(TOKENIZER), images_of(PLAIN)
    first = images.first_batch()
    np.testing.assert_array_equal(first["image"], next(images.batches())["image"])
    np.testing.assert_array_equal(first["label"], plain.first_batch()["label"])
    assert (first["image"] != plain.first_batch()["image"]).any()
    for step, batch in enumerate(itertools.islice(images.batches(Position(3, 48)), 2), 3):
        alone = training_batch(
            images.dataset.splits["train"],
            images.symbols,
            batch_size=16,
            seed=0,
            step=step,
            augmentation=augmentation_of(TOKENIZER),
        )
        np.testing.assert_array_equal(batch["image"], alone["image"])


def test_facts_about_the_data_are_of_the_images_as_they_are():
    ours, theirs = (TokenizerTask(complete(c), data_mesh()).describe() for c in (TOKENIZER, PLAIN))
    assert ours == theirs


def test_validation_images_are_as_they_are():
    ours, theirs = (TokenizerTask(complete(c), data_mesh()) for c in (TOKENIZER, PLAIN))
    model = theirs.make()
    found = [task.evaluate(model, "validation").metrics for task in (ours, theirs)]
    assert found[0] == found[1]


def test_a_run_says_what_is_changed():
    task = PixelTask(complete(CONFIG | {"flip": True, "crop_padding": 2}), data_mesh())
    assert task.title == "digits, 17 levels, augmented in training (flip, crop_padding=2)"
    turned = PixelTask(complete(CONFIG | {"distribution_augmentation": 0.25}), data_mesh())
    assert (
        turned.title == "digits, 17 levels, augmented in training (distribution_augmentation=0.25)"
    )
    assert PixelTask(complete(CONFIG), data_mesh()).title == "digits, 17 levels"


def test_a_prior_changes_nothing():
    assert augmentation_of(complete(PRIOR)).describe() == ""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"crop_padding": 8}, "crop_padding=8 must be below .* 8x8; reduce crop_padding"),
        ({"hue_jitter": 0.1}, "hue_jitter needs images with the channels red, green and blue"),
        ({"levels": 2, "brightness_jitter": 0.1}, "brightness_jitter changes shades, but"),
        ({"contrast_jitter": 1.5}, r"config.contrast_jitter must be in \[0, 1\], got 1.5"),
    ],
)
def test_what_the_images_do_not_allow_is_refused_before_anything_is_written(
    tmp_path, settings, message
):
    with pytest.raises(InputError, match=message):
        train_run(CONFIG | settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()
