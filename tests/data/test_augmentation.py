"""Augmentation of training images: against Pillow, colorsys and values by hand."""

import colorsys
import itertools

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pixelprior.data import (
    DataError,
    Position,
    Split,
    Symbols,
    evaluation_batches,
    training_batch,
    training_batches,
)
from pixelprior.data.augmentation import (
    JITTERS,
    NONE,
    Augmentation,
    change_brightness,
    change_contrast,
    change_hue,
    change_saturation,
    crop_reflected,
)
from pixelprior.data.decode_once import DecodeOnce

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (5, 6, 7, 3), np.uint8)
GREYS = RNG.integers(0, 256, (5, 6, 7, 1), np.uint8)
SHIFTS = np.array([-1.0, -0.4, 0.0, 0.3, 1.0])
EVERYTHING = Augmentation(
    flip=True,
    crop_padding=3,
    brightness_jitter=0.3,
    contrast_jitter=0.4,
    saturation_jitter=0.5,
    hue_jitter=0.1,
)
BYTES = Symbols(256, "none")


def split_of(images, native_levels=256, name="train"):
    """A split of these images; the label of image i is i."""

    class Listed:
        def __len__(self):
            return len(images)

        def __getitem__(self, index):
            return {"image": images[index], "label": index}

    return Split(name, DecodeOnce(Listed(), images.shape[1:]), native_levels, "listed")


def batch_of(images, augmentation, *, symbols=BYTES, native_levels=256, **changed):
    arguments = {"batch_size": len(images), "seed": 3, "step": 2} | changed
    split = split_of(images, native_levels)
    return training_batch(split, symbols, augmentation=augmentation, **arguments)


def each(change, images, shifts=SHIFTS):
    """The change of images in bytes, by float64."""
    return change(images / 255, shifts[:, None, None, None]) * 255


@pytest.mark.parametrize(
    ("change", "enhance"),
    [
        (change_brightness, ImageEnhance.Brightness),
        (change_contrast, ImageEnhance.Contrast),
        (change_saturation, ImageEnhance.Color),
    ],
)
@pytest.mark.parametrize("images", [COLOURS, GREYS], ids=["colour", "grey"])
def test_changes_are_those_of_pillow(change, enhance, images):
    ours = each(change, images)
    for image, shift, changed in zip(images, SHIFTS, ours, strict=True):
        pillow = enhance(Image.fromarray(image.squeeze())).enhance(1 + shift)
        theirs = np.asarray(pillow, float).reshape(image.shape)
        # Pillow rounds the grey, with a weight of up to 1, and drops the fraction of the result.
        np.testing.assert_allclose(changed, theirs, rtol=0, atol=1.5)


def test_changes_by_hand():
    # Grey of pure red 0.299, of white 1: the mean of both is 0.6495.
    image = np.array([[[[1.0, 0, 0], [1, 1, 1]]]])
    half = np.full((1, 1, 1, 1), -0.5)
    for change, red, white in (
        (change_brightness, [0.5, 0, 0], [0.5, 0.5, 0.5]),
        (change_contrast, [0.82475, 0.32475, 0.32475], [0.82475] * 3),
        (change_saturation, [0.6495, 0.1495, 0.1495], [1, 1, 1]),
        # Half the circle, so red becomes cyan.
        (change_hue, [0, 1, 1], [1, 1, 1]),
    ):
        np.testing.assert_allclose(change(image, half)[0, 0], [red, white], rtol=0, atol=1e-12)


def test_hues_are_those_of_colorsys():
    rng = np.random.default_rng(1)
    images = np.concatenate(
        [
            rng.random((200, 3)),
            np.repeat(rng.random((20, 1)), 3, axis=1),  # greys
            np.array(list(itertools.product([0, 0.5, 1], repeat=3))),  # equal channels
        ]
    )[:, None, None]
    shifts = rng.uniform(-0.5, 0.5, len(images))
    ours = change_hue(images, shifts[:, None, None, None])[:, 0, 0]
    for pixel, shift, changed in zip(images[:, 0, 0], shifts, ours, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        theirs = colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value)
        np.testing.assert_allclose(changed, theirs, rtol=0, atol=1e-12)


