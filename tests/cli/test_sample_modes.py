"""What else ``sample.py`` draws: completions, progress, sweeps, likelihoods, and many images."""

import jax
import numpy as np
import pytest
from flax import nnx
from PIL import Image

import pixelprior
from pixelprior import Context, Grid
from pixelprior.cli.sample_files import sample_to_files
from pixelprior.errors import InputError
from pixelprior.jitted import pixel_bits
from pixelprior.runs.images import TestImages
from pixelprior.runs.load import load_trained
from pixelprior.runs.parts import known_codes, known_mask, pixels_filling_up
from pixelprior.runs.samples import Request, samples_of
from pixelprior.sampling import UNKNOWN, Temperature
from pixelprior.sampling.draw_grids import draw_order
from tests.models.catalogue import MODELS


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def draw(workdir, out, **settings):
    defaults = {"num": 4, "batch_size": 4, "seed": 0, "strategies": [()], "label": None}
    defaults |= {"method": "cached", "checkpoint": "best", "averaged": True, "individual": False}
    sample_to_files(workdir, out, **defaults | settings)


def drawn_one_by_one(workdir, out, **settings):
    draw(workdir, out, individual=True, **settings)
    return np.stack([read(path) for path in sorted(out.glob("*.png"))])


# Rows.


@pytest.mark.parametrize("run", ["digits", pytest.param("prior", marks=pytest.mark.slow)])
def test_rows_end_as_the_pictures_that_are_drawn(run, request):
    trained = load_trained(request.getfixturevalue(run))
    samples = samples_of(trained, Request(3, [(Temperature(0.7),)], None, None, "auto"))
    numbers = np.arange(4, 8)
    drawn = samples.draw(numbers)
    rows = list(samples.rows(numbers))
    grids = trained.model.grids if trained.task == "prior" else [trained.model.grid]
    assert len(rows) == samples.num_rows == sum(grid.height for grid in grids)
    np.testing.assert_allclose(rows[-1], samples.pixels(drawn), rtol=0, atol=1e-5)
    # As many frames as rows, and the empty one before them.
    for filling, row in zip(samples.filling_up(drawn, len(rows) + 1)[1:], rows, strict=True):
        if len(grids) == 1:
            np.testing.assert_allclose(filling, row, rtol=0, atol=1e-5)


# Completion.


@pytest.mark.parametrize(("known", "rows", "columns"), [("top", 4, 8), ("left", 8, 4)])
def test_what_is_known_is_kept_and_the_rest_is_the_models(digits, tmp_path, known, rows, columns):
    trained = load_trained(digits)
    images = TestImages(trained, 3)
    numbers = np.arange(4)
    mask = known_mask(known, 8, 8)
    np.testing.assert_array_equal(np.argwhere(mask).max(axis=0), [rows - 1, columns - 1])
    assert mask.sum() == rows * columns
    symbols, labels = images.symbols(numbers), images.labels(numbers)
    given = np.where(mask[..., None], symbols, UNKNOWN)
    expected = pixelprior.sample(
        trained.model, jax.random.key(3), 4, context=Context(label=labels), known=given
    )
    pictures = drawn_one_by_one(digits, tmp_path / "a", mode="complete", known=known, seed=3)
    # The known part on grey; a line; and the whole.
    shades = np.rint(np.where(mask, symbols[..., 0] / 16, 0.5) * 255)
    np.testing.assert_array_equal(pictures[:, :8], shades)
    np.testing.assert_array_equal(pictures[:, 9:], np.rint(np.asarray(expected)[..., 0] / 16 * 255))
    assert (pictures[:, 9:] != np.rint(symbols[..., 0] / 16 * 255)).any()
    # Every test image is of the class that it is of, unless another is asked for.
    others = drawn_one_by_one(
        digits,
        tmp_path / "b",
        mode="complete",
        known=known,
        seed=3,
        label=str((labels[0] + 1) % 10),
    )
    assert (others[0, 9:] != pictures[0, 9:]).any()
    np.testing.assert_array_equal(others[:, :8], pictures[:, :8])


def test_a_picture_says_what_is_known(digits, tmp_path):
    mask = np.random.default_rng(0).random((8, 8)) < 0.5
    Image.fromarray((mask * 255).astype(np.uint8)).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(known_mask(str(tmp_path / "mask.png"), 8, 8), mask)
    pictures = drawn_one_by_one(
        digits, tmp_path / "a", mode="complete", known=str(tmp_path / "mask.png")
    )
    np.testing.assert_array_equal(pictures[:, 9:][:, mask], pictures[:, :8][:, mask])


