"""What a table of numbers says of itself: its columns with their type, unit, definition and source."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

OPEN_PART = re.compile(r"{(\w+)}")
"""The part of a column's name that its table decides, as in ``recall_{label}``."""


class Kind(str, Enum):
    """The type of the cells of a column."""

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    FLAG = "0 or 1"


UNITS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "": (-math.inf, math.inf),
        "%": (0, 100),
        "HU": (-1024, math.inf),
        "epochs": (1, math.inf),
        "lesions": (0, math.inf),
        "ml": (0, math.inf),
        "mm": (-math.inf, math.inf),
        "pixels": (0, math.inf),
        "points": (0, 25),
        "s": (0, math.inf),
        "share": (0, 1),
        "slices": (0, math.inf),
        "votes": (0, 1),
        "voxels": (0, math.inf),
    }
)
"""Units, with the lowest and the highest value of a column that does not state other ones."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        Its header. A part in braces is decided by the table: ``recall_{label}``.
    kind : Kind
        Type of its cells.
    unit : str
        One of :data:`UNITS`; empty for texts, labels and coefficients.
    definition : str
        What a cell says, as a sentence.
    source : str
        Publication that the definition comes from, or the module of the library that computes it.
    empty : str
        When a cell is empty; an empty text if none ever is.
    low, high : float, optional
        Lowest and highest value; None for those of the unit.
    values : tuple of str
        The texts that are possible; none for any text.
    group : str
        Name of the group of columns that are written together under a condition of the table; an empty text if the
        column is always written.

    Raises
    ------
    ValueError
        The unit is unknown.
    """

    name: str
    kind: Kind
    unit: str
    definition: str
    source: str
    empty: str = ""
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    group: str = ""

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"the column {self.name} has the unit {self.unit!r}; one of {', '.join(UNITS)} is needed")

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value."""
        low, high = UNITS[self.unit]
        return low if self.low is None else self.low, high if self.high is None else self.high

    def describes(self, header: str) -> bool:
        """Whether this is the column with ``header``.

        Examples
        --------
        >>> recall = Column("recall_{label}", Kind.NUMBER, "share", "Marked part of a label.", "metrics.py")
        >>> recall.describes("recall_2"), recall.describes("dice")
        (True, False)
        """
        return re.fullmatch(OPEN_PART.sub("(.+)", re.sub(r"([^\w{}])", r"\\\1", self.name)), header) is not None

    def fault(self, cell: str) -> str:
        """What is wrong with the text of a cell; empty if it is as described.

        Parameters
        ----------
        cell : str
            The cell as it stands in the file.
        """
        if not cell:
            return "" if self.empty else "is empty"
        if self.kind is Kind.TEXT:
            return "" if not self.values or cell in self.values else f"is none of {', '.join(self.values)}"
        if self.kind is Kind.FLAG:
            return "" if cell in ("0", "1") else "is neither 0 nor 1"
        pattern = r"-?\d+" if self.kind is Kind.INTEGER else r"-?\d+(\.\d+)?(e[+-]\d+)?"
        if not re.fullmatch(pattern, cell):
            return f"is no {self.kind.value}"
        low, high = self.range
        return "" if low <= float(cell) <= high else f"is not from {low:g} to {high:g} {self.unit}".rstrip()


@dataclass(frozen=True, eq=False)
class TableFormat:
    """A CSV table: UTF-8, a header, commas, a line feed at the end of a line, decimal points.

    Parameters
    ----------
    file : str
        Name of the file.
    written_by : str
        The command or the part of the program that writes it.
    rows : str
        What a row is, as a sentence.
    columns : tuple of Column
        Columns in their order.
    groups : mapping of str to str
        When the columns of a group are written, by the name of the group.
    """

    file: str
    written_by: str
    rows: str
    columns: tuple[Column, ...]
    groups: Mapping[str, str] = field(default_factory=dict)

    def header(self, groups: Collection[str] = (), **parts: Sequence[object]) -> tuple[str, ...]:
        """The header of one table.

        Parameters
        ----------
        groups : collection of str
            Groups that it has.
        **parts : sequence of object
            What stands for each open part of a name: a column is repeated for each of them, in their order.

        Examples
        --------
        >>> label = Column("recall_{label}", Kind.NUMBER, "share", "Marked part of a label.", "metrics.py")
        >>> TableFormat("results.csv", "a test", "A row.", (label,)).header(label=(1, 2))
        ('recall_1', 'recall_2')
        """
        names: list[str] = []
        for column in self.columns:
            if column.group and column.group not in groups:
                continue
            part = OPEN_PART.search(column.name)
            values = parts[part.group(1)] if part else ("",)
            names += [OPEN_PART.sub(str(value), column.name) for value in values]
        return tuple(names)

    def column(self, header: str) -> Column | None:
        """The column with ``header``, of several with open parts the one that says most of its name; or None."""
        found = [column for column in self.columns if column.describes(header)]
        return max(found, key=lambda column: len(OPEN_PART.sub("", column.name)), default=None)

    def faults(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
        """What is not as described in a table that was written: nothing is listed if all is well.

        Parameters
        ----------
        header : sequence of str
            Names of its columns.
        rows : sequence of sequence of str
            Its cells.
        """
        found = [f"the column {name} is not described" for name in header if self.column(name) is None]
        needed = [column for column in self.columns if not column.group and not OPEN_PART.search(column.name)]
        found += [f"the column {column.name} is missing" for column in needed if column.name not in header]
        for number, row in enumerate(rows, start=1):
            if len(row) != len(header):
                found.append(f"row {number} has {len(row)} cells, the header {len(header)}")
            for name, cell in zip(header, row, strict=False):
                column = self.column(name)
                fault = "" if column is None else column.fault(cell)
                if fault:
                    found.append(f"row {number}, {name}: {cell!r} {fault}")
        return found


def text(name: str, definition: str, source: str, empty: str = "", values: tuple[str, ...] = ()) -> Column:
    """A column of texts."""
    return Column(name, Kind.TEXT, "", definition, source, empty, values=values)


def flag(name: str, definition: str, source: str, empty: str = "") -> Column:
    """A column of 0 and 1."""
    return Column(name, Kind.FLAG, "", definition, source, empty)


def points(
    name: str, definition: str, source: str, empty: str = "", *, low: float = 0, high: float = 25, group: str = ""
) -> Column:
    """A column of scores."""
    return Column(name, Kind.INTEGER, "points", definition, source, empty, low, high, group=group)


def count(name: str, unit: str, definition: str, source: str, empty: str = "", *, group: str = "") -> Column:
    """A column of counts."""
    return Column(name, Kind.INTEGER, unit, definition, source, empty, group=group)


def share(name: str, definition: str, source: str, empty: str = "", *, high: float = 1, group: str = "") -> Column:
    """A column of shares, from 0 to 1."""
    return Column(name, Kind.NUMBER, "share", definition, source, empty, high=high, group=group)


def percent(name: str, definition: str, source: str, empty: str = "", *, group: str = "") -> Column:
    """A column of per cent, from 0 to 100."""
    return Column(name, Kind.NUMBER, "%", definition, source, empty, group=group)


def change_percent(name: str, definition: str, source: str, empty: str = "") -> Column:
    """A column of changes, per cent of what there was."""
    return Column(name, Kind.NUMBER, "%", definition, source, empty, low=-100, high=math.inf)


def ml(name: str, definition: str, source: str, empty: str = "") -> Column:
    """A column of volumes."""
    return Column(name, Kind.NUMBER, "ml", definition, source, empty)


def mm(name: str, definition: str, source: str) -> Column:
    """A column of positions."""
    return Column(name, Kind.NUMBER, "mm", definition, source)


def seconds(name: str, definition: str, *, group: str = "") -> Column:
    """A column of times."""
    return Column(name, Kind.NUMBER, "s", definition, "clock of this computer", group=group)
