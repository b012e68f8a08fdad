"""Write ``data-dictionary.md``: every column of every CSV table, and the schema of every JSON file.

Run from the root of the repository, whose library has to be installed::

    python docs/list_columns.py

The page is made of :mod:`CovidSeverityLib.formats` alone, from which the program takes the headers of its tables too. A
test compares the page with the code, and other tests compare what the program writes with the code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from CovidSeverityLib.formats.columns import Column, Kind, TableFormat
from CovidSeverityLib.formats.registry import SCHEMAS, TABLES

PAGE = Path(__file__).with_name("data-dictionary.md")

HEAD = """# Data dictionary

This page describes every CSV table and every JSON file that CovidSeverity writes. `docs/list_columns.py` makes it from
`CovidSeverityLib/formats/`, from which the program takes its headers too. Tests compare all files that the program
writes with these descriptions.

Within version 1 of a file, fields and columns may be added, but never renamed, removed or given another meaning.
[CHANGELOG.md](../CHANGELOG.md) has an entry for each change. `analysis.npz` and `cases.jsonl` are for the program alone
and may change.

## JSON files

Schemas are JSON Schema, draft 2020-12, below `CovidSeverityLib/` (that of `manifest.json` is in `models/`).

| file | written by | schema |
|---|---|---|
"""

TABLES_HEAD = """
## CSV tables

Tables are UTF-8 with a header, commas between cells, decimal points, and a line feed at the end of each line. Sources
are publications, or modules below `CovidSeverityLib/`. A unit of "share" is a number from 0 to 1. Coordinates are LPS:
to the left, to the back and to the head of the patient.
"""


def page() -> str:
    """The whole page."""
    lines = [HEAD + "\n".join(f"| `{f.file}` | {f.written_by} | [{f.schema}]({_link(f.schema)}) |" for f in SCHEMAS)]
    lines.append(TABLES_HEAD)
    described: dict[tuple[Column, ...], TableFormat] = {}
    for table in TABLES:
        lines += [f"### `{table.file}`, by {table.written_by}", "", table.rows]
        first = described.setdefault(table.columns, table)
        if first is not table:
            lines += ["", f"The columns are those of `{first.file}`.", ""]
            continue
        lines += [f"Columns of the group *{name}* are written {when}." for name, when in table.groups.items()]
        lines += ["", "| column | type | unit | values | definition | source |", "|---|---|---|---|---|---|"]
        lines += [*map(_line, table.columns), ""]
    return "\n".join(lines)


def _link(schema: str) -> str:
    return f"../{schema}" if schema.startswith("models/") else f"../CovidSeverityLib/{schema}"


def _line(column: Column) -> str:
    definition = column.definition
    if column.empty:
        definition += f" Empty if {column.empty}."
    if column.group:
        definition += f" Group *{column.group}*."
    cells = (f"`{column.name}`", column.kind.value, column.unit, _values(column), definition, column.source)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _values(column: Column) -> str:
    if column.kind is Kind.TEXT:
        return ", ".join(column.values)
    return "" if column.kind is Kind.FLAG else " ".join(_ends(*column.range))


def _ends(low: float, high: float) -> Iterator[str]:
    if math.isfinite(low):
        yield f"from {low:g}"
    if math.isfinite(high):
        yield f"to {high:g}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
