"""``contact_sheet_01.jpg`` ...: the thumbnails of all cases, to look through hundreds of CTs in a minute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from CovidSeverityLib.reporting.output_folder import FileWriter
from CovidSeverityLib.reporting.overview import FALLBACK_SEVERITY_COLOUR, SEVERITY_COLOURS
from CovidSeverityLib.reporting.overview_panels import INK, MUTED
from CovidSeverityLib.reporting.report_parts import RESEARCH_USE

from .lettering import BOLD, fitted, font
from .row_values import Row, ctss_text, text
from .thumbnail import THUMBNAIL_SIZE

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

SHEET_COLUMNS, SHEET_ROWS = 6, 12
"""Thumbnails of a sheet, whose sides have the proportion of A4 then."""

CASES_OF_SHEET = SHEET_COLUMNS * SHEET_ROWS

SHEET_MARGIN, SHEET_GAP = 24, 12
HEADER_HEIGHT, FOOTER_HEIGHT, CAPTION_HEIGHT = 48, 34, 40
"""Heights of the text above and below all thumbnails, and below each of them, pixels."""

TITLE_PIXELS, TEXT_PIXELS = 24, 15
SWATCH_PIXELS = 11
SHEET_QUALITY = 85

PAPER, ABSENT = "white", "#b9c2cb"


def contact_sheet_name(number: int) -> str:
    """Name of a page; the first one has the number 1."""
    return f"contact_sheet_{number:02d}.jpg"


def contact_sheets(rows: Sequence[Row], thumbnails: Callable[[str], bytes | None]) -> dict[str, FileWriter]:
    """A writer of each page of thumbnails with the id and the CTSS of each case, by the name of its file.

    Parameters
    ----------
    rows : sequence of mapping of str to object
        The cases in the order of the pages, by column of ``cases.csv``. Failed cases are not among them.
    thumbnails : callable
        Is given ``case`` of a row and returns the bytes of ``thumbnail.jpg``. None, or bytes that are no picture, make
        a grey field that says so.

    Returns
    -------
    dict of str to FileWriter
        None without cases. A writer raises OSError where its file cannot be written, and ValueError for a score that is
        no number.
    """
    count = -(-len(rows) // CASES_OF_SHEET)
    writers: dict[str, FileWriter] = {}
    for n in range(count):
        first = n * CASES_OF_SHEET
        part = rows[first : first + CASES_OF_SHEET]
        cases = f"case {first + 1}" if len(part) == 1 else f"cases {first + 1} to {first + len(part)}"
        title = f"Contact sheet {n + 1} of {count}: {cases} of {len(rows)}"
        writers[contact_sheet_name(n + 1)] = partial(_write_sheet, title, part, thumbnails)
    return writers


def _write_sheet(title: str, rows: Sequence[Row], thumbnails: Callable[[str], bytes | None], path: Path) -> None:
    _sheet(title, rows, thumbnails).save(path, "jpeg", quality=SHEET_QUALITY)


def _sheet(title: str, rows: Sequence[Row], thumbnails: Callable[[str], bytes | None]) -> Image:
    from PIL import Image, ImageDraw

    tile = THUMBNAIL_SIZE[0], THUMBNAIL_SIZE[1] + CAPTION_HEIGHT
    used = -(-len(rows) // SHEET_COLUMNS)
    width = 2 * SHEET_MARGIN + SHEET_COLUMNS * tile[0] + (SHEET_COLUMNS - 1) * SHEET_GAP
    top = SHEET_MARGIN + HEADER_HEIGHT
    height = top + used * (tile[1] + SHEET_GAP) + FOOTER_HEIGHT
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((SHEET_MARGIN, SHEET_MARGIN), title, INK, font(TITLE_PIXELS, BOLD), "lt")
    draw.text((SHEET_MARGIN, height - FOOTER_HEIGHT), RESEARCH_USE, MUTED, font(TEXT_PIXELS), "lt")
    for n, row in enumerate(rows):
        line, column = divmod(n, SHEET_COLUMNS)
        corner = SHEET_MARGIN + column * (tile[0] + SHEET_GAP), top + line * (tile[1] + SHEET_GAP)
        _draw_case(sheet, draw, corner, row, thumbnails(str(row["case"])))
    return sheet


def _draw_case(sheet: Image, draw: ImageDraw, corner: tuple[int, int], row: Row, thumbnail: bytes | None) -> None:
    x, y = corner
    width, height = THUMBNAIL_SIZE
    picture = None if thumbnail is None else _opened(thumbnail)
    if picture is None:
        draw.rectangle((x, y, x + width - 1, y + height - 1), ABSENT)
        draw.text((x + width // 2, y + height // 2), "no picture", INK, font(TEXT_PIXELS), "mm")
    else:
        sheet.paste(picture, corner)
    name = fitted(text(row, "case"), width, font(TEXT_PIXELS, BOLD))
    draw.text((x, y + height + 16), name, INK, font(TEXT_PIXELS, BOLD), "ls")
    severity = text(row, "severity")
    swatch_y = y + height + 34 - SWATCH_PIXELS
    draw.rectangle(
        (x, swatch_y, x + SWATCH_PIXELS - 1, swatch_y + SWATCH_PIXELS - 1),
        SEVERITY_COLOURS.get(severity, FALLBACK_SEVERITY_COLOUR),
    )
    score = f"CTSS {ctss_text(row)}" if row.get("ctss") not in (None, "") else "no CTSS"
    line = fitted(f"{score}  {severity}", width - SWATCH_PIXELS - 5, font(TEXT_PIXELS))
    draw.text((x + SWATCH_PIXELS + 5, y + height + 34), line, INK, font(TEXT_PIXELS), "ls")


def _opened(thumbnail: bytes) -> Image | None:
    """The picture, no larger than a thumbnail; None if the bytes are none."""
    from PIL import Image

    try:
        picture = Image.open(BytesIO(thumbnail), formats=["JPEG"])
        if picture.size != THUMBNAIL_SIZE:
            return None
        return picture.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises for damaged files
        return None
