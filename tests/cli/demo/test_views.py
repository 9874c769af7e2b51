"""The views of the demo, each as a user sees and uses it."""

import re

import numpy as np
import pytest

from tests.chromium import needs_chromium
from tests.cli.demo.page import (
    BRUSHED,
    choose,
    choose_option,
    downloaded,
    draw,
    expect,
    png,
    set_slider,
    settled,
    shown_run,
)
from tests.release import slow_cases

pytestmark = [pytest.mark.slow, needs_chromium]


def test_samples_are_there_without_a_click_and_are_those_of_the_seed(server, opened):
    page = opened(server.url)
    first, settings = downloaded(page)
    assert settings["run"] == "digits" and settings["seed"] == 0 and settings["images"] == 16
    assert settings["drawn"] == "8 of 8 rows" and "temperature=1.0" in settings["strategies"]
    again, _ = draw(page)
    np.testing.assert_array_equal(again, first)
    other, settings = draw(page, "Other images")
    assert settings["seed"] == 1 and (other != first).any()
    page.get_by_label("Seed", exact=True).fill("0")
    page.keyboard.press("Enter")
    settled(page)
    # Another temperature is another picture, and the old one comes back with the old one.
    set_slider(page, "Temperature", "ArrowLeft", 10)
    expect(page.get_by_text("The settings have changed since")).to_be_visible()
    other, settings = draw(page)
    assert "temperature=0.5" in settings["strategies"] and (other != first).any()
    set_slider(page, "Temperature", "ArrowRight", 10)
    np.testing.assert_array_equal(draw(page)[0], first)


@pytest.mark.release
def test_a_class_can_be_asked_for(server, opened):
    page = opened(server.url)
    choose_option(page, "Class", "7")
    _, settings = draw(page)
    assert settings["class"] == "7"


@pytest.mark.parametrize("known", slow_cases(["top half", "left half"], "top half"))
def test_a_test_image_is_completed(server, opened, known):
    page = opened(server.url)
    choose(page, "Complete")
    choose(page, known)
    picture, settings = draw(page, "Complete")
    expect(page.get_by_text("are not taken into account")).to_be_visible()
    assert settings["known"] == known and settings["image"] == "test image 0"
    assert settings["drawn"] == "8 of 8 rows"
    # Sixteen times the same known half, and not sixteen times the same other one.
    scale = (picture.shape[0] - 2) // 4
    tiles = [
        picture[2 + scale * i : scale * (i + 1), 2 + scale * j : scale * (j + 1)]
        for i in range(4)
        for j in range(4)
    ]
    half = len(tiles[0]) // 2
    halves = [(t[:half], t[half:]) if "top" in known else (t[:, :half], t[:, half:]) for t in tiles]
    assert all((kept == halves[0][0]).all() for kept, _ in halves)
    assert any((drawn != halves[0][1]).any() for _, drawn in halves)


def paint(page):
    """A horizontal stroke in the upper part of the canvas."""
    canvas = page.locator("canvas").last
    canvas.wait_for()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.2 * box["height"], steps=10)
    page.mouse.up()
    expect(page.get_by_text("The known part; the evenly grey part is drawn.")).to_be_visible()
    settled(page)


@pytest.mark.parametrize("known", slow_cases(["my drawing", BRUSHED], "my drawing"))
def test_strokes_are_the_known_part_or_the_part_to_draw(server, opened, known):
    page = opened(server.url)
    choose(page, "Complete")
    choose(page, known)
    paint(page)
    _, settings = draw(page, "Complete")
    assert settings["known"] == known and settings["drawn"] == "8 of 8 rows"


