"""The demo in a real browser: headless Chromium on runs that take seconds to train.

``DEMO_SCREENSHOTS=FOLDER`` keeps a picture of every page for people to look at.
"""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.chromium import chromium, needs_chromium
from tests.cli.conftest import ROOT, TINY
from tests.data.folders import SMALL
from tests.xla_flags import as_users_compile

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("streamlit")
expect = playwright.expect

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]
PATIENCE = 90_000  # ms: something may have to be compiled, on a busy machine
expect.set_options(timeout=PATIENCE)
BRUSHED = "all but the part that I brush away"


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def demo(runs, port):
    """The command for users."""
    return [sys.executable, "-m", "pixelprior", "demo", f"--runs={runs}", f"--port={port}"]


def script(*flags):
    """The script in the repository, with settings of Streamlit."""
    run = [sys.executable, "-m", "streamlit", "run", ROOT / "demo" / "app.py", *flags]
    return lambda runs, port: [*run, f"--server.port={port}", "--", f"--runs={runs}"]


class Server:
    """A demo that is running, and what it says."""

    def __init__(self, runs, folder, command=demo):
        self.port, self.log = free_port(), folder / "server.txt"
        # Else a picture is there before its progress is seen.
        env = as_users_compile() | {"STREAMLIT_SERVER_HEADLESS": "true", "PYTHONPATH": str(ROOT)}
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command(runs, self.port), cwd=folder, env=env, stdout=log, stderr=log
            )
        self.url = f"http://localhost:{self.port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{self.url}/_stcore/health").close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture(scope="module")
def runs(digits, vqvae2, prior, trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "runs"
    for name, run in {"digits": digits, "vqvae2": vqvae2, "priors/of_codes": prior}.items():
        shutil.copytree(run, folder / name)
    return folder


@pytest.fixture(scope="module")
def server(runs, tmp_path_factory):
    server = Server(runs, tmp_path_factory.mktemp("server"))
    yield server
    server.stop()
    assert "Traceback" not in server.log.read_text(), server.log.read_text()


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser, request):
    """Opens pages; none may show a stack trace, at any time."""
    pages = []

    def opened(url, width=1280, height=1000, wait=True):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE)
        pages.append(page)
        page.goto(url)
        page.get_by_role("heading", name="pixelprior").wait_for()
        if wait:
            settled(page)
        return page

    yield opened
    for number, page in enumerate(pages):
        if folder := os.environ.get("DEMO_SCREENSHOTS"):
            name = re.sub(r"\W+", "_", request.node.name)
            page.screenshot(path=Path(folder) / f"{name}{number}.png", full_page=True)
        assert not page.get_by_text("Traceback").count()
        assert not page.locator('[data-testid="stException"]').count()
        page.close()


def settled(page):
    """Waits until the page is not being made anew."""
    for _ in range(2):  # a finished drawing makes the page anew
        page.wait_for_timeout(300)  # what was just touched has to be told first
        page.locator('[data-test-script-state="notRunning"]').wait_for()


def choose(page, name):
    page.get_by_text(name, exact=True).first.click()
    settled(page)


def choose_option(page, label, name):
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=name, exact=True).click()
    settled(page)


def open_sidebar(page):
    """Show the controls, which a phone hides."""
    if not page.get_by_label("Run", exact=True).is_visible():
        page.get_by_test_id("stExpandSidebarButton").click()
        page.get_by_label("Run", exact=True).wait_for()


def shown_run(page):
    return page.get_by_label("Run", exact=True).input_value()


def draw(page, button="Draw"):
    page.get_by_role("button", name=button, exact=True).click()
    settled(page)
    return downloaded(page)


def downloaded(page, number=0):
    """The picture that can be taken home, and the settings in it."""
    button = page.get_by_role("button", name="Download PNG").nth(number)
    with page.expect_download() as download:
        button.click()
    data = Path(download.value.path()).read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image), json.loads(image.text["pixelprior"])


def set_slider(page, name, key, times):
    slider = page.get_by_role("slider", name=name)
    slider.focus()
    for _ in range(times):
        slider.press(key)
    settled(page)


def png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, format="PNG")
    return {"name": "image.png", "mimeType": "image/png", "buffer": file.getvalue()}


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


def test_a_class_can_be_asked_for(server, opened):
    page = opened(server.url)
    choose_option(page, "Class", "7")
    _, settings = draw(page)
    assert settings["class"] == "7"


@pytest.mark.parametrize("known", ["top half", "left half"])
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


@pytest.mark.parametrize("known", ["my drawing", BRUSHED])
def test_strokes_are_the_known_part_or_the_part_to_draw(server, opened, known):
    page = opened(server.url)
    choose(page, "Complete")
    choose(page, known)
    paint(page)
    _, settings = draw(page, "Complete")
    assert settings["known"] == known and settings["drawn"] == "8 of 8 rows"


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


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"},
            "the file cannot be read as an image",
        ),
        (
            {"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 no picture"},
            "the file cannot be read as an image",
        ),
        (png(np.zeros((5000, 2), np.uint8)), "is 2 x 5000 pixels"),
    ],
)
def test_a_wrong_upload_is_refused_in_words_until_the_next_one(server, opened, file, message):
    page = opened(server.url)
    choose(page, "Likelihood")
    choose(page, "an upload")
    upload(page, file)
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


@pytest.mark.parametrize("view", ["Sample", "Complete", "Likelihood", "Compare"])
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


