"""The descriptions of tables and JSON files: complete, in line with the code, and followed by what is written."""

from __future__ import annotations

import csv
import dataclasses
import importlib
import io
import json
import re
from pathlib import Path

import jsonschema
import pytest

from CovidSeverityLib.analysis import ClassifiedCt
from CovidSeverityLib.classification.training.history import EpochRecord
from CovidSeverityLib.features.agreement import LobeAgreement
from CovidSeverityLib.formats.analysis_tables import CLASSIFIED_SLICES, HISTOGRAM, LOBES, SLICES
from CovidSeverityLib.formats.columns import UNITS, Column, Kind, TableFormat, flag, percent, text
from CovidSeverityLib.formats.registry import SCHEMAS, TABLES, read_schema
from CovidSeverityLib.formats.training_tables import HISTORY
from CovidSeverityLib.reporting import build_classification, build_report, report_schema
from CovidSeverityLib.reporting.tables import (
    write_classified_slices,
    write_histogram,
    write_lobes,
    write_slices,
)
from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureConfig
from CovidSeverityLib.types import Lobe
from Testing.data_files import assert_described, assert_follows, closed, schema_for

DOCS = Path(__file__).parents[3] / "docs"
COLUMNS = [
    pytest.param(table, column, id=f"{table.file}-{column.name}") for table in TABLES for column in table.columns
]
PLACES = sorted({described.schema for described in SCHEMAS})


@pytest.fixture(scope="module")
def lister():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS)
        yield importlib.import_module("list_columns")


def cells_of(write, *arguments) -> tuple[list[str], list[list[str]]]:
    file = io.StringIO(newline="")
    write(*arguments, file)
    header, *rows = csv.reader(io.StringIO(file.getvalue()))
    return header, rows


def test_page_is_what_the_code_says(lister):
    assert (DOCS / "data-dictionary.md").read_text(encoding="utf-8") == lister.page()


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_column_has_everything_that_a_reader_needs(table, column, repository):
    assert re.fullmatch(r"[A-Za-z0-9_{}]+", column.name)
    assert column.definition.endswith(".")
    assert not column.definition[0].islower()
    assert column.source
    assert not column.empty.endswith(".")
    assert column.group in ("", *table.groups)
    low, high = column.range
    assert low < high
    for module in re.findall(r"`([\w/]+\.py)`", column.source):
        assert (repository / "CovidSeverityLib" / module).is_file(), module


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"{table.file} {table.written_by}")
def test_names_of_columns_are_distinct_and_say_their_unit(table):
    names = [column.name for column in table.columns]
    assert len({*names}) == len(names)
    for column in table.columns:
        said = {"percent": "%", "ml": "ml", "mm": "mm", "hu": "HU", "seconds": "s", "voxels": "voxels"}
        ending = re.sub(r"_(RUL|RML|RLL|LUL|LLL)$", "", column.name).rsplit("_", 1)[-1]
        assert column.unit == said.get(ending, column.unit), column.name


def test_unknown_unit_is_refused():
    with pytest.raises(ValueError, match="the column a has the unit 'cm'; one of "):
        Column("a", Kind.NUMBER, "cm", "A.", "b")
    assert "cm" not in UNITS


@pytest.mark.parametrize(
    ("column", "right", "wrong"),
    [
        (percent("a", "A.", "b"), ("0", "12.5", "100"), ("", "-1", "100.1", "a", "nan", "1,5")),
        (Column("a", Kind.INTEGER, "points", "A.", "b"), ("0", "25"), ("", "26", "1.5", "1e3")),
        (flag("a", "A.", "b"), ("0", "1"), ("", "2", "True")),
        (text("a", "A.", "b", values=("x", "y")), ("x",), ("", "z")),
        (text("a", "A.", "b", empty="it is not known"), ("", "anything"), ()),
        (Column("a", Kind.NUMBER, "", "A.", "b"), ("1e-05", "-3", "2.5e+10"), ("inf",)),
    ],
)
def test_cell_is_checked_by_type_and_range(column, right, wrong):
    assert [cell for cell in right if column.fault(cell)] == []
    assert [cell for cell in wrong if not column.fault(cell)] == []


def test_faults_of_a_table_are_named():
    table = TableFormat("t.csv", "a test", "A row.", (percent("a", "A.", "b"), text("of_{part}", "A.", "b")))
    assert table.faults(["a", "of_x"], [["1", "c"]]) == []
    assert table.faults(["of_x", "b"], [["c", "d"]]) == ["the column b is not described", "the column a is missing"]
    assert table.faults(["a"], [["1", "2"]]) == ["row 1 has 2 cells, the header 1"]
    variants = TableFormat("t.csv", "a test", "A row.", (percent("{x}", "A.", "b"), text("{x}_word", "A.", "b")))
    assert variants.faults(["a", "a_word"], [["1", "one"]]) == []
    assert table.faults(["a"], [["101"]]) == ["row 1, a: '101' is not from 0 to 100 %"]


