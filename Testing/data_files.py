"""Files that the program wrote, against the descriptions of them in ``CovidSeverityLib/formats``."""

from __future__ import annotations

import copy
import csv
import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from CovidSeverityLib.formats.registry import SCHEMAS, TABLES, JsonFormat, read_schema


def assert_described(folder: Path, command: str) -> None:
    """Every CSV and JSON file of ``folder`` is one that ``command`` writes, and has nothing but what is described."""
    for path in sorted(folder.glob("*.csv")):
        table = _format_of(path.name, command, TABLES)
        header, *rows = _cells(path)
        assert table.faults(header, rows) == [], path.name
    for path in sorted(folder.glob("*.json")):
        assert_follows(json.loads(path.read_text(encoding="utf-8")), _format_of(path.name, command, SCHEMAS))


def assert_follows(content: Any, described: JsonFormat) -> None:
    """``content`` follows its schema and has no further fields: a reader knows all that is written."""
    jsonschema.validate(content, _closed_schema(described.schema))


def schema_for(file: str, command: str) -> JsonFormat:
    """The description of a JSON file."""
    return _format_of(file, command, SCHEMAS)


def closed(schema: Any) -> Any:
    """``schema``, in which objects have no other properties than those that it names."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict):
        inner.setdefault("additionalProperties", False)
    return inner


@cache
def _closed_schema(place: str) -> dict[str, Any]:
    return closed(copy.deepcopy(read_schema(place)))


def _format_of(file: str, command: str, known: tuple) -> Any:
    """The description of a file that a command writes; in Slicer, also those of an analysis are written."""
    words = {"3D Slicer", "`analyze`"} if command == "Slicer" else {f"`{command}`", f"`{command.partition(' ')[0]}`"}
    found = [f for f in known if f.file == file and any(word in f.written_by for word in words)]
    assert found, f"{file} of {command} is not described: it belongs into CovidSeverityLib/formats/registry.py"
    return found[0]


def _cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))
