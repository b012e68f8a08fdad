"""``index.html`` as a text: what is on it, that it needs nothing else, and that no name can break it."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from CovidSeverityLib.batch.page.index import write_index
from CovidSeverityLib.batch.page.row_values import printable
from CovidSeverityLib.batch.values import CaseFailure
from CovidSeverityLib.ctss import CTSS_MAX
from CovidSeverityLib.reporting.report_parts import RESEARCH_USE

VOID = {"meta", "link", "img", "input", "br"}


class Page(HTMLParser):
    """Elements with their attributes and texts; a table as lists of texts."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.source, self.elements, self.open, self.tables = source, [], [], []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **dict(attrs)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open[-1]["tag"] == tag, f"</{tag}> closes <{self.open[-1]['tag']}>"
        self.open.pop()

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data
        if any(element["tag"] in ("td", "th") for element in self.open):
            self.tables[-1][-1][-1] += data

    def all(self, tag):
        return [element for element in self.elements if element["tag"] == tag]

    def tiles(self):
        return dict(zip((e["text"] for e in self.all("dt")), (e["text"] for e in self.all("dd")), strict=True))


@pytest.fixture
def text_of(tmp_path):
    """``text_of(rows, failures, **options)``: the page."""

    def text(rows, failures=(), **options):
        given = {"name": "March", "version": "1.2.3", "profile": "default"} | options
        write_index(rows, failures, tmp_path / "index.html", **given)
        content = (tmp_path / "index.html").read_bytes()
        assert b"\r" not in content
        return content.decode("utf-8")

    return text


@pytest.fixture
def page_of(text_of):
    return lambda *arguments, **options: Page(text_of(*arguments, **options))


def test_head_says_what_it_is_and_how_many(make_row, failures, page_of):
    rows = [make_row("a", warnings=2, warning_codes="thick_slices;pixels_coarse"), make_row("b"), make_row("c", None)]
    page = page_of(rows, failures)
    tiles = page.tiles()
    assert [tiles[name] for name in ("Cases", "Analysed", "Failed", "With warnings")] == ["5", "3", "2", "1"]
    assert page.all("h1")[0]["text"] == "March"
    assert "CovidSeverity 1.2.3, profile default" in page.source
    assert page.source.count(RESEARCH_USE) == 2


def test_table_has_every_case_in_its_order_with_its_numbers(make_row, page_of):
    rows = [
        make_row("b", 9, warnings=1, warning_codes="thick_slices"),
        make_row("a", 0, ctss_high=0),
        make_row("c", None),
    ]
    table = page_of(rows).tables[0]
    head = [heading.strip() for heading in table[0]]
    cells = [dict(zip(head, (cell.strip() for cell in row), strict=True)) for row in table[1:]]
    assert [cell["Case"] for cell in cells] == ["b", "a", "c"]
    assert [cell["No."] for cell in cells] == ["1", "2", "3"]
    assert [cell["CTSS"] for cell in cells] == ["9 (8–11)", "0", "–"]
    assert [cell["Severity"] for cell in cells] == ["moderate", "none", "not scored"]
    assert [cell["TSS"] for cell in cells] == ["9", "0", "–"]
    assert {cell["Opacity, %"] for cell in cells} == {"12.3"}
    assert {cell["Lungs, ml"] for cell in cells} == {"4322"}
    assert [cell["Warnings"] for cell in cells] == ["1 thick_slices", "0", "0"]


def test_rows_that_were_read_from_the_csv_give_the_same_bytes(make_row, failures, text_of):
    rows = [make_row("a", 9), make_row("b", None, opacity_percent=None), make_row("c", 25, diagnosis="COVID-19")]
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    again = [*csv.DictReader(io.StringIO(file.getvalue(), newline=""))]
    assert text_of(rows, failures) == text_of(again, failures)


def test_links_and_pictures_lead_into_the_folder_of_the_case(make_row, page_of):
    page = page_of([make_row("ä b", folder="cases/ä b#%?")])
    (link,) = [e["href"] for e in page.all("a") if "cases/" in e["href"]]
    (picture,) = page.all("img")
    assert unquote(link) == "cases/ä b#%?/report.html"
    assert link == "cases/%C3%A4%20b%23%25%3F/report.html"
    assert unquote(picture["src"]) == "cases/ä b#%?/thumbnail.jpg"
    assert (picture["loading"], picture["width"], picture["height"]) == ("lazy", "240", "120")


def test_report_and_pictures_can_be_others_or_none(make_row, page_of):
    page = page_of([make_row("a")], report_name="report.json", thumbnails=False)
    assert "cases/a/report.json" in [e["href"] for e in page.all("a")]
    assert page.all("img") == []


def test_files_and_contact_sheets_are_linked(make_row, page_of):
    sheets = ("contact_sheet_01.jpg", "contact_sheet_02.jpg")
    page = page_of([make_row("a")], files=("cases.csv", "cases.parquet"), contact_sheets=sheets)
    assert {"cases.csv", "cases.parquet", *sheets} <= {e["href"] for e in page.all("a")}