def test_tables_of_an_analysis_are_as_described(factory):
    diagnosed = factory.make_diagnosed()
    for analysis in (factory.make_analysis(), diagnosed, factory.make_stored("flipped")):
        for write, table in ((write_lobes, LOBES), (write_slices, SLICES), (write_histogram, HISTOGRAM)):
            header, rows = cells_of(write, analysis)
            assert tuple(header) == table.header()
            assert table.faults(header, rows) == []
    header, rows = cells_of(write_classified_slices, ClassifiedCt.of(diagnosed))
    assert tuple(header) == CLASSIFIED_SLICES.header()
    assert CLASSIFIED_SLICES.faults(header, rows) == []


def test_every_column_of_an_analysis_has_values(factory):
    """A column that nothing fills would stay empty without anybody's notice."""
    diagnosed = factory.make_diagnosed()
    scores = tuple(dataclasses.replace(s, score_range=(0, 5), confidence=0.9) for s in diagnosed.lobe_scores)
    agreement = LobeAgreement("MOOSE", dict.fromkeys(Lobe, 0.9), 7)
    for write, analysis in (
        (write_lobes, dataclasses.replace(diagnosed, lobe_scores=scores, lobe_agreement=agreement)),
        (write_slices, diagnosed),
        (write_histogram, diagnosed),
    ):
        header, rows = cells_of(write, analysis)
        filled = {name for row in rows for name, cell in zip(header, row, strict=True) if cell}
        mixture = {name for name in header if name.startswith("component_") and analysis.densitometry.mixture is None}
        assert filled | mixture == {*header}


def test_tables_that_follow_from_a_type_have_all_of_its_fields():
    assert HISTORY.header() == tuple(field.name for field in dataclasses.fields(EpochRecord))
    components = [name for name in HISTOGRAM.header() if name.startswith("component_")]
    assert len(components) == len(MixtureConfig().start_means_hu)


@pytest.mark.parametrize("place", PLACES)
def test_schema_is_one_and_says_what_it_is_of(place):
    schema = read_schema(place)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"]
    assert schema["description"].endswith(".")
    assert all(target.startswith("#/") for target in _targets(schema)), "a schema can be used alone"
    assert {target.rsplit("/", 1)[-1] for target in _targets(schema)} == {*schema.get("$defs", {})}


def test_every_schema_file_belongs_to_a_file(repository):
    paths = [path for folder in ("CovidSeverityLib", "models") for path in (repository / folder).rglob("*.schema.json")]
    found = {path.relative_to(repository).as_posix().removeprefix("CovidSeverityLib/") for path in paths}
    assert found == {*PLACES}


def _targets(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        for part in value.values():
            yield from _targets(part)
    elif isinstance(value, list):
        for part in value:
            yield from _targets(part)


def test_shared_fields_are_described_alike():
    report = report_schema()
    for name in ("classification", "corrected_report"):
        other = read_schema(f"formats/schemas/{name}.schema.json")
        for part, definition in other["$defs"].items():
            assert definition == report["$defs"][part], part
        shared = {*other["properties"]} & {*report["properties"]}
        assert len(shared) > 5
        changed = {key for key in shared if other["properties"][key] != report["properties"][key]}
        assert changed <= {"classification", "provenance", "well_aerated_percent", "low_attenuation"}


def test_reports_have_no_field_that_is_not_described(factory):
    diagnosed = factory.make_diagnosed()
    for analysis in (diagnosed, factory.make_analysis(ctss_max_variant=9, ctss_range=(3, 6))):
        assert_follows(build_report(analysis), schema_for("report.json", "analyze"))
    assert_follows(build_classification(ClassifiedCt.of(diagnosed)), schema_for("classification.json", "classify"))


def test_truth_of_a_synthetic_chest_is_as_described(chest_folder):
    assert_described(chest_folder, "phantom")


def test_undescribed_field_or_file_is_found(tmp_path):
    schema = closed({"type": "object", "properties": {"a": {"type": "object", "properties": {}}}})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"a": {"b": 1}}, schema)
    (tmp_path / "new.json").write_text("{}")
    with pytest.raises(AssertionError, match=r"new\.json of analyze is not described"):
        assert_described(tmp_path, "analyze")
    (tmp_path / "new.json").unlink()
    (tmp_path / "truth.json").write_text(json.dumps({"seed": 1}))
    with pytest.raises(jsonschema.ValidationError):
        assert_described(tmp_path, "phantom")
