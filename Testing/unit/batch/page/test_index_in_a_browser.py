"""``index.html`` in a real browser: it sorts and filters, needs no network, and all can use it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from CovidSeverityLib.batch.page.index import write_index
from CovidSeverityLib.batch.page.row_values import printable
from CovidSeverityLib.batch.page.thumbnail import write_thumbnail

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIZES = {"phone": (360, 740), "tablet": (800, 1000), "desk": (1280, 900)}
CASES = 60
CODES = ("thick_slices", "pixels_coarse")
SHOWN = "rows => rows.filter(row => row.checkVisibility()).map(row => row.querySelector('bdi').textContent)"


@pytest.fixture(scope="module")
def rows(make_row, nasty):
    """Made-up cases; the last ones have names that break careless pages, and one of them no score."""
    ordinary = [
        make_row(
            f"CT {n}",
            (7 * n) % 26,
            folder=f"cases/CT {n}",
            opacity_percent=(37 * n % CASES) / 3,
            diagnosis=("COVID-19", "normal")[n % 2],
            p_covid19=(7 * n % CASES) / CASES,
            warnings=len(CODES[: n % 3]),
            warning_codes=";".join(CODES[: n % 3]),
        )
        for n in range(CASES)
    ]
    strange = [make_row(case, 5, folder=f"cases/strange {n} <&'#?%") for n, case in enumerate(nasty)]
    strange[0] |= {"ctss": None, "severity": "not scored", "opacity_percent": None}
    return ordinary + strange


@pytest.fixture(scope="module")
def address(rows, failures, factory):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_thumbnail(factory.make_analysis(), folder / "thumbnail.jpg")
        for row in rows:
            (folder / row["folder"]).mkdir(parents=True)
            shutil.copy(folder / "thumbnail.jpg", folder / row["folder"])
            (folder / row["folder"] / "report.html").touch()
        path = folder / "index.html"
        sheets = [f"contact_sheet_{n:02d}.jpg" for n in range(1, 30)]
        write_index(rows, failures, path, name="x" * 120, version="1.2.3", profile="default", contact_sheets=sheets)
        yield path.as_uri()


@pytest.fixture
def opened(browser, address):
    """``opened(size, scheme)``: the page, and what the browser complained about or asked the network for."""
    contexts = []

    def opened(size="desk", scheme="light", scripts=True):
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=scripts
        )
        contexts.append(context)
        page, complaints = context.new_page(), []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or complaints.append(asked.url))
        page.on("requestfailed", lambda asked: complaints.append(asked.url))
        page.goto(address)
        return page, complaints

    yield opened
    for context in contexts:
        context.close()


def names(page):
    """Cases of the rows that are shown, in their order."""
    return page.locator(".cases tbody tr").evaluate_all(SHOWN)


def failed(page):
    return page.locator(".failures tbody tr").evaluate_all(SHOWN)


def column(page, heading):
    """Texts of a column, in the order of the rows."""
    return page.evaluate(
        """heading => {
            const table = document.querySelector('.cases');
            const n = [...table.tHead.rows[0].cells].findIndex(cell => cell.textContent === heading);
            return [...table.tBodies[0].rows].map(row => row.cells[n].textContent.trim());
        }""",
        heading,
    )


def head(page, heading):
    return page.locator(".cases thead button", has_text=heading).first


@pytest.mark.parametrize("size", SIZES)
def test_nothing_fails_nothing_is_fetched_and_pictures_load(opened, size):
    page, complaints = opened(size)
    first, last = page.locator(".cases img").first, page.locator(".cases img").last
    for picture in (first, last):
        picture.scroll_into_view_if_needed()
        page.wait_for_function("image => image.complete && image.naturalWidth === 240", arg=picture.element_handle())
    assert complaints == []
    assert page.title().startswith("xxx")


@pytest.mark.parametrize("size", SIZES)
def test_page_does_not_scroll_sideways(opened, size):
    page, _ = opened(size)
    page.keyboard.press("End")
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
    if size != "tablet":  # there the table scrolls in itself
        assert page.locator(".table").evaluate_all("tables => tables.every(e => e.scrollWidth <= e.clientWidth)")


@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("desk", "dark")])
def test_axe_finds_no_barrier(opened, axe, size, scheme):
    page, _ = opened(size, scheme)
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})")
    assert len(found["passes"]) > 20
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []


def test_columns_sort_as_numbers_both_ways_and_unknown_ones_stay_last(opened, rows):
    page, _ = opened()
    known = sorted(row["opacity_percent"] for row in rows if row["opacity_percent"] is not None)
    for order, values in (("ascending", known), ("descending", known[::-1])):
        head(page, "Opacity, %").click()
        assert column(page, "Opacity, %") == [*(f"{value:.1f}" for value in values), "–"]
        assert page.locator(".cases th[aria-sort]:not([aria-sort=none])").count() == 1
        assert page.locator(f".cases th[aria-sort={order}]").inner_text().startswith("Opacity")


def test_decimals_sort_as_numbers(opened):
    page, _ = opened()
    page.locator(".cases thead button", has_text="COVID-19").click()
    found = [float(text) for text in column(page, "COVID-19") if text != "–"]
    assert len(found) == CASES
    assert found == sorted(found)


def test_columns_sort_by_keyboard_and_the_number_brings_the_order_back(opened, rows):
    page, _ = opened()
    before = names(page)
    assert before == [printable(row["case"]) for row in rows]
    head(page, "CTSS").focus()
    page.keyboard.press("Enter")
    scores = [int(text.split()[0]) for text in column(page, "CTSS")[:-1]]
    assert scores == sorted(scores)
    page.keyboard.press("Space")
    scores = [int(text.split()[0]) for text in column(page, "CTSS")[:-1]]
    assert scores == sorted(scores, reverse=True)
    assert page.evaluate("document.activeElement.textContent") == "CTSS"
    head(page, "No.").click()
    assert names(page) == before


def test_severities_sort_by_their_degree_and_names_by_the_numbers_in_them(opened, rows):
    page, _ = opened()
    head(page, "Severity").click()
    words = column(page, "Severity")
    assert [*dict.fromkeys(words)] == ["none", "mild", "moderate", "severe", "not scored"]
    head(page, "Case").click()
    assert [name for name in names(page) if name.startswith("CT ")] == [f"CT {n}" for n in range(CASES)]


def test_failed_cases_sort_too(opened):
    page, _ = opened()
    page.locator(".failures thead button", has_text="Kind").click()
    page.locator(".failures thead button", has_text="Kind").click()
    assert failed(page) == ["slow & large", "broken 1"]


def test_filters_hide_what_does_not_fit(opened, rows, failures):
    page, _ = opened()

    def expected(fits):
        return [printable(row["case"]) for row in rows if fits(row)]

    page.locator("#filter-case").fill("ct 1")
    assert names(page) == expected(lambda row: row["case"].startswith("CT 1"))
    assert failed(page) == []
    assert page.locator("#shown").inner_text() == "Shown: 11 of 72 analysed cases, 0 of 2 failed cases."
    page.locator("button[type=reset]").click()
    page.wait_for_function("() => document.getElementById('shown').textContent.startsWith('Shown: 72 of 72')")
    assert len(failed(page)) == len(failures)

    page.locator("#filter-low").fill("8")
    page.locator("#filter-high").fill("12")
    assert names(page) == expected(lambda row: row["ctss"] is not None and 8 <= row["ctss"] <= 12)
    page.locator("#filter-severity").select_option("mild")
    assert names(page) == []
    page.locator("#filter-low").fill("")
    assert names(page) == expected(lambda row: row["severity"] == "mild")
    page.locator("#filter-diagnosis").select_option("normal")
    assert names(page) == expected(lambda row: row["severity"] == "mild" and row["diagnosis"] == "normal")


def test_filters_by_warnings_and_by_failure(opened, rows):
    page, _ = opened()
    for choice, fits in (
        ("+", lambda row: row["warnings"] > 0),
        ("-", lambda row: row["warnings"] == 0),
        ("=pixels_coarse", lambda row: "pixels_coarse" in row["warning_codes"]),
    ):
        page.locator("#filter-warnings").select_option(choice)
        assert names(page) == [printable(row["case"]) for row in rows if fits(row)]
    page.locator("#filter-result").select_option("failed")
    assert (names(page), failed(page)) == ([], ["broken 1", "slow & large"])
    page.locator("#filter-result").select_option("analysed")
    assert failed(page) == []
    assert len(names(page)) == sum("pixels_coarse" in row["warning_codes"] for row in rows)


def test_filters_that_a_browser_fills_in_again_hold(opened, rows):
    page, _ = opened()
    page.locator("#filter-case").fill("CT 5")
    page.locator(".cases tbody tr:not([hidden]) a").first.click()
    page.wait_for_url("**/report.html")
    page.go_back()
    filled = page.locator("#filter-case").input_value()
    assert names(page) == [printable(row["case"]) for row in rows if filled in printable(row["case"])]


def test_every_link_leads_to_a_file(opened, rows):
    page, _ = opened()
    links = page.locator(".cases tbody a").evaluate_all("links => links.map(link => link.href)")
    assert len(links) == len(rows)
    assert all(Path(unquote(urlparse(link).path)).is_file() for link in links)


def test_without_scripts_the_whole_table_is_there(opened, rows):
    page, _ = opened(scripts=False)
    assert page.locator(".cases tbody tr").count() == len(rows)
    assert page.locator(".cases tbody tr").last.is_visible()
    assert not page.locator("#filters").is_visible()
    assert page.locator(".cases thead th").first.is_visible()


def test_print_has_all_columns_on_white_and_no_controls(opened):
    page, _ = opened("desk", "dark")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 1047, "height": 700})  # A4 landscape between its margins
    assert page.evaluate("document.documentElement.scrollWidth") == 1047
    assert page.locator(".cases").evaluate("e => e.getBoundingClientRect().right <= innerWidth")
    assert not page.locator("#filters").is_visible()
    assert page.locator(".cases thead th").evaluate_all("heads => heads.every(e => e.checkVisibility())")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
