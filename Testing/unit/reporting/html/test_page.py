"""``report.html``: what it says, that it tells nothing about whose CT it is, and that no case breaks it."""

from __future__ import annotations

import base64
import dataclasses
import gettext
import html
import importlib
import io
import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.reporting.citation import AUTHORS, LICENCE, REFERENCES, TITLE, software_citation
from CovidSeverityLib.reporting.html import html_text
from CovidSeverityLib.reporting.html.texts import LIBRARY_TEXTS, check_language, translations
from CovidSeverityLib.types import Lobe, NoteSeverity, Opacity, QualityNote, Side

NAME = "Doe_Jane_1970-01-01.nii.gz"


def viewer_of(page: str) -> dict:
    return json.loads(re.search(r'id="slice-data">(.*?)</script>', page, re.DOTALL)[1])


def words_of(page: str) -> str:
    """The text that a reader sees, on one line."""
    body = re.sub(r"<(style|script).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


def labels_of(slice_, rows, columns):
    table = np.frombuffer(base64.b64decode(slice_["runs"]), [("length", "<u2"), ("label", "u1")])
    return np.repeat(table["label"], table["length"]).reshape(rows, columns)


@pytest.fixture(scope="module")
def analysis(factory):
    return factory.make_analysis()


@pytest.fixture(scope="module")
def page(analysis):
    return html_text(analysis)


def test_page_says_the_score_its_lobes_and_that_it_is_no_medical_device(analysis, page):
    words = words_of(page)
    assert f"CT severity score {analysis.ctss} of 25 {analysis.severity.label}" in words
    for score in analysis.lobe_scores:
        assert f"{score.lobe.name} {score.score} {score.involvement_percent:.1f} {score.infection_ml:.1f}" in words
    assert words.count("Not a medical device") == 2
    assert "Warning: Slices are 5 mm thick." in words
    assert "Note: The lobes are a geometric split." in words


def test_range_is_shown_where_there_is_one(analysis):
    ranged = dataclasses.replace(analysis, ctss_range=(analysis.ctss - 1, analysis.ctss + 2))
    assert f"{analysis.ctss} ({analysis.ctss - 1}–{analysis.ctss + 2}) of 25" in words_of(html_text(ranged))
    exact = dataclasses.replace(analysis, ctss_range=(analysis.ctss, analysis.ctss))
    assert f"severity score {analysis.ctss} of 25" in words_of(html_text(exact))


def test_page_needs_nothing_from_outside(page):
    assert 2e4 < len(page) < 2e6
    assert re.findall(r'(?:src|href|action|srcset)="(?!data:|#|https://doi\.org/)([^"]*)"', page) == []
    assert "url(" not in page
    assert "@import" not in page
    assert re.search(r"Content-Security-Policy\" content=\"default-src 'none'; img-src data:", page)


def test_page_is_the_same_for_the_same_result(analysis, page):
    assert html_text(analysis) == page


def test_nothing_tells_whose_ct_it_is_unless_a_title_is_given(factory):
    volume = factory.make_volume(factory.make_chest().hu, name=NAME)
    analysis = factory.make_analysis(volume=volume)
    from_file = dataclasses.replace(
        analysis.provenance, lungs_from=f"file {NAME}", lobes_from=f"file {NAME} (R labels)"
    )
    notes = (
        QualityNote("files_left_out", NoteSeverity.WARNING, "Left out, for ...: Doe_Jane_2.dcm. If they are slices."),
    )
    analysis = dataclasses.replace(analysis, provenance=from_file, quality=notes)
    page = html_text(analysis)
    assert "Doe_Jane" not in page
    assert "1970" not in page
    assert "Warning: Files were left out" in words_of(page)
    assert "Lungs: masks from a file. Lobes: masks from a file." in words_of(page)
    titled = html_text(analysis, title="Case 7 <b>")
    assert "<h1>Case 7 &lt;b&gt;</h1>" in titled
    assert "Case 7 <b>" not in titled
    assert f"Lungs: file {NAME}." in words_of(titled)
    assert "Doe_Jane_2.dcm" in words_of(titled)


@pytest.mark.parametrize("name", ["1", "a", "ml"])
def test_name_of_the_input_changes_no_number_of_a_note(factory, name):
    note = QualityNote("cut", NoteSeverity.WARNING, "11 ml of a lung are cut off.")
    analysis = factory.make_analysis(volume=factory.make_volume(factory.make_chest().hu, name=name))
    assert "Warning: 11 ml of a lung are cut off." in words_of(
        html_text(dataclasses.replace(analysis, quality=(note,)))
    )


def test_viewer_holds_every_slice_superior_first_with_its_labels(analysis, page):
    data = viewer_of(page)
    z_mm = analysis.volume.geometry.slice_z_mm()[::-1]
    assert [slice_["z"] for slice_ in data["slices"]] == [f"{z:.1f}".replace("-", "−") for z in z_mm]
    columns, rows = data["size"]
    stack = np.stack([labels_of(slice_, rows, columns) for slice_ in data["slices"]])[::-1]
    assert np.bincount((stack & 7).ravel(), minlength=6)[1:].tolist() == [(analysis.lobes == m).sum() for m in Lobe]
    assert [(stack >> 3 & 3 == side).sum() for side in Side] == [(analysis.lungs == side).sum() for side in Side]
    assert [(stack >> 5 == kind).sum() for kind in Opacity] == [analysis.opacity_voxels[kind] for kind in Opacity]
    worst = max(analysis.slices, key=lambda row: row.infected_voxels)
    assert data["slices"][data["start"]]["percent"] == f"{worst.infection_percent:.1f}"


def test_pictures_of_the_viewer_are_the_slices_in_the_lung_window(analysis, page):
    data = viewer_of(page)
    middle = len(data["slices"]) // 2
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["slices"][middle]["jpeg"]))), dtype=float)
    assert picture.shape == tuple(data["size"][::-1])
    labels = labels_of(data["slices"][middle], *picture.shape)
    lung = (labels > 0) & (labels < 32)
    assert abs(picture[lung].mean() - (-850 + 1350) * 255 / 1500) < 6


