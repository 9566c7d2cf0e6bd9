"""The stored report in a headless browser: Debian's chromium, driven by playwright."""

import re
import shutil
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "results" / "report.html"
CHROMIUM = shutil.which("chromium")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"
SEEN = """chart => [...chart.querySelectorAll('.panel')]
    .flatMap(panel => panel.data).filter(trace => trace.visible !== false)
    .map(trace => trace.meta)"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture(scope="module", params=[PHONE, DESK], ids=["phone", "desk"])
def opened(browser, request):
    """The page when all is drawn, what went wrong, and what it asked for."""
    page = browser.new_page(viewport=request.param)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda sent: asked.append(sent.url))
    page.goto(PAGE.as_uri())
    page.wait_for_selector("body[data-drawn]", timeout=120_000)
    yield page, said, asked
    page.close()


def test_it_is_whole_without_a_network_and_fits(opened):
    page, said, asked = opened
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [PAGE.as_uri()]
    assert page.evaluate(OVERFLOW) <= 0
    charts, panels = (page.locator(name).count() for name in (".chart", ".panel"))
    assert page.locator(".panel.js-plotly-plot").count() == panels > charts > 5
    drawn = page.eval_on_selector_all(".panel", "all => all.map(one => one.clientWidth)")
    assert min(drawn) > 200
    assert max(drawn) <= page.viewport_size["width"]


def test_methods_and_seeds_are_switched_off_and_on(opened):
    page, said, _ = opened
    chart = page.locator("#curves-fig2_sgd")
    every = chart.evaluate(SEEN)
    button = chart.get_by_role("button", name="glocal", exact=True)
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    chart.get_by_role("button", name="seed 0", exact=True).click()
    expected = [m for m in every if m["method"] != "glocal" and m["seed"] != "0"]
    assert chart.evaluate(SEEN) == expected != []
    button.click()
    assert {"method": "glocal", "seed": "1"} in chart.evaluate(SEEN)
    chart.get_by_role("button", name="seed 0", exact=True).click()
    assert chart.evaluate(SEEN) == every
    assert page.locator("#curves-fig2_adam").evaluate(SEEN) != []  # which has switches of its own
    assert said == []


def test_the_value_under_the_pointer_is_shown(opened):
    page, *_ = opened
    panel = page.locator("#curves-fig2_sgd-1")
    panel.scroll_into_view_if_needed()
    box = panel.bounding_box()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.3 * box["height"], steps=5)
    label = panel.locator(".hovertext").first
    label.wait_for(timeout=10_000)
    assert re.search(r"seed \d|mean", label.text_content())


def test_it_prints(opened, tmp_path):
    page, said, _ = opened
    file = tmp_path / "report.pdf"
    page.pdf(path=file, prefer_css_page_size=True)
    content = file.read_bytes()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) > 3
    assert page.evaluate(OVERFLOW) <= 0  # and is as it was afterwards
    assert said == []
