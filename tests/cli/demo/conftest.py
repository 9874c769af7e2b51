"""Pages of the demo in headless Chromium, on runs that take seconds to train.

``DEMO_SCREENSHOTS=FOLDER`` keeps a picture of every page for people to look at.
"""

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.chromium import chromium
from tests.cli.demo.page import PATIENCE, Server, settled


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
