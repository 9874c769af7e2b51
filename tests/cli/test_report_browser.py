"""The page of a report in a real browser, from disk: on a desk, on a phone, in the dark, on paper.

``REPORT_SCREENSHOTS=FOLDER`` keeps a picture of every page for people to look at.
"""

import os
from pathlib import Path

import pytest

from tests.chromium import chromium, needs_chromium
from tests.cli.compared_runs import COST, SAMPLES, pixel_run, prior_run, tokenizer_run
from tests.cli.test_report_page import page_of

pytest.importorskip("playwright.sync_api")
pytestmark = needs_chromium

WIDE, PHONE = 1280, 390

# Contrast of all text with the colour behind it, by the formula of WCAG 2.
CONTRASTS = """() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number)
  const light = colour => {
    const [r, g, b] = parts(colour).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const behind = element => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor
      if (parts(colour)[3] !== 0) return colour
    }
  }
  const found = []
  for (const element of document.querySelectorAll('body *')) {
    // The title of a shape is no text on the page.
    if (element.tagName === 'title') continue
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())
    if (!own) continue
    const style = getComputedStyle(element)
    const ink = element instanceof SVGElement ? style.fill : style.color
    const [low, high] = [light(ink), light(behind(element))].sort((a, b) => a - b)
    found.push([(high + 0.05) / (low + 0.05), element.textContent])
  }
  return found
}"""


# Sizes of the text of charts on the screen.
SIZES = """texts => texts.map(text => {
  const svg = text.ownerSVGElement
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width
  return parseFloat(getComputedStyle(text).fontSize) * scale
})"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A page with everything in it, as a file."""
    runs = [pixel_run("digits", samples=SAMPLES, cost=COST), pixel_run("digits_" * 9, 95.0)]
    tokenizers = [tokenizer_run("vqvae"), tokenizer_run("fsq", 0.05, lpips=0.1, bits_per_dim=9.0)]
    file = tmp_path_factory.mktemp("report") / "index.html"
    text = page_of([*runs, pixel_run("old", 99.0, start={})], tokenizers, [prior_run()])
    file.write_text(text)
    return file


@pytest.fixture
def opened(browser, report, request):
    """Opens the page from disk, without a network."""
    pages = []

    def opened(width=WIDE, scheme="light"):
        page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        page.set_default_timeout(20_000)
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(report.as_uri())
        pages.append((page, f"{request.node.name}_{width}_{scheme}"))
        return page

    yield opened
    for page, name in pages:
        if folder := os.environ.get("REPORT_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
        page.close()


def edges(place, selector):
    """Left and right edges of the elements that are visible."""
    return place.locator(selector).evaluate_all(
        "es => es.map(e => e.getBoundingClientRect()).filter(b => b.width)"
        ".map(b => [b.left, b.right])"
    )


def test_a_page_narrower_than_phones_does_not_scroll_sideways(opened):
    assert opened(320).evaluate("document.documentElement.scrollWidth") == 320


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_nothing_is_cut_off_and_the_page_does_not_scroll_sideways(opened, width):
    page = opened(width)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = edges(page, "td, th, figure, img, svg, dd, li, caption, p")
    assert min(left for left, _ in found) >= 0
    assert max(right for _, right in found) <= width + 0.5
    # No element hides a part of its content.
    assert (
        page.evaluate(
            "[...document.querySelectorAll('table, td, th, figure, article, section, dl, ul')]"
            ".filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth).length"
        )
        == 0
    )


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_the_results_that_rank_runs_are_visible(opened, width):
    page = opened(width)
    tables = page.locator("section > table")
    heads = [table.locator("thead th:visible").all_inner_texts() for table in tables.all()]
    assert heads[0][:3] == ["run", "nats/image", "bits/dim"]
    assert heads[1][:3] == ["run", "MSE", "PSNR, dB"] and "bits of codes" in heads[1]
    assert heads[2][:3] == ["run", "nats/image", "bits/code"]
    # The others are in the card of each run.
    assert ("steps" in heads[0]) == (width == WIDE) == ("SSIM" in heads[1])
    assert page.locator("article dt:visible", has_text="steps").count() == 6
    assert page.locator("article dt:visible", has_text="SSIM").count() == 2
    assert "uniform" in tables.first.inner_text() and "181.33" in tables.first.inner_text()


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_numbers_are_right_and_text_is_left(opened, width):
    page = opened(width)
    for side, selector in (
        ("right", "section > table td, thead th.num"),
        ("left", "tbody th, thead th:first-child"),
    ):
        found = page.locator(selector).evaluate_all(
            "es => es.map(e => getComputedStyle(e).textAlign)"
        )
        assert found and set(found) == {side}


@pytest.mark.parametrize("width", [WIDE, PHONE])
def test_text_in_charts_is_large_enough(opened, width):
    sizes = opened(width).locator("svg text").evaluate_all(SIZES)
    assert sizes and min(sizes) >= 10


def test_no_half_page_is_blank(opened):
    page = opened()
    cards = edges(page, "article")
    assert all(right - left > 0.8 * WIDE for left, right in cards)
    # Parts of a card fill its first row.
    for card in page.locator("article").all():
        (left, right), *_ = edges(card, ".parts")
        (*_, last) = sorted(edges(card, ".parts > *"), key=lambda box: box[1])
        assert last[1] > right - 0.1 * (right - left)


@pytest.mark.parametrize("width", [WIDE, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(opened, width, scheme):
    page = opened(width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    found = page.evaluate(CONTRASTS)
    assert len(found) > 100
    assert min(found)[0] >= 4.5, min(found)
    # The check itself works: it finds bad text.
    page.add_style_tag(content="h1 { color: #999; background: #999 }")
    assert min(page.evaluate(CONTRASTS))[0] == 1


def test_the_page_opens_from_disk_without_a_network(opened):
    page = opened()
    assert [url.split(":")[0] for url in page.asked if not url.startswith("data:")] == ["file"]
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")


def test_the_page_can_be_used_with_a_keyboard(opened):
    page = opened(PHONE)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Sample quality"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert not page.get_by_text("Attention: half of the samples").is_visible()
    page.keyboard.press("Enter")
    assert page.get_by_text("Attention: half of the samples").is_visible()


def test_readers_that_do_not_see_the_page_know_its_parts(opened):
    page = opened()
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.title().startswith("6 runs on digits, test split")
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("img", name="digits: Samples", exact=True).count() == 1
    assert page.get_by_role("img", name="validation nats/image over steps").count() == 2
    assert page.get_by_role("rowheader", name="uniform").count() == 2
    assert page.locator("table caption").count() == page.locator("table").count()


def test_paper_is_light_and_cards_stay_whole(opened):
    page = opened(scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert dark != "rgb(255, 255, 255)"
    breaks = page.locator("article").evaluate_all(
        "es => es.map(e => getComputedStyle(e).breakInside)"
    )
    assert set(breaks) == {"avoid"}
    assert min(page.evaluate(CONTRASTS))[0] >= 4.5
