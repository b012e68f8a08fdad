"""The slices of each case to evaluate: ``7-10,19,22`` for every case, or a table with a list for each case.

The first axial slice of the file is 1, as in viewers and in radiologists' tables.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.case_names import find_name
from CovidSeverityLib.io.csv_tables import CASE_WORDS, Table, read_table

SLICE_WORDS = ("slices", "slice", "sliceno", "slicenumber", "slicenumbers", "sliceindex")
"""Headers of the column with slices."""

EXAMPLE = "7-10,19,22"

INLINE = re.compile(r"[\s0-9,;–-]+")
"""Characters of a list of slices; other text is the path of a table."""

ITEM = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
DASH = re.compile(r"\s*[–-]\s*")
GAP = re.compile(r"[,;\s]+")

Range = tuple[int, int]
"""First and last slice, both 1-based and inclusive."""


@dataclass(frozen=True)
class SliceList:
    """The slices to evaluate. Without any field these are all slices of every case.

    Parameters
    ----------
    everywhere : tuple of Range or None
        Ranges for every case.
    by_case : tuple of (str, tuple of Range) or None
        Name and ranges of each case; other cases are not evaluated.
    """

    everywhere: tuple[Range, ...] | None = None
    by_case: tuple[tuple[str, tuple[Range, ...]], ...] | None = None

    @property
    def names(self) -> tuple[str, ...] | None:
        """The names of the cases with their own list; None if one list is used for every case."""
        return None if self.by_case is None else tuple(name for name, _ in self.by_case)

    def has(self, name: str) -> bool:
        """Whether the case ``name`` is to be evaluated."""
        return self.names is None or bool(find_name(name, self.names))

    def unknown(self, names: Iterable[str]) -> tuple[str, ...]:
        """Cases with their own list that are not in ``names``."""
        used = {found for name in names for found in find_name(name, self.names or ())}
        return tuple(name for name in self.names or () if name not in used)

    def for_case(self, name: str, count: int) -> tuple[int, ...]:
        """Return the slices of a case.

        Parameters
        ----------
        name : str
            Name of the case.
        count : int
            Number of slices in its file.

        Returns
        -------
        tuple of int
            0-based indices along the axial axis of the file, ascending, each once.

        Raises
        ------
        InputError
            If other cases have lists but this one has none, or if a slice is after the last one.
        """
        ranges = self.everywhere if self.by_case is None else _ranges_of(name, dict(self.by_case))
        if ranges is None:
            return tuple(range(count))
        last = max(last for _, last in ranges)
        if last > count:
            raise InputError(f"slice {last} of {name} was asked for; it has {count} slices")
        return tuple(sorted({index for first, last in ranges for index in range(first - 1, last)}))


def parse_slice_list(text: str) -> SliceList:
    """Return the slices that a user requests.

    Parameters
    ----------
    text : str
        ``7-10,19,22`` (1-based, ranges inclusive; for every case), or the path of a CSV file with one or more rows
        ``case,slices`` for each case; a header is optional, and slices may also be in separate columns.

    Raises
    ------
    InputError
        If it is neither, or if a list is empty, runs backwards, or contains 0 or a word.
    """
    if not text.strip():
        raise InputError(f"the list of slices is empty; slices such as {EXAMPLE}, or a CSV file, are needed")
    if INLINE.fullmatch(text):
        return SliceList(everywhere=_ranges(text, "the list of slices"))
    path = Path(text)
    if not _exists(path):
        raise InputError(f"{path.name} is neither a list of slices such as {EXAMPLE} nor a CSV file")
    table = read_table(path, lambda words: bool({*CASE_WORDS, *SLICE_WORDS}.intersection(words)), ragged=True)
    return SliceList(by_case=_by_case(table))


def _ranges_of(name: str, by_case: Mapping[str, tuple[Range, ...]]) -> tuple[Range, ...]:
    found = find_name(name, by_case)
    if len(found) > 1:
        raise InputError(f"the list of slices has several rows that may mean {name}: {', '.join(found)}")
    if not found:
        raise InputError(f"the list of slices does not name {name}")
    return by_case[found[0]]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # too long for a name
        return False


def _by_case(table: Table) -> tuple[tuple[str, tuple[Range, ...]], ...]:
    case, first = (0, 1) if table.header is None else _columns(table)
    ranges: dict[str, tuple[Range, ...]] = defaultdict(tuple)
    for row in table.rows:
        name = row.cell(case)
        if not name:
            raise table.error("the row names no case", row)
        cells = [cell for n, cell in enumerate(row.cells) if n >= first and n != case]
        ranges[name] += _ranges(",".join(cells), f"{table.name}, line {row.line}: the list of slices")
    return tuple(ranges.items())


def _columns(table: Table) -> tuple[int, int]:
    """The column of the case, and the first column with slices."""
    case, slices = table.case_column(), table.columns(SLICE_WORDS)
    if case is None or not slices:
        raise table.error(f"columns named case and slices are needed; {table.shown} are there")
    return case, slices[0]


def _ranges(text: str, where: str) -> tuple[Range, ...]:
    items = [item for item in GAP.split(DASH.sub("-", text.strip())) if item]
    if not items:
        raise InputError(f"{where} is empty; slices such as {EXAMPLE} are needed")
    return tuple(_range(item, where) for item in items)


def _range(item: str, where: str) -> Range:
    match = ITEM.fullmatch(item)
    if match is None:
        raise InputError(f"{where} holds {item!r}; slices such as {EXAMPLE} are needed")
    first, last = int(match[1]), int(match[2] or match[1])
    if first < 1:
        raise InputError(f"{where} holds {item!r}; the first slice is 1")
    if last < first:
        raise InputError(f"{where} holds {item!r}, which runs backwards; {last}-{first} is right")
    return first, last
