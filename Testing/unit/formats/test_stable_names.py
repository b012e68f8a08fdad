"""Columns and fields that were once written stay: none is renamed or removed, or gets another type or unit.

``names.txt`` lists all of them. With ``--write-baselines`` pytest adds those that are new. Who takes one away has to
take its line away by hand, and to say so in the changelog.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from CovidSeverityLib.formats.columns import TableFormat
from CovidSeverityLib.formats.registry import SCHEMAS, TABLES, read_schema

NAMES = Path(__file__).with_name("names.txt")


def described() -> list[str]:
    """Every column and every field, one a line."""
    columns = [f"{_title(t)}: {c.name}, {c.kind.value}, {c.unit}".rstrip(", ") for t in TABLES for c in t.columns]
    fields = []
    for place in dict.fromkeys(json_format.schema for json_format in SCHEMAS):
        schema = read_schema(place)
        fields += [f"{Path(place).name}: {field}" for field in fields_of(schema, schema, "")]
    return [*columns, *fields]


def _title(table: TableFormat) -> str:
    command = re.search("`([^`]+)`", table.written_by)
    return f"{table.file} of {command[1] if command else 'Slicer'}"


def fields_of(part: dict[str, Any], root: dict[str, Any], place: str) -> Iterator[str]:
    """Every field below a part of a schema with its type, by its place; ``[]`` is any item, ``*`` any name."""
    while "$ref" in part:
        part = {**root["$defs"][part["$ref"].rsplit("/", 1)[-1]], **{k: v for k, v in part.items() if k != "$ref"}}
    if place:
        yield f"{place}, {json.dumps(part.get('type', part.get('enum', part.get('const'))))}"
    inner = [(f"{place}/{name}", value) for name, value in part.get("properties", {}).items()]
    inner += [(f"{place}/{name}", value) for name, value in part.get("patternProperties", {}).items()]
    inner += [
        (f"{place}{end}", part[key])
        for key, end in (("items", "[]"), ("additionalProperties", "/*"))
        if isinstance(part.get(key), dict)
    ]
    inner += [(f"{place}|{number}", value) for number, value in enumerate(part.get("oneOf", ()))]
    for name, value in inner:
        yield from fields_of(value, root, name)


def test_nothing_that_was_written_is_gone_and_new_names_are_known(request):
    now, known = described(), NAMES.read_text(encoding="utf-8").splitlines()
    if request.config.getoption("--write-baselines"):
        known += [line for line in now if line not in known]
        NAMES.write_text("\n".join(known) + "\n", encoding="utf-8")
    assert len({*now}) == len(now)
    assert [line for line in known if line not in now] == [], "gone, renamed, or of another type"
    assert [line for line in now if line not in known] == [], "new: pytest --write-baselines adds them"


def test_a_field_is_found_at_any_depth():
    schema = {
        "$defs": {"part": {"type": "object", "properties": {"b": {"type": "number"}}}},
        "properties": {"a": {"type": "array", "items": {"$ref": "#/$defs/part"}}, "c": {"const": 1}},
    }
    assert list(fields_of(schema, schema, "")) == ['/a, "array"', '/a[], "object"', '/a[]/b, "number"', "/c, 1"]