@pytest.mark.parametrize("white", [1, 255, 1023, 65535])
def test_masks_may_use_other_values_and_have_smooth_edges(tmp_path, white):
    mask = np.random.default_rng(0).random((8, 8)) < 0.5
    pixels = (mask * white).astype(np.uint16 if white > 255 else np.uint8)
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(known_mask(str(tmp_path / "mask.png"), 8, 8), mask)
    if white > 1:
        mask[0, :2] = [False, True]
        pixels[0, :2] = [0.4 * white, 0.7 * white]
        Image.fromarray(pixels).save(tmp_path / "mask.png")
        np.testing.assert_array_equal(known_mask(str(tmp_path / "mask.png"), 8, 8), mask)


def test_images_may_come_from_files(digits, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for n in range(3):
        Image.fromarray(np.full((16, 16), 100 * n, np.uint8)).save(folder / f"{n}.png")
    pictures = drawn_one_by_one(
        digits,
        tmp_path / "a",
        mode="complete",
        known="top",
        images=f"folder:{folder}",
        num=3,
        label="1",
    )
    # As symbols of 17 levels, like the digits that the model was trained on.
    levels = {round(100 * n * 17 // 256 / 16 * 255) for n in range(3)}
    assert {int(picture[0, 0]) for picture in pictures} == levels


def test_masks_that_do_not_fit_are_refused(tmp_path):
    for name, mask in (("large", np.zeros((9, 8))), ("full", np.full((8, 8), 255))):
        Image.fromarray(mask.astype(np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "text.png").write_text("none")
    shades = np.linspace(0, 255, 64).reshape(8, 8)
    Image.fromarray(shades.astype(np.uint8)).save(tmp_path / "photo.png")
    Image.fromarray((shades * 256).astype(np.uint16)).save(tmp_path / "photo16.png")
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    for known, message in (
        (tmp_path / "large.png", "expected a mask of 8x8 pixels, as the images have, got 8x9"),
        (tmp_path / "full.png", "is white, so nothing is left to draw"),
        (tmp_path / "text.png", "text.png cannot be read as an image"),
        (tmp_path / "photo.png", "black and white .*photo.png is a photograph or a drawing, 50%"),
        (tmp_path / "photo16.png", "photo16.png is a photograph or a drawing, 50% of it grey"),
        (tmp_path / "red.png", "must be a black and white picture .*red.png is in colour"),
        (tmp_path / "nowhere.png", "must be top, left or a picture of a mask"),
        ("right", "must be top, left or a picture of a mask, got 'right'"),
    ):
        with pytest.raises(InputError, match=message):
            known_mask(str(known), 8, 8)


def test_completing_needs_to_know_what_is_known(digits, tmp_path):
    with pytest.raises(InputError, match="--mode=complete needs the known part; give --known=top"):
        draw(digits, tmp_path / "x.png", mode="complete")
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_codes_of_known_places_are_known_and_nothing_of_the_others_leaks(vqvae2):
    trained = load_trained(vqvae2)
    images = TestImages(trained, 0)
    pixels, mask = images.pixels(np.arange(4)), known_mask("top", 8, 8)
    codes = known_codes(trained.model, pixels, mask)
    other = np.where(mask[..., None], pixels, 1 - pixels)
    for level, again, grid in zip(
        codes, known_codes(trained.model, other, mask), trained.model.code_grids, strict=True
    ):
        level = np.asarray(level)
        np.testing.assert_array_equal(level, again)
        assert (level[:, : grid.height // 2] != UNKNOWN).all()
        assert (level[:, grid.height // 2 :] == UNKNOWN).all()


@pytest.mark.slow
def test_a_prior_completes_codes(prior, tmp_path):
    pictures = drawn_one_by_one(prior, tmp_path / "a", mode="complete", known="top")
    assert pictures.shape == (4, 17, 8)
    # Every one begins with another image.
    assert len(np.unique(pictures[:, 9:13], axis=0)) > 1


# Progress.


@pytest.mark.parametrize("name", ["pixel_cnn", "multi_scale"])
def test_pixels_fill_up_in_the_order_in_which_they_are_drawn(name):
    grid = Grid(5, 6, 1, 4)
    model = nnx.eval_shape(lambda: MODELS[name].make(grid, rngs=nnx.Rngs(0)))
    order = draw_order(model)
    assert sorted(order.ravel()) == list(range(30))
    if name == "pixel_cnn":
        np.testing.assert_array_equal(order.ravel(), np.arange(30))
    else:
        # The 3 x 3 pixels of the small grid are the first nine.
        np.testing.assert_array_equal(order[::2, ::2].ravel(), np.arange(9))
        assert order[0, 1] == 9 and order[-1, -1] == 29
    symbols = np.full((2, *grid.shape), 3)
    frames = pixels_filling_up(model, symbols, 4)
    assert [int((frame == 1).sum()) for frame in frames] == [0, 20, 40, 60]
    assert all(((frame == 1) | (frame == 0.5)).all() for frame in frames)


def test_an_animation_and_a_strip(digits, tmp_path):
    draw(digits, tmp_path / "x.gif", mode="progress")
    draw(digits, tmp_path / "x.png", mode="progress")
    draw(digits, tmp_path / "samples.png")
    with Image.open(tmp_path / "x.gif") as moving:
        assert moving.n_frames > 10
        moving.seek(moving.n_frames - 1)
        last = np.asarray(moving.convert("L"), int)
    # It ends with the samples.
    assert np.abs(last - read(tmp_path / "samples.png")).max() <= 2
    # A row for each of them.
    assert read(tmp_path / "x.png").shape == (4 * 50 + 2, 8 * 50 + 2)
    with pytest.raises(InputError, match="writes a .gif or a .png file"):
        draw(digits, tmp_path / "x.npz", mode="progress")
    with pytest.raises(InputError, match="is there already"):
        draw(digits, tmp_path / "x.gif", mode="progress")


@pytest.mark.slow
def test_codes_fill_up(prior2, tmp_path):
    draw(prior2, tmp_path / "x.png", mode="progress", num=2)
    draw(prior2, tmp_path / "samples.png", num=2)
    strip, samples = read(tmp_path / "x.png"), read(tmp_path / "samples.png")
    # The last column is what is drawn in the end.
    np.testing.assert_array_equal(strip[2:50, -50:-2], samples[2:50, 2:50])
    assert (strip[2:50, 2:50] != strip[2:50, -50:-2]).any()


# Sweeps and likelihoods.


def test_a_sweep_is_one_picture(digits, tmp_path):
    draw(digits, tmp_path / "x.png", mode="sweep")
    assert read(tmp_path / "x.png").ndim == 3
    with pytest.raises(InputError, match="writes a .png file"):
        draw(digits, tmp_path / "y.gif", mode="sweep")


def test_bits_of_pixels_are_those_of_the_model(digits, tmp_path):
    trained = load_trained(digits)
    images = TestImages(trained, 0)
    numbers = np.arange(4)
    nats = -np.asarray(
        trained.model.log_prob(
            images.symbols(numbers), Context(label=jax.numpy.asarray(images.labels(numbers)))
        )
    )
    bits = pixel_bits(
        trained.model,
        images.symbols(numbers),
        Context(label=jax.numpy.asarray(images.labels(numbers))),
    )
    np.testing.assert_allclose(bits.sum(axis=(1, 2)) * np.log(2), nats, rtol=1e-5)
    pictures = drawn_one_by_one(digits, tmp_path / "a", mode="likelihood")
    assert pictures.shape == (4, 17, 8, 3)
    # What costs more is brighter.
    brightness = pictures[:, 9:].astype(int).sum(axis=-1)
    dear, cheap = bits > np.quantile(bits, 0.9), bits < np.quantile(bits, 0.1)
    assert brightness[dear].min() > brightness[cheap].max()


# Many images.


def test_an_archive_of_all_images(digits, tmp_path):
    draw(digits, tmp_path / "x.npz", num=5, batch_size=2)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as archive:
        images = archive["images"]
    assert images.shape == (5, 8, 8, 1) and images.dtype == np.uint8
    one_by_one = drawn_one_by_one(digits, tmp_path / "a", num=5)
    np.testing.assert_array_equal(images[..., 0], one_by_one)


def test_more_images_of_an_interrupted_job(digits, tmp_path):
    few = drawn_one_by_one(digits, tmp_path / "a", num=3)
    stamp = (tmp_path / "a" / "000000.png").stat().st_mtime_ns
    many = drawn_one_by_one(digits, tmp_path / "a", num=5)
    np.testing.assert_array_equal(many[:3], few)
    assert (tmp_path / "a" / "000000.png").stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(many, drawn_one_by_one(digits, tmp_path / "b", num=5))
    with pytest.raises(InputError, match="of no job like this one"):
        drawn_one_by_one(digits, tmp_path / "a", num=5, seed=1)
