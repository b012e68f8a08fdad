"""Small tables that people write or export: CSV with commas, semicolons or tabs, with or without a header."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from CovidSeverityLib.checked import known
from CovidSeverityLib.errors import InputError

CASE_WORDS = (
    *("case", "caseid", "casename", "patientname", "patientid", "patient", "subject", "subjectid", "studyid", "study"),
    *("folderid", "folder", "scanid", "scan", "image", "imageid", "file", "filename", "path", "name", "id"),
)
"""Headers of the column with the case, in the form of :func:`word`; the first one in this order is used."""

MAX_BYTES = 50_000_000
"""Largest size of a table, bytes. A hundred thousand cases need a tenth of this; a larger file is probably a CT."""

SPREADSHEET_ENDINGS = {".xlsx", ".xlsm", ".xls", ".ods", ".numbers"}
SPREADSHEET_MAGIC = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""First bytes of a zip archive (.xlsx, .ods) and of an OLE file (.xls)."""

DELIMITERS = ("\t", ";", ",")
"""The first of these in the first line separates the cells. With another separator, a comma may be a decimal point or
part of a list."""

QUOTED = re.compile(r'"[^"]*"')
NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?")
"""A decimal comma, as in spreadsheets of many countries, is read as a decimal point."""

NOT_WORD = re.compile(r"[\W_]+")

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """``cells`` of the line ``line`` (the first is 1), without surrounding spaces and empty cells at the end."""

    line: int
    cells: tuple[str, ...]

    def cell(self, column: int) -> str:
        """The text in ``column``, empty if the row is shorter."""
        return self.cells[column] if column < len(self.cells) else ""


@dataclass(frozen=True)
class Table:
    """The content of a file. ``header`` is None without a header; ``rows`` are the rows that are not empty."""

    name: str
    header: tuple[str, ...] | None
    rows: tuple[Row, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The header in the form of :func:`word`."""
        return tuple(word(cell) for cell in self.header or ())

    @property
    def shown(self) -> str:
        """The header as in the file, for messages."""
        return ", ".join(name or "(no name)" for name in self.header or ())

    @property
    def width(self) -> int:
        """Cells of the longest row."""
        return max(len(row.cells) for row in self.rows)

    def columns(self, words: Collection[str]) -> tuple[int, ...]:
        """The columns whose header is one of ``words``."""
        return tuple(n for n, text in enumerate(self.words) if text in words)

    def case_column(self) -> int | None:
        """The column with the case; None if there is none."""
        found = min(self.columns(CASE_WORDS), key=lambda n: CASE_WORDS.index(self.words[n]), default=None)
        if found is not None and self.words.count(self.words[found]) > 1:
            raise self.error(f"there are several columns {known(self.header)[found]}; one is needed")
        return found

    def error(self, text: str, row: Row | None = None) -> InputError:
        """An error that names the file, and the line of ``row``."""
        return InputError(f"{self.name}, line {row.line}: {text}" if row else f"{self.name}: {text}")


def read_table(path: Path, is_header: Callable[[tuple[str, ...]], bool], *, ragged: bool = False) -> Table:
    """Read a table.

    Parameters
    ----------
    path : Path
        A text file, UTF-8 or (the "Unicode text" of spreadsheets) UTF-16; cells may be quoted.
    is_header : callable
        Decides whether the first row is a header, from its cells in the form of :func:`word`.
    ragged : bool
        Whether rows may have more cells than the header.

    Raises
    ------
    InputError
        If the file cannot be read, is a spreadsheet or not text, has no rows, contains an open quote, or has a row
        that is longer than the header.
    """
    text = _text(path)
    try:
        rows = _rows(text)
    except csv.Error as error:
        raise InputError(f"{path.name} is no CSV file: {error}") from error
    header = rows.pop(0).cells if rows and is_header(tuple(word(cell) for cell in rows[0].cells)) else None
    if not rows:
        raise InputError(f"{path.name} has no rows; one for each case is needed")
    table = Table(path.name, header, tuple(rows))
    for row in rows:
        if header is not None and not ragged and len(row.cells) > len(header):
            raise table.error(f"it has {len(row.cells)} values for {len(header)} columns; one for each is needed", row)
    return table


def word(text: str) -> str:
    """``text`` in lower case without spaces and punctuation, for comparing headers and labels."""
    return NOT_WORD.sub("", text.casefold())


def number(text: str) -> float | None:
    """``text`` as a decimal number; None for other text."""
    return float(text.replace(",", ".")) if NUMBER.fullmatch(text) else None


def whole_number(text: str) -> int | None:
    """``text`` as an integer, also for ``5.0``; None for other text."""
    value = number(text)
    return int(value) if value is not None and value.is_integer() else None


def once_each(table: Table, entries: Iterable[tuple[Row, str, T]], what: str) -> Mapping[str, T]:
    """Return the values by case, in the order of the file; a case may be repeated with the same value.

    Parameters
    ----------
    table : Table
        Table, for messages.
    entries : iterable of (Row, str, T)
        Row, case and value.
    what : str
        Kind of the values ("label"), for messages.

    Raises
    ------
    InputError
        If a row has no case, or a case has two values.
    """
    values: dict[str, T] = {}
    lines: dict[str, int] = {}
    for row, case, value in entries:
        if not case:
            raise table.error("the row names no case", row)
        if values.setdefault(case, value) != value:
            raise table.error(f"{case} has another {what} than in line {lines[case]}; one is needed", row)
        lines.setdefault(case, row.line)
    return MappingProxyType(values)


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path.name} has {size // 1_000_000} MB, too many for a table; a CSV file is needed")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path.name}") from error
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror or type(error).__name__}") from error
    if path.suffix.lower() in SPREADSHEET_ENDINGS or content.startswith(SPREADSHEET_MAGIC):
        raise InputError(f"{path.name} is a spreadsheet; save it as CSV")
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8 text; a CSV file in UTF-8 is needed") from error
    if "\0" in text:
        raise InputError(f"{path.name} is no text; a CSV file is needed")
    return text


def _rows(text: str) -> list[Row]:
    if text.count('"') % 2:
        raise csv.Error("a quotation mark is not closed")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True)
    rows = [Row(reader.line_num, _trimmed(cells)) for cells in reader]
    return [row for row in rows if row.cells]


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    bare = QUOTED.sub("", first)
    return next((d for d in DELIMITERS if d in bare), ",")


def _trimmed(cells: Sequence[str]) -> tuple[str, ...]:
    texts = [cell.strip() for cell in cells]
    while texts and not texts[-1]:
        texts.pop()
    return tuple(texts)
