"""``contact_sheet_01.jpg`` ...: the thumbnails of all cases, to look through hundreds of CTs in a minute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

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


def contact_sheet_names(cases: int) -> tuple[str, ...]:
    """Names of the files that :func:`write_contact_sheets` writes for so many cases."""
    return tuple(f"contact_sheet_{n:02d}.jpg" for n in range(1, 1 + -(-cases // CASES_OF_SHEET)))


def write_contact_sheets(
    rows: Sequence[Row], thumbnails: Callable[[str], bytes | None], folder: Path
) -> tuple[str, ...]:
    """Write pages of thumbnails with the id and the CTSS of each case.

    Memory holds one page at a time.

    Parameters
    ----------
    rows : sequence of mapping of str to object
        The cases in the order of the pages, by column of ``cases.csv``. Failed cases are not among them.
    thumbnails : callable
        Is given ``case`` of a row and returns the bytes of ``thumbnail.jpg``. None, or bytes that are no picture, make
        a grey field that says so.
    folder : Path
        An existing folder; files of the same names are replaced.

    Returns
    -------
    tuple of str
        Names of the files, as :func:`contact_sheet_names`; none without cases.

    Raises
    ------
    OSError
        A file cannot be written.
    ValueError
        A score is no number.
    """
    names = contact_sheet_names(len(rows))
    for n, name in enumerate(names):
        first = n * CASES_OF_SHEET
        part = rows[first : first + CASES_OF_SHEET]
        cases = f"case {first + 1}" if len(part) == 1 else f"cases {first + 1} to {first + len(part)}"
        title = f"Contact sheet {n + 1} of {len(names)}: {cases} of {len(rows)}"
        _sheet(title, part, thumbnails).save(folder / name, "jpeg", quality=SHEET_QUALITY)
    return names


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