def test_a_crop_is_a_part_of_numpys_padded_image():
    padding, corners = 3, RNG.integers(0, 7, (5, 2))
    padded = np.pad(COLOURS, [(0, 0), (padding,) * 2, (padding,) * 2, (0, 0)], mode="reflect")
    for image, (top, left), crop in zip(
        padded, corners, crop_reflected(COLOURS, corners, padding), strict=True
    ):
        np.testing.assert_array_equal(crop, image[top : top + 6, left : left + 7])
    centre = np.full((5, 2), padding)
    np.testing.assert_array_equal(crop_reflected(COLOURS, centre, padding), COLOURS)


def test_the_default_changes_nothing():
    batch = batch_of(COLOURS, NONE)
    np.testing.assert_array_equal(batch["image"], COLOURS[batch["label"]])


def test_runs_of_earlier_versions_resume_with_the_same_mirror_images():
    batch = batch_of(COLOURS, Augmentation(flip=True))
    mirrored = np.random.default_rng([3, 1, 2]).random(5) < 0.5
    expected = COLOURS[batch["label"]]
    expected[mirrored] = expected[mirrored, :, ::-1]
    assert 0 < mirrored.sum() < 5
    np.testing.assert_array_equal(batch["image"], expected)


def test_crops_of_a_batch_take_all_shifts_equally_often():
    image = np.arange(81, dtype=np.uint8).reshape(1, 9, 9, 1)
    crops = batch_of(image, Augmentation(crop_padding=2), batch_size=5000)["image"]
    # The middle pixel shows the shift.
    rows, columns = np.divmod(crops[:, 4, 4, 0] - 2 * 9 - 2, 9)
    counts = np.bincount(5 * rows + columns, minlength=25)
    # Means of 200, with a standard deviation of 14; four and a half of them.
    assert counts.size == 25 and np.abs(counts - 200).max() < 63
    for crop, row, column in zip(crops[:50], rows, columns, strict=False):
        [expected] = crop_reflected(image, np.array([[row, column]]), 2)
        np.testing.assert_array_equal(crop, expected)


def test_factors_are_uniform_within_the_strength():
    grey = np.full((1, 2, 2, 1), 100, np.uint8)
    images = batch_of(grey, Augmentation(brightness_jitter=0.2), batch_size=4000)["image"]
    assert (images == images[:, :1, :1]).all()
    values = np.sort(images[:, 0, 0, 0])
    # Rounded uniform values in [80, 120]; the largest distance of the distribution function from
    # the straight line is below 1.95 / sqrt(4000) in 99.9% of cases, plus the rounding.
    assert values[0] == 80 and values[-1] == 120
    line = (values - 80) / 40
    assert np.abs(line - np.linspace(0, 1, 4000)).max() < 0.031 + 1 / 80


def test_every_jitter_applies_in_the_order_of_the_fields():
    strengths = dict(zip(JITTERS, (0.5, 0.5, 1.0, 0.5), strict=True))
    images = COLOURS[:1]
    shift = 2 * np.random.default_rng([3, 3, 2]).random((1, 4)) - 1
    expected = images / 255
    for change, strength, drawn in zip(
        (change_brightness, change_contrast, change_saturation, change_hue),
        strengths.values(),
        shift.T,
        strict=True,
    ):
        expected = change(expected, strength * drawn[:, None, None, None])
    changed = batch_of(images, Augmentation(**strengths))["image"]
    # The library computes in float32 and rounds to bytes.
    np.testing.assert_allclose(changed, expected * 255, rtol=0, atol=0.5001)


def test_settings_do_not_change_the_draws_of_each_other():
    image = COLOURS[:1]

    def changed(**settings):
        return batch_of(image, Augmentation(**settings), batch_size=60)["image"]

    bright, flipped = changed(brightness_jitter=0.3), changed(flip=True)
    mirrored = (flipped != image).any((1, 2, 3))
    assert 10 < mirrored.sum() < 50
    np.testing.assert_array_equal(
        changed(flip=True, brightness_jitter=0.3),
        np.where(mirrored[:, None, None, None], bright[:, :, ::-1], bright),
    )


@pytest.mark.parametrize("start", [Position(0, 0), Position(5, 20)])
def test_batches_are_pure_functions_of_seed_and_step(start):
    split, arguments = split_of(COLOURS), {"batch_size": 4, "seed": 7, "augmentation": EVERYTHING}
    resumed = training_batches(split, BYTES, start=start, **arguments)
    seen = set()
    for step in range(start.step, start.step + 10):
        alone = training_batch(split, BYTES, step=step, **arguments)
        np.testing.assert_array_equal(next(resumed)["image"], alone["image"])
        seen |= {image.tobytes() for image in alone["image"]}
    assert len(seen) == 40  # five images, each drawn anew