def test_failures_stand_with_their_reason(failures, page_of):
    page = page_of([], failures)
    assert page.tables == [
        [["Case", "Kind", "Reason"], *([failure.case, failure.kind, failure.reason] for failure in failures)]
    ]
    assert "No case was analysed." in page.source


def test_page_of_nothing_is_a_page(page_of):
    page = page_of([])
    assert page.tables == []
    assert page.all("svg") == []


def test_histogram_counts_the_scores(make_row, page_of):
    scores = [0, 0, 3, 25, None, 3, 3]
    page = page_of([make_row(str(n), score) for n, score in enumerate(scores)])
    assert page.all("svg")[0]["aria-label"] == "Number of cases by CTSS: 0: 2, 3: 3, 25: 1"
    bars = [e for e in page.all("rect") if float(e["height"]) > 10]
    heights = {e["class"]: float(e["height"]) for e in bars}
    assert heights["gauge mild"] == pytest.approx(3 * heights["gauge severe"], abs=0.1)
    assert heights["gauge none"] == pytest.approx(2 * heights["gauge severe"], abs=0.1)
    assert "One case has no CTSS." in page.source


def test_network_has_columns_only_where_there_is_a_diagnosis(make_row, page_of):
    assert "Network" not in page_of([make_row("a")]).tables[0][0]
    rows = [make_row("a", diagnosis="COVID-19", p_covid19=0.876), make_row("b")]
    table = page_of(rows).tables[0]
    column = table[0].index("Network")
    assert [row[column : column + 2] for row in table[1:]] == [["COVID-19", "0.88"], ["–", "–"]]


def test_second_lobes_have_columns_only_where_they_were_compared(make_row, page_of):
    assert "CTSS, 2nd" not in page_of([make_row("a")]).tables[0][0]
    table = page_of([make_row("a", compared_ctss=7, compared_lowest_dice=0.4567), make_row("b")]).tables[0]
    column = table[0].index("CTSS, 2nd")
    assert [row[column : column + 2] for row in table[1:]] == [["7", "0.46"], ["–", "–"]]


def test_filters_offer_what_there_is(make_row, page_of):
    codes = ("b_code;a_code", "b_code", "")
    rows = [make_row(str(n), n, warnings=int(n < 2), warning_codes=c) for n, c in enumerate(codes)]
    options = [e["text"] for e in page_of(rows).all("option")]
    for text in ("none (1)", "mild (2)", "with warnings (2)", "without warnings (1)", "a_code (1)", "b_code (2)"):
        assert text in options
    assert "severe (0)" not in options


def test_page_asks_for_nothing_and_allows_only_its_own_script_and_style(make_row, failures, text_of):
    source = text_of([make_row("a")], failures)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', source)[1]
    assert policy.startswith("default-src 'none'; img-src 'self' file: data:;")
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert re.search(r"https?:", source) is None
    assert re.search(r"\son\w+=|\sstyle=|@import|url\(", source) is None


def test_same_arguments_give_the_same_bytes(make_row, failures, text_of):
    rows = [make_row(str(n), n % (CTSS_MAX + 1), warning_codes="x;y", warnings=2) for n in range(60)]
    assert text_of(rows, failures) == text_of(rows, failures)


def test_no_name_can_break_the_page(nasty, make_row, page_of):
    rows = [make_row(case, folder=f"cases/{n}", severity=case, diagnosis=case) for n, case in enumerate(nasty)]
    plain = [make_row("a", folder=f"cases/{n}", severity="b", diagnosis="c") for n in range(len(nasty))]
    broken = [CaseFailure(case, "input", case) for case in nasty]
    page = page_of(rows, broken, name=nasty[0])
    shown = [printable(case) for case in nasty]
    assert [row[1] for row in page.tables[0][1:]] == shown
    assert [row[0] for row in page.tables[1][1:]] == shown
    assert page.all("h1")[0]["text"] == nasty[0]
    ordinary = page_of(plain, [CaseFailure("a", "input", "b")] * len(nasty))
    tags = [e["tag"] for e in page.elements if e["tag"] != "option"]
    assert tags == [e["tag"] for e in ordinary.elements if e["tag"] != "option"]
    assert {*(key for e in page.elements for key in e)} == {*(key for e in ordinary.elements for key in e)}
    controls = set(map(chr, range(32))) - {"\n"}
    assert not controls & {*page.source}


def test_without_scripts_every_row_is_there(make_row, page_of):
    page = page_of([make_row(str(n)) for n in range(300)])
    assert len(page.tables[0]) == 301
    assert [e["tag"] for e in page.elements if "hidden" in e] == ["form", "p"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"opacity_percent": "much"}, r"opacity_percent of case 'P001' is 'much'; expected a number"),
        ({"ctss": "high"}, r"ctss of case 'P001' is 'high'; expected a number"),
        ({"ctss": 26}, r"a CTSS is 26; expected 0 to 25"),
    ],
)
def test_value_that_is_no_number_is_refused_and_nothing_written(make_row, text_of, tmp_path, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        text_of([make_row() | changes])
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("value", [None, "", "nan", "inf", float("nan")])
def test_unknown_number_is_a_dash(make_row, page_of, value):
    table = page_of([make_row(lung_ml=value)]).tables[0]
    assert table[1][table[0].index("Lungs, ml")] == "–"
