"""Contact sheets: every case once, in order, whatever its name is and whether its thumbnail is there."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageColor

from CovidSeverityLib.batch.page.contact_sheet import (
    ABSENT,
    CASES_OF_SHEET,
    SHEET_COLUMNS,
    contact_sheets,
)
from CovidSeverityLib.batch.page.lettering import ELLIPSIS, fitted, font
from CovidSeverityLib.batch.page.thumbnail import THUMBNAIL_SIZE

GREEN = (20, 160, 60)


def write_contact_sheets(rows, thumbnails, folder):
    """Write all sheets, and return their names."""
    writers = contact_sheets(rows, thumbnails)
    for name, write in writers.items():
        write(folder / name)
    return tuple(writers)


def jpeg(colour=GREEN, size=THUMBNAIL_SIZE):
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, "jpeg", quality=95)
    return file.getvalue()


def huge():
    """A file whose header claims 65,000 x 65,000 pixels."""
    content = bytearray(jpeg())
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = (65_000).to_bytes(2, "big") * 2
    return bytes(content)


def pixels(path):
    with Image.open(path) as sheet:
        return np.asarray(sheet.convert("RGB")).astype(int)


def near(found, colour):
    return (np.abs(found - np.array(colour)) < 25).all(axis=2)


def thumbnails_of(path, colour):
    """Number of thumbnails of one colour."""
    return near(pixels(path), colour).sum() / (THUMBNAIL_SIZE[0] * THUMBNAIL_SIZE[1])


def test_every_case_is_asked_for_once_and_in_order(make_row, tmp_path):
    asked = []

    def thumbnail(case):
        asked.append(case)
        return jpeg()

    rows = [make_row(f"P{n:03d}") for n in range(CASES_OF_SHEET + 2)]
    names = write_contact_sheets(rows, thumbnail, tmp_path)
    assert names == ("contact_sheet_01.jpg", "contact_sheet_02.jpg")
    assert asked == [row["case"] for row in rows]
    assert {path.name for path in tmp_path.iterdir()} == {*names}
    assert thumbnails_of(tmp_path / names[0], GREEN) == pytest.approx(CASES_OF_SHEET, abs=0.5)
    assert thumbnails_of(tmp_path / names[1], GREEN) == pytest.approx(2, abs=0.1)


def test_a_page_is_written_before_the_next_is_begun(make_row, tmp_path):
    def thumbnail(case):
        if case == str(CASES_OF_SHEET):
            assert (tmp_path / "contact_sheet_01.jpg").stat().st_size > 0

    rows = [make_row(str(n)) for n in range(CASES_OF_SHEET + 1)]
    assert len(write_contact_sheets(rows, thumbnail, tmp_path)) == 2


@pytest.mark.parametrize(
    ("cases", "last"),
    [
        (0, None),
        (1, "contact_sheet_01.jpg"),
        (CASES_OF_SHEET, "contact_sheet_01.jpg"),
        (99 * CASES_OF_SHEET + 1, "contact_sheet_100.jpg"),
    ],
)
def test_names_follow_from_the_number_of_cases(cases, last):
    names = tuple(contact_sheets([{}] * cases, lambda case: None))
    assert names[-1:] == (() if last is None else (last,))
    assert len({*names}) == len(names) == -(-cases // CASES_OF_SHEET)


def test_without_cases_there_is_no_sheet(tmp_path):
    assert write_contact_sheets([], lambda case: None, tmp_path) == ()
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    "thumbnail",
    [None, b"", b"no picture", jpeg()[:200], jpeg(size=(480, 240)), huge(), jpeg()[:2] + b"\xff" * 500],
    ids=["missing", "empty", "text", "cut short", "too large", "claims 4 billion pixels", "damaged"],
)
def test_missing_or_damaged_thumbnail_is_a_grey_field_beside_the_others(make_row, tmp_path, thumbnail):
    rows = [make_row("bad"), make_row("good")]
    (name,) = write_contact_sheets(rows, lambda case: thumbnail if case == "bad" else jpeg(), tmp_path)
    grey = ImageColor.getrgb(ABSENT)
    assert thumbnails_of(tmp_path / name, grey) == pytest.approx(1, abs=0.12)  # letters cover some of it
    assert thumbnails_of(tmp_path / name, GREEN) == pytest.approx(1, abs=0.05)
    assert near(pixels(tmp_path / name), (27, 39, 51)).any()


def test_same_rows_give_the_same_bytes(make_row, tmp_path):
    rows = [make_row(f"case {n}", n) for n in range(9)]
    (tmp_path / "again").mkdir()
    for folder in (tmp_path, tmp_path / "again"):
        write_contact_sheets(rows, lambda case: jpeg(), folder)
    one, two = ((folder / "contact_sheet_01.jpg").read_bytes() for folder in (tmp_path, tmp_path / "again"))
    assert one == two


def test_score_and_its_range_change_the_caption(make_row, tmp_path):
    def caption(**changes):
        write_contact_sheets([make_row(**changes)], lambda case: jpeg(), tmp_path)
        return (tmp_path / "contact_sheet_01.jpg").read_bytes()

    pictures = [caption(ctss=9), caption(ctss=9, ctss_high=12), caption(ctss=None), caption(case="P002", ctss=9)]
    assert len({*pictures}) == 4


def test_any_name_fits_below_its_thumbnail(nasty, make_row, tmp_path):
    rows = [make_row(case) for case in nasty]
    (name,) = write_contact_sheets(rows, lambda case: jpeg(), tmp_path)
    found = pixels(tmp_path / name)
    gap_of_columns = [24 + 240 * n + 12 * (n - 1) for n in range(1, SHEET_COLUMNS)]
    for x in gap_of_columns:
        assert found[80:-40, x + 2 : x + 10].min() > 235, "a caption runs into the next column"


@pytest.mark.parametrize("text", ["", "short", "x" * 250, "Wide WWWW " * 20, "patient-0001-series-0007-thorax"])
@pytest.mark.parametrize("width", [40, 150, 240])
def test_text_is_shortened_in_the_middle_and_only_where_it_must_be(text, width):
    letters = font(15)
    found = fitted(text, width, letters)
    assert letters.getlength(found) <= width
    if letters.getlength(text) <= width:
        assert found == text
    else:
        head, tail = found.split(ELLIPSIS)
        assert text.startswith(head)
        assert text.endswith(tail)
        assert 0 <= len(head) - len(tail) <= 1
        longer = text[: len(tail) + 1] if len(head) > len(tail) else text[: len(head) + 1]
        assert letters.getlength(longer + ELLIPSIS + text[len(text) - len(head) :]) > width
