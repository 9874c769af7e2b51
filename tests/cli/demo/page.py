"""The demo as a process, and what a user does on its page."""

import io
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import ROOT

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("streamlit")
expect = playwright.expect

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

    def __init__(self, runs, folder, command=demo, environment=os.environ):
        self.port, self.log = free_port(), folder / "server.txt"
        env = environment | {"STREAMLIT_SERVER_HEADLESS": "true", "PYTHONPATH": str(ROOT)}
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
    settled(page)  # a download makes the page anew, too
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
