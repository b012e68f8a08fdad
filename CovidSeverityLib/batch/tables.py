"""A CSV as the source of a batch: one case a row."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from pathlib import Path

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.case_names import without_ending
from CovidSeverityLib.io.csv_tables import Row, Table, read_table

from .addresses import child_of, is_address, last_name, parent_of
from .values import INPUT, BatchCase, CaseFailure

COLUMNS = ("path", "id", "lungs", "lobes", "series")
PATH, ID, *OPTIONAL = COLUMNS
MASKS = ("lungs", "lobes")

TABLE_ENDINGS = (".csv", ".tsv")
"""Endings of a source that is a table."""

Place = Callable[[str], str]
"""From a path in the table to a path or an address."""


def cases_of_table(
    path: Path, place: Place | None = None
) -> tuple[tuple[BatchCase, ...], tuple[CaseFailure, ...], tuple[str, ...]]:
    """Read the cases of a batch from a table.

    Parameters
    ----------
    path : Path
        CSV in UTF-8 with commas, semicolons or tabs. Its header names the columns: ``path``, and perhaps ``id``,
        ``lungs``, ``lobes`` and ``series``; capital letters make no difference. Paths are relative to the table, or
        addresses.
    place : callable or None
        From a path in the table to where it is; by default relative to the folder of ``path``.

    Returns
    -------
    cases : tuple of BatchCase
        In the order of the rows. A row without an id has that of its file or folder.
    failures : tuple of CaseFailure
        Rows without a path, and rows whose CT or mask is not there. Addresses are not looked up.
    unused : tuple of str
        Columns of the table that mean nothing here.

    Raises
    ------
    InputError
        If it is no table, has no column ``path`` or a column twice, or two rows have the same id.
    """
    table = read_table(path, lambda words: PATH in words)
    columns = _columns(table)
    place = place or (lambda value: value if is_address(value) else str(path.parent / value))
    cases: list[BatchCase] = []
    failures: list[CaseFailure] = []
    lines: dict[str, int] = {}
    for row in table.rows:
        values = {name: row.cell(column) for name, column in columns.items()}
        case = values.get(ID) or _name_of(values[PATH], path)
        if not case:
            raise table.error("the row has neither a path nor an id", row)
        if lines.setdefault(case, row.line) != row.line:
            raise _twice(table, row, case, lines[case], own=bool(values.get(ID)))
        reason = _missing(values, place)
        if reason:
            failures.append(CaseFailure(case, INPUT, reason))
        else:
            cases.append(_case(case, values, place))
    known = set(columns.values())
    unused = tuple(name for n, name in enumerate(table.header or ()) if n not in known and name)
    return tuple(cases), tuple(failures), unused


def place_beside(address: str) -> Place:
    """From a path in a table at ``address`` to an address: relative to the table's folder.

    Examples
    --------
    >>> place_beside("s3://bucket/lists/all.csv")("../cts/P001")
    's3://bucket/cts/P001'
    """

    def place(value: str) -> str:
        if is_address(value):
            return value
        folder, parts = parent_of(address), posixpath.normpath(value.replace("\\", "/")).split("/")
        if parts[0] == "":
            raise InputError(f"{last_name(address)} names the path {value}; a table at an address needs relative paths")
        while parts[:1] == [".."]:
            folder, parts = parent_of(folder), parts[1:]
        return child_of(folder, "/".join(parts))

    return place


def _columns(table: Table) -> dict[str, int]:
    """The columns by name."""
    if table.header is None:
        raise table.error(f"its first line has no column {PATH}; a header with {', '.join(COLUMNS)} is needed")
    found = {name: table.columns({name}) for name in COLUMNS}
    for name, columns in found.items():
        if len(columns) > 1:
            raise table.error(f"there are {len(columns)} columns {name}; one is needed")
    return {name: columns[0] for name, columns in found.items() if columns}


def _twice(table: Table, row: Row, case: str, line: int, *, own: bool) -> InputError:
    if own:
        return table.error(f"the id {case} is that of line {line} as well; each case needs its own", row)
    return table.error(f"the file has the name {case}, which line {line} has as well; give each row an id", row)


def _missing(values: dict[str, str], place: Place) -> str:
    """Why a row is no case; empty if it is one."""
    if not values[PATH]:
        return "the row names no path"
    for name in (PATH, *MASKS):
        value = values.get(name, "")
        where = place(value) if value else ""
        if value and not is_address(where) and not _exists(Path(where)):
            what = "file or folder" if name == PATH else f"{name} mask"
            return f"no such {what}: {Path(value.replace(chr(92), '/')).name or value}"
    return ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or has a null byte
        return False


def _case(case: str, values: dict[str, str], place: Place) -> BatchCase:
    masks = {name: place(values[name]) for name in MASKS if values.get(name)}
    return BatchCase(case, place(values[PATH]), **masks, series=values.get("series") or None)


def _name_of(value: str, table: Path) -> str:
    if not value:
        return ""
    if is_address(value):
        return without_ending(last_name(value))
    name = Path(value.replace("\\", "/")).name
    return without_ending(name) if name not in ("", "..") else (table.parent / value).resolve().name
