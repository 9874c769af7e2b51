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


def free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


class Server:
    """A demo that is running, and what it says."""

    def __init__(self, runs, folder, *flags):
        self.port, self.log = free_port(), folder / "server.txt"
        command = [sys.executable, "-m", "streamlit", "run", ROOT / "demo" / "app.py"]
        command += ["--server.headless=true", f"--server.port={self.port}", *flags]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [*command, "--", f"--runs={runs}"],
                cwd=folder,
                env=as_users_compile(),  # else a picture is there before its progress is seen
                stdout=log,
                stderr=log,
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

    def opened(url, width=1280, height=1000):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE)
        pages.append(page)
        page.goto(url)
        page.get_by_role("heading", name="pixelprior").wait_for()
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
    page.wait_for_timeout(300)  # what was just touched has to be told first
    page.locator('[data-test-script-state="notRunning"]').wait_for()


def choose(page, name):
    page.get_by_text(name, exact=True).first.click()
    settled(page)


def choose_option(page, label, name):
    page.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=name, exact=True).click()
    settled(page)


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


def test_samples_fill_up_and_are_those_of_the_seed(server, opened):
    page = opened(server.url)
    page.get_by_role("button", name="Draw", exact=True).click()
    # While it lasts: how far it is, and what there is.
    expect(page.get_by_text(re.compile("compiling|of 8 rows"))).to_be_visible()
    settled(page)
    first, settings = downloaded(page)
    assert settings["run"] == "digits" and settings["seed"] == 0 and settings["images"] == 16
    assert settings["drawn"] == "8 of 8 rows" and "temperature=1.0" in settings["strategies"]
    again, _ = draw(page)
    np.testing.assert_array_equal(again, first)
    # Another temperature is another picture, and the old one comes back with the old one.
    set_slider(page, "Temperature", "ArrowLeft", 10)
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
    assert settings["known"] == known and settings["image"] == "test image 0"
    assert settings["drawn"] == "8 of 8 rows"
    # Nine times the same known half, and not nine times the same other one.
    scale = (picture.shape[0] - 2) // 3
    tiles = [
        picture[2 + scale * i : scale * (i + 1), 2 + scale * j : scale * (j + 1)]
        for i in range(3)
        for j in range(3)
    ]
    half = len(tiles[0]) // 2
    halves = [(t[:half], t[half:]) if "top" in known else (t[:, :half], t[:, half:]) for t in tiles]
    assert all((kept == halves[0][0]).all() for kept, _ in halves)
    assert any((drawn != halves[0][1]).any() for _, drawn in halves)


@pytest.mark.parametrize("known", ["my drawing", "all but the painted part"])
def test_what_is_drawn_by_hand_is_known_or_is_not(server, opened, known):
    page = opened(server.url)
    choose(page, "Complete")
    choose(page, known)
    canvas = page.locator("canvas").last
    canvas.wait_for()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.2 * box["height"], steps=10)
    page.mouse.up()
    expect(page.get_by_text("The known part. Grey pixels will be drawn.")).to_be_visible()
    _, settings = draw(page, "Complete")
    assert settings["known"] == known and settings["drawn"] == "8 of 8 rows"


def test_an_upload_is_scored(server, opened):
    page = opened(server.url)
    choose(page, "Likelihood")
    expect(page.get_by_text(re.compile(r"bits, .* per dimension"))).to_be_visible()
    for name in ("PNG", "WebP, lossless", "This model, without a header"):
        expect(page.get_by_text(name, exact=True)).to_be_visible()
    test_image, _ = downloaded(page)
    choose(page, "an upload")
    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    page.locator('input[type="file"]').set_input_files(png(noise))
    expect(page.get_by_text(re.compile(r"bits, .* per dimension"))).to_be_visible()
    picture, settings = downloaded(page)
    assert settings["image"] == "an upload"
    assert picture.shape == test_image.shape and (picture != test_image).any()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (
            {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"},
            "the file cannot be read as an image",
        ),
        (png(np.zeros((5000, 2), np.uint8)), "is 2 x 5000 pixels"),
    ],
)
def test_a_wrong_upload_is_refused_in_words(server, opened, file, message):
    page = opened(server.url)
    choose(page, "Likelihood")
    choose(page, "an upload")
    page.locator('input[type="file"]').set_input_files(file)
    expect(page.get_by_text(message)).to_be_visible()
    # And the page goes on.
    choose(page, "a test image")
    expect(page.get_by_text(re.compile(r"bits, .* per dimension"))).to_be_visible()


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


def test_two_runs_side_by_side(server, opened):
    page = opened(server.url)
    choose(page, "Compare")
    page.get_by_role("button", name="Draw both").click()
    expect(page.get_by_role("button", name="Download PNG")).to_have_count(2)
    (_, first), (_, second) = downloaded(page, 0), downloaded(page, 1)
    assert {first["run"], second["run"]} == {"digits", "priors/of_codes"}
    assert first["seed"] == second["seed"]
    assert first["drawn"] == "8 of 8 rows" and second["drawn"] == "4 of 4 rows"


def test_on_a_phone(server, opened):
    page = opened(server.url, width=390, height=840)
    draw(page)
    # Nothing is wider than the screen.
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator('[data-testid="stImage"] img').bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390


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
        page = opened(server.url)
        set_slider(page, "Images", "End", 1)
        page.get_by_role("button", name="Draw", exact=True).click()
        expect(page.get_by_text(re.compile(r"^\d+ of 64 rows"))).to_be_visible()
        page.get_by_role("button", name="Stop", exact=True).click()
        expect(page.get_by_text(re.compile(r"stopped after \d+ of 64 rows"))).to_be_visible()
        picture, settings = downloaded(page)
        assert int(settings["drawn"].split()[0]) < 64
        assert (picture == 128).any()  # grey where nothing is drawn
    finally:
        server.stop()


def test_with_nothing_trained_it_trains_digits(opened, tmp_path):
    server = Server(tmp_path / "runs", tmp_path)
    try:
        page = opened(server.url)
        expect(page.get_by_text("There is no trained run in")).to_be_visible()
        # Until then, there are the models that come with the package.
        expect(page.get_by_text("bundled model digits (averaged weights of")).to_be_visible()
        page.get_by_role("button", name="Train digits").click()
        expect(page.get_by_text(re.compile(r"step [1-9]\d*, \d\.\d\d bits/dim"))).to_be_visible()
        page.get_by_role("button", name="Stop training").click()
        # It has saved what there was, so there is a run to draw from, and to go on with.
        expect(page.get_by_role("button", name="Draw", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="Train digits")).to_be_visible()
        expect(page.get_by_text("pixel model of digits, 8x8x1; averaged")).to_be_visible()
        settled(page)
        assert draw(page)[1]["run"] == "digits"
    finally:
        server.stop()


def test_it_does_not_open_itself_to_the_network(opened, runs, tmp_path):
    server = Server(runs, tmp_path, "--server.address=")
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
