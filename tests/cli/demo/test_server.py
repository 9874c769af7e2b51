"""The demo while runs come and go, are damaged, trained or stopped; and who can reach it."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.chromium import needs_chromium
from tests.cli.conftest import TINY
from tests.cli.demo.page import (
    Server,
    choose,
    choose_option,
    downloaded,
    draw,
    expect,
    script,
    settled,
    shown_run,
)
from tests.data.folders import SMALL
from tests.xla_flags import as_users_compile

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.mark.release
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


@pytest.mark.release
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
    # Else the picture is there before its progress is seen.
    server = Server(tmp_path / "runs", tmp_path, environment=as_users_compile())
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
        step = re.compile(r"step [1-9][\d,]* of 2,400, \d\.\d\d bits")
        expect(page.get_by_text(step)).to_be_visible()
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
