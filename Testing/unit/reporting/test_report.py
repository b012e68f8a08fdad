"""``report.json`` and its schema."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from dataclasses import replace
from enum import Enum
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from CovidSeverityLib.reporting import build_report, report_schema
from CovidSeverityLib.reporting.report import write_report
from CovidSeverityLib.segmentation.opacity.values import UncountedDensity
from CovidSeverityLib.types import HounsfieldChange, Lobe, Side


@dataclasses.dataclass(frozen=True)
class Window:
    sd: float = 1.5
    low_hu: int = -650


class Profile(Enum):
    DEFAULT = "default"


def written(analysis) -> str:
    file = io.StringIO()
    write_report(analysis, file)
    return file.getvalue()


def described(schema, keys, root):
    """Whether a path of keys is a property of ``schema``."""
    for key in keys:
        while "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
        schema = schema.get("properties", {}).get(key)
        if schema is None:
            return False
    return True


def key_paths(value, path=()):
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key)
            if key not in ("configuration", "seconds"):
                yield from key_paths(item, (*path, key))


def test_report_follows_its_schema(factory):
    jsonschema.Draft202012Validator.check_schema(report_schema())
    jsonschema.validate(build_report(factory.make_analysis(ctss_max_variant=9)), report_schema())


def ranged_analysis(factory):
    analysis = factory.make_analysis(ctss_range=(3, 6), uncounted=UncountedDensity(1.0, 2.0, 3.0, 4.0, None))
    lobes = (
        dataclasses.replace(s, score_range=(0, 2), involvement_range_percent=(0.0, 6.1)) for s in analysis.lobe_scores
    )
    return dataclasses.replace(analysis, lobe_scores=tuple(lobes))


def test_uncertainty_follows_the_schema_and_is_described(factory):
    schema, report = report_schema(), build_report(ranged_analysis(factory))
    jsonschema.validate(report, schema)
    assert report["ctss"]["range"] == [3, 6]
    lobe = report["ctss"]["lobes"]["RML"]
    assert (lobe["score_range"], lobe["involvement_range_percent"], lobe["near_edge"]) == ([0, 2], [0.0, 6.1], True)
    assert report["uncounted_density"]["vessels_ml"] == 2.0
    assert report["uncounted_density"]["dependent_opacity_ml"] is None
    paths = [("ctss", "lobes", "RML", key) for key in lobe]
    paths += [("uncounted_density", key) for key in report["uncounted_density"]]
    assert [path for path in paths if not described(schema, path, schema)] == []


def test_every_field_is_described_by_the_schema(factory):
    schema = report_schema()
    paths = list(key_paths(build_report(factory.make_analysis(ctss_max_variant=9))))
    assert ("ctss", "lobes", "RML", "score") in paths
    assert [path for path in paths if not described(schema, path, schema)] == []


def test_schema_refuses_a_wrong_report(factory):
    report = build_report(factory.make_analysis())
    report["ctss"]["lobes"]["RUL"]["score"] = 6
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report, report_schema())


def test_numbers_are_those_of_the_analysis(factory):
    analysis = factory.make_analysis()
    report = build_report(analysis)
    lobes = report["ctss"]["lobes"]
    assert report["ctss"]["total"] == analysis.ctss == sum(lobe["score"] for lobe in lobes.values())
    assert list(lobes) == [lobe.name for lobe in Lobe]
    assert lobes["RLL"]["involvement_percent"] == pytest.approx(analysis.lobe_scores[2].involvement_percent, abs=5e-4)
    assert report["lungs"]["total_ml"] == pytest.approx(analysis.lung_ml, abs=5e-3)
    assert report["lungs"]["right_ml"] + report["lungs"]["left_ml"] == pytest.approx(analysis.lung_ml, abs=2e-2)
    assert report["infection"]["percent_of_lung"] == pytest.approx(analysis.infection_percent, abs=5e-4)
    assert report["total_severity_score"]["total"] == sum(report["total_severity_score"]["lobes"].values())


def test_lungs_keep_their_sides(factory):
    lungs = build_report(factory.make_analysis(factory.make_chest(sides=(Side.LEFT,))))["lungs"]
    assert lungs["right_ml"] == 0
    assert lungs["left_ml"] == lungs["total_ml"] > 0


def test_classification_is_null_with_its_reason(factory):
    report = build_report(factory.make_analysis())
    assert report["classification"] is None
    assert report["classification_reason"] == "no weights are installed"


def test_max_variant_stands_only_where_there_is_one(factory):
    assert "max_variant" not in build_report(factory.make_analysis())["ctss"]
    assert build_report(factory.make_analysis(ctss_max_variant=9))["ctss"]["max_variant"] == 9


def test_no_mixture_is_null(factory):
    analysis = factory.make_analysis()
    densitometry = dataclasses.replace(analysis.densitometry, mixture=None)
    report = build_report(dataclasses.replace(analysis, densitometry=densitometry))
    assert report["mixture"] is None
    jsonschema.validate(report, report_schema())


@pytest.mark.parametrize("way", ["superior first", "flipped", "permuted"])
def test_storage_order_does_not_change_the_report(factory, way):
    analysis = factory.make_stored(way)
    found, expected = build_report(analysis), build_report(factory.make_stored("as it is"))
    storage = found["input"].pop("storage")
    assert storage == {"axes": list(analysis.volume.storage.axes), "flipped": list(analysis.volume.storage.flipped)}
    assert storage != expected["input"].pop("storage") == {"axes": [0, 1, 2], "flipped": [False, False, False]}
    assert found == expected


def test_report_tells_what_was_undone_to_get_hounsfield_units(factory):
    volume = factory.make_volume(factory.make_chest().hu)
    assert build_report(factory.make_analysis(volume=volume))["input"]["hounsfield_change"] == {"scale": 1, "offset": 0}
    shifted = replace(volume, hounsfield_change=HounsfieldChange(-1.0, 1024))
    found = build_report(factory.make_analysis(volume=shifted))["input"]["hounsfield_change"]
    assert found == {"scale": -1, "offset": 1024}


def test_no_folder_reaches_the_report(factory):
    chest = factory.make_chest()
    provenance = dataclasses.replace(
        factory.make_analysis().provenance, configuration={"lungs": Path("/home/somebody/lungs.nii.gz")}
    )
    volume = factory.make_volume(chest.hu, name="/home/somebody/ct.nii.gz")
    text = written(factory.make_analysis(chest, volume, provenance=provenance))
    assert "somebody" not in text
    assert "ct.nii.gz" in text
    assert "lungs.nii.gz" in text


def test_any_configuration_becomes_plain_json(factory):
    configuration = {
        "window": Window(),
        "profile": Profile.DEFAULT,
        "edges": (5, np.int64(25)),
        "array": np.array([1.5, 2.5]),
        "endless": math.inf,
        "flag": np.bool_(True),
        Profile.DEFAULT: None,
    }
    provenance = dataclasses.replace(factory.make_analysis().provenance, configuration=configuration)
    report = json.loads(written(factory.make_analysis(provenance=provenance)))
    assert report["provenance"]["configuration"] == {
        "window": {"sd": 1.5, "low_hu": -650},
        "profile": "default",
        "edges": [5, 25],
        "array": [1.5, 2.5],
        "endless": None,
        "flag": True,
        "default": None,
    }


def test_file_is_stable_utf8_with_a_line_end(factory):
    chest = factory.make_chest()
    analysis = factory.make_analysis(chest, factory.make_volume(chest.hu, name="Müller.nii"))
    text = written(analysis)
    assert text == written(analysis)
    assert text.endswith("}\n")
    assert "Müller.nii" in text
    assert text.startswith('{\n  "schema_version": 1,')