def test_a_ct_of_many_slices_is_shown_coarser(analysis, monkeypatch):
    pictures = importlib.import_module("CovidSeverityLib.reporting.html.pictures")
    whole = viewer_of(html_text(analysis))["size"]
    monkeypatch.setattr(pictures, "MAX_STACK_PIXELS", analysis.volume.hu.size // 8)
    data = viewer_of(html_text(analysis))
    assert data["size"][0] <= whole[0] / 2 + 1
    picture = Image.open(io.BytesIO(base64.b64decode(data["slices"][3]["jpeg"])))
    assert picture.size == tuple(data["size"])
    assert labels_of(data["slices"][3], *data["size"][::-1]).any()


def without_lobes(analysis):
    scores = tuple(dataclasses.replace(score, voxels=0, infected_voxels=0) for score in analysis.lobe_scores)
    rows = tuple(
        dataclasses.replace(row, lobe_voxels=(0,) * 5, lobe_infected_voxels=(0,) * 5) for row in analysis.slices
    )
    return dataclasses.replace(
        analysis, lobes=np.zeros_like(analysis.lobes), lobe_scores=scores, slices=rows, ctss_range=None
    )


def test_page_without_lobes_says_so(analysis):
    page = html_text(without_lobes(analysis))
    words = words_of(page)
    assert "There is no CTSS" in words
    assert "Coronal" not in words
    assert "None" not in words
    assert 'id="show-lobe"' not in page


def one_slice(factory):
    chest = factory.make_chest()
    thin = type(chest)(*(getattr(chest, name)[9:10] for name in ("hu", "lungs", "lobes", "infection")))
    return without_lobes(factory.make_analysis(thin))


def test_page_of_one_slice_has_no_profile(factory):
    page = html_text(one_slice(factory))
    assert 'id="profile"' not in page
    assert len(viewer_of(page)["slices"]) == 1


def test_healthy_and_one_sided_lungs_and_long_notes_do_not_break_the_page(factory):
    healthy = html_text(factory.make_analysis(factory.make_chest(infected=False)))
    assert "largest area of opacity" not in words_of(healthy)
    words = words_of(html_text(factory.make_analysis(factory.make_chest(sides=(Side.RIGHT,)))))
    assert "LUL absent" in words
    note = QualityNote("odd", NoteSeverity.WARNING, "</script><script>alert(1)</script> & more " * 20)
    page = html_text(factory.make_analysis(quality=(note,)))
    assert "<script>alert" not in page


def test_interpolated_slices_are_named(factory):
    chest = factory.make_chest()
    acquired = tuple(k != 8 for k in range(len(chest.hu)))
    analysis = factory.make_analysis(chest, factory.make_volume(chest.hu, acquired=acquired))
    slices = viewer_of(html_text(analysis))["slices"]
    assert [k for k, slice_ in enumerate(slices) if not slice_["acquired"]] == [len(slices) - 1 - 8]


def test_diagnosis_is_on_the_page(factory):
    words = words_of(html_text(factory.make_diagnosed()))
    assert "What a network says COVID-19" in words or "What a network says community" in words
    assert "network net (SHA-256 abababababab)" in words


def test_methods_name_version_packages_and_references(analysis, page):
    words = words_of(page)
    assert f"CovidSeverity {analysis.provenance.version} [1] (profile default; Python 3." in words
    assert f"numpy {np.__version__}" in words
    assert software_citation("0.1.0") in words
    for reference in REFERENCES:
        assert f"{reference.text} doi: {reference.doi}" in words


def test_citation_is_that_of_the_file(repository):
    text = (repository / "CITATION.cff").read_text(encoding="utf-8")
    own, _, cited = text.partition("references:")
    fields = dict(re.findall(r"^(?:  - )?(\w+): (.+)$", own, re.MULTILINE))
    assert (fields["title"], fields["name"], fields["license"]) == (TITLE, AUTHORS, LICENCE)
    articles = [dict(re.findall(r"^    (\w+): (.+)$", part, re.MULTILINE)) for part in cited.split("- type: ")[1:]]
    assert [article["doi"] for article in articles] == [reference.doi for reference in REFERENCES]
    for article, reference in zip(articles, REFERENCES, strict=True):
        pages = article["start"] + (f"-{article['end']}" if "end" in article else "")
        where = f"{article['journal']} {article['year']};{article['volume']}:{pages}."
        title = article["title"].strip("'")
        assert reference.text.endswith(f". {title}. {where}")


class Marked(gettext.NullTranslations):
    """A language in which every text stands between marks."""

    def gettext(self, message):
        return f"«{message}»"

    def ngettext(self, one, many, n):
        return f"«{one if n == 1 else many}»"


FIXED = re.compile(
    r"[\d\s.,:;/()%×−–·▲▼\[\]-]+|CovidSeverity|RUL|RML|RLL|LUL|LLL|[RL]|HU|mm|ml|z|default|doi|Python|numpy|scipy"
    r"|scikit-image|SimpleITK|0-1"
)
"""What no language changes."""


def test_every_text_of_the_page_can_be_translated(factory):
    analysis = factory.make_diagnosed(quality=())
    page = html_text(analysis, texts=Marked())
    page = re.sub(r"<li>[^«]*?</li>", " ", page)  # references
    for left in (software_citation("0.1.0"), "Someone 2020"):
        page = page.replace(left, " ")
    names = [*(reference.name for reference in REFERENCES), "Müller 1988", "(SHA-256 abababababab)"]
    words = words_of(page)
    for name in names:
        words = words.replace(name, " ")
    while (shorter := re.sub(r"«[^«»]*»", " ", words)) != words:
        words = shorter
    assert FIXED.sub(" ", words).split() == []
    labels = re.findall(r'(?:aria-label|title|data-\w+)="([^"]+)"', page)
    assert [label for label in labels if "«" not in label] == []


def machine_file(texts: dict[str, str]) -> bytes:
    """A compiled translation, as msgfmt writes it."""
    keys = sorted(texts)
    originals, translated = ([text.encode() for text in part] for part in (keys, [texts[key] for key in keys]))
    at = 28 + 16 * len(keys)
    tables = []
    for part in (originals, translated):
        for text in part:
            tables.append(struct.pack("<II", len(text), at))
            at += len(text) + 1
    head = struct.pack("<7I", 0x950412DE, 0, len(keys), 28, 28 + 8 * len(keys), 0, 28 + 16 * len(keys))
    return head + b"".join(tables) + b"".join(text + b"\0" for text in (*originals, *translated))


def test_a_compiled_translation_is_used_and_the_rest_is_english(analysis, tmp_path):
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    head = "Content-Type: text/plain; charset=UTF-8\nLanguage: de\n"
    (folder / "report.mo").write_bytes(machine_file({"": head, "Lung volume": "Lungenvolumen", "mild": "leicht"}))
    german = html_text(analysis, language="de", texts=translations("de", tmp_path))
    assert '<html lang="de">' in german
    assert "Lungenvolumen" in german
    assert "leicht" in words_of(german)
    assert "Well-aerated lung" in german
    assert html_text(analysis, language="xx").startswith('<!DOCTYPE html>\n<html lang="en">')


def test_a_language_without_a_translation_is_refused_before_the_work(program, chest_folder, tmp_path):
    (tmp_path / "de" / "LC_MESSAGES").mkdir(parents=True)
    (tmp_path / "de" / "LC_MESSAGES" / "report.mo").write_bytes(machine_file({}))
    for language in ("de", "de_AT", "en", "en_GB"):
        check_language(language, tmp_path)
    with pytest.raises(InputError, match="no translation to 'fr'; there is: de, en"):
        check_language("fr", tmp_path)
    run = program("analyze", chest_folder / "ct.nii.gz", "-o", tmp_path / "out", "--language", "xx")
    assert run.status == 2
    assert "no translation to 'xx'" in run.err
    assert not (tmp_path / "out").exists()


def test_list_of_texts_is_as_the_templates_say(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[4] / "docs")
    lister = importlib.import_module("list_texts")
    assert lister.PAGE.read_text(encoding="utf-8") == lister.page(), "run python docs/list_texts.py"
    assert set(LIBRARY_TEXTS) <= lister.texts().keys()
    assert len(lister.texts()) > 80