@pytest.mark.parametrize("rows", [np.array([1, 2, 5]), slice(2, 4), slice(5, 6)])
def test_a_process_gets_the_rows_of_the_whole_batch(rows):
    # Sums over many pixels, whose rounding must not depend on the number of rows.
    images = RNG.integers(0, 256, (5, 130, 140, 3), np.uint8)
    whole = batch_of(images, EVERYTHING, batch_size=6)["image"]
    part = batch_of(images, EVERYTHING, batch_size=6, rows=rows)["image"]
    np.testing.assert_array_equal(part, whole[rows])


def test_seeds_differ():
    one, other = (batch_of(COLOURS[:1], EVERYTHING, seed=seed)["image"] for seed in (1, 2))
    assert (one != other).any()


@pytest.mark.parametrize("symbols", [Symbols(2, "static"), Symbols(2, "threshold")])
def test_a_crop_of_a_binarised_image_is_a_part_of_it(symbols):
    binary = batch_of(GREYS[:1], NONE, symbols=symbols)["image"]
    padded = np.pad(binary[0, ..., 0], 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (6, 7)).reshape(25, 6, 7)
    crops = batch_of(GREYS[:1], Augmentation(crop_padding=2), symbols=symbols, batch_size=40)
    found = {crop.tobytes() for crop in crops["image"]}
    assert len(found) > 10 and found <= {window.tobytes() for window in windows}


def test_pixels_of_other_data_stay_within_their_values():
    digits = RNG.integers(0, 17, (3, 8, 8, 1), np.uint8)
    strong = Augmentation(brightness_jitter=1, contrast_jitter=1)
    images = batch_of(
        digits, strong, symbols=Symbols(17, "none"), native_levels=17, batch_size=200
    )["image"]
    assert images.dtype == np.int32 and images.min() == 0 and images.max() == 16
    fewer = batch_of(digits, strong, symbols=Symbols(4, "none"), native_levels=17, batch_size=200)
    np.testing.assert_array_equal(fewer["image"], images * 4 // 17)


def test_evaluation_takes_the_images_as_they_are():
    [batch] = evaluation_batches(split_of(COLOURS), BYTES, batch_size=5)
    np.testing.assert_array_equal(batch["image"], COLOURS)


@pytest.mark.parametrize(
    ("settings", "shape", "levels", "message"),
    [
        ({"crop_padding": 6}, (6, 7, 3), 256, "crop_padding=6 must be below the height and the"),
        ({"crop_padding": 6}, (9, 6, 1), 256, "images, which are 9x6; reduce crop_padding"),
        ({"hue_jitter": 0.1}, (6, 7, 1), 256, "hue_jitter needs .* red, green and blue, .* have 1"),
        ({"saturation_jitter": 0.1}, (6, 7, 4), 256, "saturation_jitter needs images .* have 4"),
        *(
            ({name: 0.1}, (6, 7, 3), 2, f"{name} changes shades, but .* levels=2 have none")
            for name in JITTERS
        ),
    ],
)
def test_augmentation_that_the_images_do_not_allow(settings, shape, levels, message):
    with pytest.raises(DataError, match=message):
        Augmentation(**settings).check(shape, levels)
    images = np.zeros((2, *shape), np.uint8)
    symbols = Symbols(levels, "none")
    with pytest.raises(DataError, match=message):
        batch_of(images, Augmentation(**settings), symbols=symbols)
    with pytest.raises(DataError, match=message):
        training_batches(
            split_of(images), symbols, batch_size=2, seed=0, augmentation=Augmentation(**settings)
        )


def test_the_largest_augmentation_that_images_allow():
    Augmentation(flip=True, crop_padding=5).check((6, 7, 1), 2)
    Augmentation(brightness_jitter=1, contrast_jitter=1).check((6, 7, 1), 3)
    Augmentation(saturation_jitter=1, hue_jitter=0.5).check((6, 7, 3), 3)


def test_words():
    assert NONE.describe() == ""
    assert Augmentation(flip=True, crop_padding=4, hue_jitter=0.05).describe() == (
        "flip, crop_padding=4, hue_jitter=0.05"
    )