@pytest.mark.release
def test_a_part_of_an_upload_is_brushed_away(server, opened):
    page = opened(server.url)
    choose(page, "Complete")
    choose(page, BRUSHED)
    choose(page, "an upload")
    upload(page, png(np.full((8, 8), 255, np.uint8)))
    paint(page)
    picture, settings = draw(page, "Complete")
    assert settings["image"] == "upload image.png"
    # The stroke is drawn anew. The last row is known: white.
    tile = (picture.shape[0] - 2) // 4
    assert (picture[tile - 2, 4 : tile - 4] == 255).all()
    assert (picture[: tile // 2, :tile] != 255).any()


@pytest.mark.release
def test_another_upload_of_the_same_name_is_another_known_part(server, opened):
    page = opened(server.url)
    choose(page, "Complete")
    choose(page, "an upload")
    upload(page, png(np.full((8, 8), 255, np.uint8)))
    draw(page, "Complete")
    assert not page.get_by_text("The settings have changed since").count()
    upload(page, png(np.zeros((8, 8), np.uint8)))
    expect(page.get_by_text("The settings have changed since")).to_be_visible()


def upload(page, file):
    page.locator('input[type="file"]').set_input_files(file)
    expect(page.get_by_text(file["name"]).first).to_be_visible()
    settled(page)


def test_an_upload_is_scored(server, opened):
    page = opened(server.url)
    choose(page, "Likelihood")
    expect(page.get_by_text(re.compile(r"bits, .* per dimension"))).to_be_visible()
    for name in ("PNG", "WebP, lossless", "This model, without a header"):
        expect(page.get_by_text(name, exact=True)).to_be_visible()
    test_image, _ = downloaded(page)
    choose(page, "an upload")
    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    upload(page, png(noise))
    expect(page.get_by_text(re.compile(r"bits, .* per dimension"))).to_be_visible()
    picture, settings = downloaded(page)
    assert settings["image"] == "upload image.png"
    assert picture.shape == test_image.shape and (picture != test_image).any()


WRONG_FILES = {
    "a.png": (b"no picture", "the file cannot be read as an image"),
    "a.pdf": (b"%PDF-1.4 no picture", "the file cannot be read as an image"),
    "image.png": (png(np.zeros((5000, 2), np.uint8))["buffer"], "is 2 x 5000 pixels"),
}


def test_a_wrong_upload_is_refused_in_words_until_the_next_one(server, opened):
    page = opened(server.url)
    choose(page, "Likelihood")
    choose(page, "an upload")
    for name, (content, message) in WRONG_FILES.items():
        kind = "application/pdf" if name.endswith("pdf") else "image/png"
        upload(page, {"name": name, "mimeType": kind, "buffer": content})
        expect(page.get_by_text(message)).to_be_visible()
        upload(page, png(np.zeros((8, 8), np.uint8)) | {"name": "good.png"})
        expect(page.get_by_text(re.compile(r"bits, .* per dimension"))).to_be_visible()
        assert not page.get_by_text(message).count()
        assert not page.get_by_test_id("stAlert").count()


def test_a_tokenizer_reconstructs_and_walks(server, opened):
    page = opened(server.url)
    choose_option(page, "Run", "vqvae2")
    expect(page.get_by_text("above its reconstruction: MSE")).to_be_visible()
    expect(page.get_by_text("bottom: 4 x 4 codes, each one of 8 values")).to_be_visible()
    expect(page.get_by_text("top: 2 x 2 codes, each one of 8 values")).to_be_visible()
    _, settings = downloaded(page)
    assert settings["run"] == "vqvae2" and settings["image"] == "test image 0"
    choose(page, "Walk")
    expect(page.get_by_text("Images between the two, at equal steps")).to_be_visible()
    _, settings = downloaded(page)
    assert (settings["from"], settings["to"]) == ("test image 0", "test image 1")


def test_a_prior_draws_completes_and_scores(server, opened):
    page = opened(server.url)
    choose_option(page, "Run", "priors/of_codes")
    _, settings = draw(page)
    assert settings["run"] == "priors/of_codes" and settings["drawn"] == "4 of 4 rows"
    choose(page, "Complete")
    assert draw(page, "Complete")[1]["drawn"] == "4 of 4 rows"
    choose(page, "Likelihood")
    expect(page.get_by_text("bits for 16 codes")).to_be_visible()
    # The image in grey, above the map in colours.
    picture, _ = downloaded(page)
    height, width, _ = picture.shape
    assert 1.9 * width < height < 2.4 * width
    image, map_ = picture[: height // 2 - 20], picture[height // 2 + 20 :]
    assert (image[..., 0] == image[..., 2]).all() and (map_[..., 0] != map_[..., 2]).any()
    assert len(np.unique(image)) > 2


def test_two_temperatures_side_by_side(server, opened):
    page = opened(server.url)
    choose(page, "Compare")
    expect(page.get_by_role("button", name="Download PNG")).to_have_count(2)
    (_, first), (_, second) = downloaded(page, 0), downloaded(page, 1)
    assert first["run"] == second["run"] == "digits" and first["seed"] == second["seed"]
    assert "temperature=1.0" in first["strategies"] and "temperature=0.7" in second["strategies"]
    # Another temperature is another picture, below its own title.
    set_slider(page, "Second temperature", "ArrowLeft", 4)
    expect(page.get_by_role("heading", name="Temperature 0.5")).to_be_visible()
    assert "temperature=0.5" in downloaded(page, 1)[1]["strategies"]
    assert "temperature=1.0" in downloaded(page, 0)[1]["strategies"]


@pytest.mark.release
def test_two_runs_side_by_side(server, opened):
    page = opened(server.url)
    choose(page, "Compare")
    choose(page, "two runs")
    choose_option(page, "Compare with", "priors/of_codes")
    expect(page.get_by_role("button", name="Download PNG")).to_have_count(2)
    (_, first), (_, second) = downloaded(page, 0), downloaded(page, 1)
    assert {first["run"], second["run"]} == {"digits", "priors/of_codes"}
    assert first["seed"] == second["seed"]
    assert first["drawn"] == "8 of 8 rows" and second["drawn"] == "4 of 4 rows"


VIEWS = ["Sample", "Complete", "Likelihood", "Compare"]


@pytest.mark.parametrize("view", slow_cases(VIEWS, "Sample"))
def test_on_a_phone_the_picture_is_within_the_first_screen(server, opened, view):
    page = opened(f"{server.url}?view={view}", width=390, height=844)
    picture = page.get_by_test_id("stImage").locator("img").first
    picture.wait_for()
    settled(page)
    # Nothing is wider than the screen.
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = picture.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert box["y"] + box["height"] <= 844 and box["width"] >= 240
    assert picture.get_attribute("alt")


def test_a_link_restores_the_settings(server, opened):
    page = opened(server.url)
    choose_option(page, "Class", "7")
    set_slider(page, "Temperature", "ArrowLeft", 10)
    by_hand, settings = draw(page)
    # The address names the run, also the first one of the list.
    assert "run=digits" in page.url
    again = opened(page.url)
    restored, same = downloaded(again)
    assert same == settings and "temperature=0.5" in settings["strategies"]
    np.testing.assert_array_equal(restored, by_hand)


def test_a_wrong_link_opens_the_page(server, opened):
    page = opened(f"{server.url}?run=../other&view=x&temperature=99&class=no&images=-1&seed=a")
    expect(page.get_by_text("The run ../other is not there.")).to_be_visible()
    _, settings = downloaded(page)
    assert settings["run"] == "digits" and settings["images"] == 16 and settings["seed"] == 0
    assert "temperature=1.0" in settings["strategies"]


def test_the_gallery_has_a_picture_of_each_run(server, opened):
    page = opened(f"{server.url}?view=Gallery")
    for name in ("digits", "vqvae2", "priors/of_codes", "mnist (bundled)"):
        expect(page.get_by_alt_text(f"images of {name}", exact=True)).to_be_visible()
    page.get_by_role("button", name="Show priors/of_codes").click()
    settled(page)
    assert shown_run(page) == "priors/of_codes"
    assert downloaded(page)[1]["run"] == "priors/of_codes"


def test_the_keyboard_is_enough_to_draw(server, opened):
    page = opened(server.url)
    before = page.get_by_test_id("stImage").locator("img").get_attribute("src")
    seed = page.get_by_label("Seed", exact=True)
    for _ in range(60):
        page.keyboard.press("Tab")
        if seed.evaluate("element => element === document.activeElement"):
            page.keyboard.press("ArrowUp")
        button = page.get_by_role("button", name="Draw", exact=True)
        if button.evaluate("element => element === document.activeElement"):
            break
    settled(page)
    page.keyboard.press("Enter")
    settled(page)
    expect(page.get_by_test_id("stImage").locator("img")).not_to_have_attribute("src", before)
    assert downloaded(page)[1]["seed"] == 1


def test_every_control_has_a_label(server, opened):
    page = opened(server.url)
    for view in VIEWS:
        choose(page, view)
        assert_labelled(page)


def assert_labelled(page):
    controls = page.get_by_test_id("stSidebar").locator("input, [role=slider], button, select")
    unlabelled = controls.evaluate_all(
        """all => all.filter(one => one.checkVisibility() && !(
            one.ariaLabel || one.innerText || one.title || one.getAttribute("aria-labelledby")
            || (one.labels && [...one.labels].some(label => label.innerText))
        )).map(one => one.outerHTML)"""
    )
    assert controls.count() > 3 and not unlabelled
