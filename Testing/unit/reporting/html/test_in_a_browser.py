"""``report.html`` in a real browser: nothing fails, everything fits, slices scroll, outlines go, and all read it."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from CovidSeverityLib.reporting.html import html_text
from CovidSeverityLib.types import Lobe, NoteSeverity, Opacity, QualityNote

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIZES = {"phone": (360, 740), "desk": (1280, 900)}
PAPER_PIXELS = 688
"""Width of A4 between the margins of the page's style, at 96 pixels an inch."""
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def address(factory):
    long = QualityNote("long", NoteSeverity.WARNING, f"Slices differ: {'1.2.840.113619.2.55.3' * 6}.")
    analysis = factory.make_diagnosed()
    analysis = factory.make_diagnosed(quality=(*analysis.quality, long), ctss_range=(analysis.ctss, analysis.ctss + 3))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_text(html_text(analysis), encoding="utf-8", newline="\n")
        yield path.as_uri()


@pytest.fixture
def opened(browser, address):
    """``opened(size, scheme)``: the page, and what the browser complained about or asked the network for."""
    contexts = []

    def opened(size="desk", scheme="light"):
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page, complaints = context.new_page(), []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or complaints.append(asked.url))
        page.goto(address)
        return page, complaints

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("size", SIZES)
def test_nothing_fails_and_nothing_is_fetched(opened, size):
    page, complaints = opened(size)
    page.keyboard.press("End")
    page.wait_for_timeout(100)
    assert page.locator("#viewer").is_visible()
    assert complaints == []


@pytest.mark.parametrize("size", SIZES)
def test_page_does_not_scroll_sideways(opened, size):
    page, _ = opened(size)
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
    wide = "e => e.getBoundingClientRect().right > innerWidth + 0.5"
    elements = "[...document.querySelectorAll('main *, header *')]"
    assert page.evaluate(f"{elements}.filter({wide}).map(e => e.outerHTML.slice(0, 80))") == []
    assert page.locator(".table").evaluate("e => e.scrollWidth <= e.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_axe_has_no_serious_findings(opened, axe, size, scheme):
    page, _ = opened(size, scheme)
    page.evaluate(axe)  # a script element would break the page's own policy
    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})")
    assert len(found["passes"]) > 20
    serious = [one for one in found["violations"] if one["impact"] in SERIOUS]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in serious] == []


def shown(page):
    return page.evaluate("document.getElementById('slice-image').getAttribute('href')")


def lines(page, kind):
    """Length of the outlines of one kind."""
    return page.evaluate(
        f"[...document.querySelectorAll('#slice-lines [data-kind={kind}]')].reduce((n, p) => n + p.getTotalLength(), 0)"
    )


def test_slices_scroll_by_keys_buttons_wheel_and_profile(opened):
    page, _ = opened()
    data = json.loads(page.evaluate("document.getElementById('slice-data').textContent"))
    pictures = ["data:image/jpeg;base64," + slice_["jpeg"] for slice_ in data["slices"]]
    slider = page.locator("#slice-number")
    slider.focus()
    page.keyboard.press("Home")
    assert shown(page) == pictures[0]
    for n in range(1, len(pictures)):
        page.keyboard.press("ArrowRight")
        assert shown(page) == pictures[n]
        assert page.locator("#slice-text").inner_text().startswith(f"Slice {n + 1} of {len(pictures)}, z ")
    assert slider.get_attribute("aria-valuetext") == page.locator("#slice-text").inner_text()
    page.locator("#slice-up").click()
    assert shown(page) == pictures[-2]
    page.locator("#slice").hover()
    page.mouse.wheel(0, -100)
    page.wait_for_function(f"document.getElementById('slice-number').value === '{len(pictures) - 2}'")
    assert shown(page) == pictures[-3]
    page.locator("#profile").click(position={"x": 300, "y": 60})
    assert shown(page) != pictures[-3]


def test_outlines_lie_on_the_lungs_and_can_be_switched_off(opened):
    page, _ = opened()
    assert lines(page, "lobe") > 0
    assert lines(page, "opacity") > 0
    assert lines(page, "lung") == 0
    page.locator("#show-lung").check()
    assert lines(page, "lung") > 0
    box = page.evaluate(
        "(({x, width}) => [x, x + width])(document.getElementById('slice-lines').getBoundingClientRect())"
    )
    image = page.evaluate(
        "(({x, width}) => [x, x + width])(document.getElementById('slice-image').getBoundingClientRect())"
    )
    assert image[0] < box[0] < box[1] < image[1]
    for kind in ("lung", "lobe", "opacity"):
        page.locator(f"#show-{kind}").uncheck()
        assert lines(page, kind) == 0
    page.locator("#slice-down").click()
    assert lines(page, "lobe") + lines(page, "opacity") == 0


def test_one_key_switches_all_outlines_off_and_on_again(opened):
    page, _ = opened()
    before = {kind: lines(page, kind) for kind in ("lobe", "opacity")}
    page.locator("#slice-number").focus()
    page.keyboard.press("o")
    assert {kind: lines(page, kind) for kind in before} == dict.fromkeys(before, 0)
    page.keyboard.press("o")
    assert {kind: lines(page, kind) for kind in before} == before


def cells_of(mask):
    """Pieces of line by marching squares: one in a cell of unlike pixels, two in a saddle."""
    padded = np.pad(mask, 1).astype(int)
    corners = np.stack([padded[:-1, :-1], padded[:-1, 1:], padded[1:, 1:], padded[1:, :-1]])
    saddles = (corners[0] == corners[2]) & (corners[1] == corners[3]) & (corners[0] != corners[1])
    return int(((corners.sum(axis=0) % 4) > 0).sum() + saddles.sum())


def test_outlines_run_around_the_labels_of_the_slice(opened):
    page, _ = opened()
    data = json.loads(page.evaluate("document.getElementById('slice-data').textContent"))
    columns, rows = data["size"]
    slice_ = data["slices"][data["start"]]
    table = np.frombuffer(base64.b64decode(slice_["runs"]), [("length", "<u2"), ("label", "u1")])
    labels = np.repeat(table["label"], table["length"]).reshape(rows, columns)
    masks = [*((labels & 7) == lobe for lobe in Lobe), *(labels >> 5 == kind for kind in Opacity)]
    drawn = page.evaluate("""[...document.querySelectorAll('#slice-lines path:not([data-kind=lung])')].map(p => {
        const {x, y, width, height} = p.getBBox(), pieces = (p.getAttribute('d').match(/M/g) || []).length;
        return [pieces, x / 2, y / 2, width / 2, height / 2];
    })""")
    assert sum(mask.any() for mask in masks) >= 4
    for mask, (pieces, *box) in zip(masks, drawn, strict=True):
        assert pieces == cells_of(mask)
        if mask.any():
            down, across = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            assert box == [across[0], down[0], np.ptp(across) + 1, np.ptp(down) + 1]


def test_print_shows_the_key_slices_and_no_controls(opened):
    page, _ = opened("desk", "dark")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": PAPER_PIXELS, "height": 1000})
    assert page.locator(".table").evaluate("e => e.scrollWidth <= e.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") == PAPER_PIXELS
    assert not page.locator("#viewer").is_visible()
    assert not page.locator("button").first.is_visible()
    assert page.locator(".picture").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
