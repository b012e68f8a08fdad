"""The files of an evaluation: ``results.csv``, ``failures.csv``, ``summary.json``, ``table.md`` and plots."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from CovidSeverityLib.formats.evaluation_tables import FAILURES
from CovidSeverityLib.reporting import write_together
from CovidSeverityLib.reporting.output_folder import FileWriter

from .cases import Failure

FLOAT_FORMAT = ".6g"
"""Format of floats in tables: six digits, more than any measure here needs."""

FAILURES_NAME = "failures.csv"
SUMMARY_NAME = "summary.json"

Cell = str | int | float | None
Row = Sequence[Cell]


@dataclass(frozen=True)
class Table:
    """A table of plain values; every row has a cell for every column."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Outputs:
    """All output of an evaluation except its failures.

    Parameters
    ----------
    results : Table
        A row for every case.
    summary : mapping of str to any
        Values for JSON.
    table : str
        Markdown, in the form of the paper's table.
    headline : str
        The printed lines.
    plots : mapping of str to FileWriter
        Writers of plots, by file name.
    tables : mapping of str to Table
        Further tables, by file name.
    """

    results: Table
    summary: Mapping[str, Any]
    table: str
    headline: str
    plots: Mapping[str, FileWriter] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)


def write_outputs(outputs: Outputs, failures: Iterable[Failure], folder: Path) -> tuple[Path, ...]:
    """Write all files together, the summary last; see :func:`~CovidSeverityLib.reporting.write_together`."""
    writers: dict[str, FileWriter] = {"results.csv": csv_writer(outputs.results)}
    writers |= {name: csv_writer(table) for name, table in outputs.tables.items()}
    writers |= {FAILURES_NAME: csv_writer(failure_table(failures))}
    writers |= outputs.plots
    writers |= {"table.md": text_writer(outputs.table), SUMMARY_NAME: json_writer(outputs.summary)}
    return write_together(folder, writers)


def failure_table(failures: Iterable[Failure]) -> Table:
    """A row for every failed case."""
    return Table(FAILURES.header(), tuple((f.case, f.reason) for f in failures))


def table_of(columns: Sequence[str], values: Mapping[str, Sequence[Cell]]) -> Table:
    """A table from the cells of its columns.

    Parameters
    ----------
    columns : sequence of str
        Columns in their order.
    values : mapping of str to sequence of cells
        Cells of every column, by its name.

    Raises
    ------
    ValueError
        If columns and values have other names, or the columns are not of one length.
    """
    if {*columns} != {*values}:
        raise ValueError(f"columns {sorted(columns)}, but values of {sorted(values)}")
    return Table(tuple(columns), tuple(zip(*(values[name] for name in columns), strict=True)))


def csv_writer(table: Table) -> FileWriter:
    """A writer of ``table`` as CSV; NaN is an empty cell."""

    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(table.columns)
            writer.writerows([_text(cell) for cell in row] for row in table.rows)

    return write


def json_writer(value: Mapping[str, Any]) -> FileWriter:
    """A writer of ``value`` as JSON."""
    return text_writer(json.dumps(value, indent=2, allow_nan=False) + "\n")


def text_writer(text: str) -> FileWriter:
    """A writer of ``text`` as UTF-8."""
    return lambda path: path.write_bytes(text.encode())


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is left-aligned, the others are centred."""
    lines = [header, ["---", *[":---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def finite_or_none(value: float) -> float | None:
    """``value``, or None for values that are not possible in JSON."""
    return value if isfinite(value) else None


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return format(cell, FLOAT_FORMAT) if isfinite(cell) else ""
    return str(cell)
