"""``report.pdf``: the content of ``report.html`` on paper."""

from __future__ import annotations

import dataclasses
import importlib
import io
import re

import numpy as np
import pytest

reportlab = pytest.importorskip("reportlab", reason='ReportLab is not installed (pip install ".[pdf]")')
pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")

from CovidSeverityLib.errors import InputError  # noqa: E402
from CovidSeverityLib.reporting import ReportPages, write_results  # noqa: E402
from CovidSeverityLib.reporting.html import html_text  # noqa: E402
from CovidSeverityLib.reporting.pdf import write_pdf  # noqa: E402
from CovidSeverityLib.reporting.pdf.document import LEFT_OUT  # noqa: E402
from CovidSeverityLib.reporting.pdf.drawing import chart_styles, path_steps  # noqa: E402
from CovidSeverityLib.reporting.pdf.elements import parsed  # noqa: E402
from CovidSeverityLib.types import NoteSeverity, QualityNote, Side  # noqa: E402

NAME = "Doe_Jane.nii.gz"


def pdf_of(analysis, **options) -> bytes:
    file = io.BytesIO()
    write_pdf(analysis, file, **options)
    return file.getvalue()


def read(content: bytes):
    return pypdf.PdfReader(io.BytesIO(content))


def words_of(content: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in read(content).pages).split())


@pytest.fixture(scope="module")
def analysis(factory):
    analysis = factory.make_diagnosed()
    return dataclasses.replace(analysis, ctss_range=(analysis.ctss, analysis.ctss + 2))


@pytest.fixture(scope="module")
def content(analysis):
    return pdf_of(analysis)


def texts_in(element) -> list[str]:
    """Every text that the page has for paper, a line each."""
    if element.tag in LEFT_OUT or "skip" in element.classes:
        return []
    found = [" ".join(child.split()) for child in element.children if isinstance(child, str)]
    return [text for text in found if text] + [text for child in element.elements() for text in texts_in(child)]


def test_every_text_of_the_page_is_on_paper(analysis, content):
    texts = texts_in(parsed(html_text(analysis, viewer=False)))
    letters = "".join(words_of(content).split())
    assert len(texts) > 100
    assert [text for text in texts if text != "<!DOCTYPE html>" and "".join(text.split()) not in letters] == []
    assert "Copy the paragraph" not in words_of(content)


def test_no_word_of_a_table_is_broken(content):
    assert words_of(content).count("Confidence") == 2  # over a column, and in what the numbers mean


def test_every_page_says_that_it_is_no_medical_device(content):
    pages = read(content).pages
    assert len(pages) >= 2
    assert all("Not a medical device" in page.extract_text() for page in pages)


def test_every_slice_of_the_page_is_a_picture_on_paper(analysis, content):
    page = html_text(analysis, viewer=False)
    assert sum(len(page.images) for page in read(content).pages) == page.count("<image ") >= 7


def test_same_result_gives_the_same_bytes(analysis, content):
    assert pdf_of(analysis) == content


def test_nothing_tells_whose_ct_it_is_unless_a_title_is_given(factory):
    analysis = factory.make_analysis(volume=factory.make_volume(factory.make_chest().hu, name=NAME))
    reader = read(pdf_of(analysis))
    assert "Doe" not in words_of(pdf_of(analysis))
    assert reader.metadata.title == "Chest CT - CT severity report"
    assert reader.metadata.author == "CovidSeverity 0.1.0"
    assert "Case 7 & <b>" in words_of(pdf_of(analysis, title="Case 7 & <b>"))


def test_chapters_are_in_the_outline(content):
    titles = [item.title for item in read(content).outline]
    assert titles[0] == "CT severity score"
    assert titles[-1] == "Methods"


def test_cases_of_all_kinds_fit_on_paper(factory):
    scores = tuple(dataclasses.replace(s, voxels=0, infected_voxels=0) for s in factory.make_analysis().lobe_scores)
    analysis = factory.make_analysis()
    no_lobes = dataclasses.replace(analysis, lobes=np.zeros_like(analysis.lobes), lobe_scores=scores)
    assert "There is no CTSS" in words_of(pdf_of(no_lobes))
    assert "absent" in words_of(pdf_of(factory.make_analysis(factory.make_chest(sides=(Side.RIGHT,)))))
    notes = tuple(QualityNote(f"n{n}", NoteSeverity.WARNING, f"Slice {n} <is> odd & long. " * 20) for n in range(40))
    long = pdf_of(factory.make_analysis(quality=notes))
    assert "Slice 39 <is> odd" in words_of(long)


@pytest.mark.slow
def test_file_is_written_on_request_and_goes_without(analysis, tmp_path):
    paths = write_results(analysis, tmp_path, pages=ReportPages(html=False, pdf=True))
    names = [path.name for path in paths]
    assert "report.pdf" in names
    assert "report.html" not in names
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    write_results(analysis, tmp_path, pages=ReportPages(html=False))
    assert not (tmp_path / "report.pdf").exists()


def test_absent_package_is_told_before_the_work(monkeypatch, program, tmp_path, chest_folder):
    files = importlib.import_module("CovidSeverityLib.reporting.files")
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs the package reportlab"):
        ReportPages(pdf=True)
    run = program("analyze", chest_folder / "ct.nii.gz", "-o", tmp_path / "out", "--pdf")
    assert run.status == 2
    assert "pip install reportlab" in run.err
    assert not (tmp_path / "out").exists()


def test_path_steps():
    assert list(path_steps("M1 2H4V-3.5L0 0 1 1Z")) == [
        ("M", 1, 2),
        ("L", 4, 2),
        ("L", 4, -3.5),
        ("L", 0, 0),
        ("L", 1, 1),
        ("Z",),
    ]
    assert list(path_steps("M1 2 3 4Z")) == [("M", 1, 2), ("L", 3, 4), ("Z",)]


def test_every_class_of_the_charts_has_a_style(analysis, repository):
    folder = repository / "CovidSeverityLib" / "reporting" / "html" / "templates"
    styles = chart_styles((folder / "report.css").read_text(encoding="utf-8"))
    assert styles["pale"] == {"fill": "#e6ecf2"}
    charts = [e for e in parsed(html_text(analysis, viewer=False)).walk() if e.tag == "svg" and "chart" in e.classes]
    named = {".".join(part.classes) for chart in charts for part in chart.elements()} - {"bar", ""}
    assert len(charts) == 4
    assert named - styles.keys() == {"value"} & named
    colours = [value for style in styles.values() for key, value in style.items() if key in ("fill", "stroke")]
    assert [colour for colour in colours if not re.fullmatch(r"#[0-9a-f]{6}|none", colour)] == []