def test_the_chosen_run_stays_when_others_come_and_go(opened, digits, prior, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(prior, runs / "prior")
    server = Server(runs, tmp_path)
    try:
        page = opened(server.url)
        assert shown_run(page) == "prior"
        shutil.copytree(digits, runs / "another")
        assert draw(page)[1]["run"] == "prior" and shown_run(page) == "prior"
        # It is deleted. The page says so, and shows another one.
        shutil.rmtree(runs / "prior")
        page.get_by_role("button", name="Draw", exact=True).click()
        expect(page.get_by_text("The run prior is not there.")).to_be_visible()
        settled(page)
        assert shown_run(page) == "another"
        assert draw(page)[1]["run"] == "another"
        shutil.rmtree(runs)
        page.get_by_role("button", name="Draw", exact=True).click()
        settled(page)
        assert shown_run(page) == "mnist (bundled)"
        assert "Traceback" not in server.log.read_text(), server.log.read_text()
    finally:
        server.stop()


def test_a_damaged_run_does_not_stand_in_the_way(opened, digits, tmp_path):
    runs = tmp_path / "runs"
    name = "*a* $b$"
    shutil.copytree(digits, runs / name)
    (runs / name / "config.json").write_text("{")
    server = Server(runs, tmp_path)
    try:
        page = opened(server.url)
        expect(page.get_by_test_id("stAlert").first).to_be_visible()
        choose(page, "Gallery")
        page.get_by_role("button", name="Show mnist (bundled)", exact=True).click()
        settled(page)
        assert downloaded(page)[1]["run"] == "mnist (bundled)"
        choose(page, "Gallery")
        expect(page.get_by_text(name, exact=True)).to_be_visible()
    finally:
        server.stop()


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


@pytest.mark.parametrize("view", ["Sample", "Complete", "Likelihood", "Compare"])
def test_every_control_has_a_label(server, opened, view):
    page = opened(f"{server.url}?view={view}")
    controls = page.get_by_test_id("stSidebar").locator("input, [role=slider], button, select")
    unlabelled = controls.evaluate_all(
        """all => all.filter(one => one.checkVisibility() && !(
            one.ariaLabel || one.innerText || one.title || one.getAttribute("aria-labelledby")
            || (one.labels && [...one.labels].some(label => label.innerText))
        )).map(one => one.outerHTML)"""
    )
    assert controls.count() > 3 and not unlabelled


def test_a_long_sampling_can_be_stopped(trained, opened, tmp_path):
    # Many rows, of many pixels each.
    (tmp_path / "images").mkdir()
    for number, name in enumerate(SMALL):
        noise = np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "images" / name)
    flags = [f"--config.dataset=folder:{tmp_path / 'images'}", "--config.image_size=(64, 64)"]
    flags += ["--config.num_steps=1", "--config.batch_size=2"]
    run = trained("folder", *TINY, *flags)
    shutil.copytree(run, tmp_path / "runs" / "large")
    server = Server(tmp_path / "runs", tmp_path)
    try:
        page = opened(f"{server.url}?images=64", wait=False)
        # It begins without a click.
        expect(page.get_by_text(re.compile("compiling|of 64 rows"))).to_be_visible()
        expect(page.get_by_text(re.compile(r"^\d+ of 64 rows"))).to_be_visible()
        page.get_by_test_id("stMain").get_by_role("button", name="Stop", exact=True).click()
        expect(page.get_by_text(re.compile(r"stopped after \d+ of 64 rows"))).to_be_visible()
        picture, settings = downloaded(page)
        assert int(settings["drawn"].split()[0]) < 64
        assert (picture == 128).any()  # grey where nothing is drawn
    finally:
        server.stop()


def test_with_nothing_trained_it_shows_a_bundled_model_and_trains_digits(opened, tmp_path):
    server = Server(tmp_path / "runs", tmp_path)
    try:
        page = opened(server.url, wait=False)
        # Samples come first: at once those in the package, and then those of the page.
        expect(page.get_by_alt_text("earlier images of this run")).to_be_visible()
        settled(page)
        # The training is offered, and not above them.
        assert downloaded(page)[1]["run"] == "mnist (bundled)"
        picture = page.get_by_test_id("stImage").locator("img").bounding_box()
        assert picture["y"] + picture["height"] <= 1000 and picture["height"] > 400
        train = page.get_by_role("button", name="Train digits")
        expect(train).not_to_be_visible()
        page.get_by_text("Train a model", exact=True).click()
        train.click()
        expect(page.get_by_text("compiling the first step")).to_be_visible()
        expect(page.get_by_text(re.compile(r"step [1-9]\d* of 600, \d\.\d\d bits"))).to_be_visible()
        page.get_by_role("button", name="Stop training").click()
        # It has saved its state. The run of the page is still the chosen one.
        settled(page)
        assert shown_run(page) == "mnist (bundled)"
        choose_option(page, "Run", "digits")
        assert draw(page)[1]["run"] == "digits"
        page.get_by_text("Train a model", exact=True).click()
        expect(train).to_be_visible()
    finally:
        server.stop()


def test_it_does_not_open_itself_to_the_network(opened, runs, tmp_path):
    server = Server(runs, tmp_path, script("--server.address="))
    try:
        page = opened(server.url)
        expect(page.get_by_text("open to the whole network")).to_be_visible()
        assert not page.get_by_role("button", name="Draw").count()
    finally:
        server.stop()


def test_this_machine_alone_can_reach_it(server):
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    port = f":{server.port:04X}"
    addresses = re.findall(rf"^ *\d+: (\w+){port} \w+:0000 0A", listening, flags=re.MULTILINE)
    assert addresses and set(addresses) <= {"0100007F", "00000000000000000000000001000000"}
