"""``measurements.dcm`` as highdicom and dcmqi read it."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest
from pydicom import dcmread

from CovidSeverityLib.reporting.dicom import codes, dicom_objects
from CovidSeverityLib.reporting.dicom.figures import Figure
from CovidSeverityLib.types import LOBE_NAMES, Lobe, Opacity, Side

pytestmark = pytest.mark.skipif(find_spec("highdicom") is None, reason="highdicom is not installed")

LUNGS = {"right lung": Side.RIGHT, "left lung": Side.LEFT}
KINDS = {"ground-glass opacity": Opacity.GROUND_GLASS, "consolidation": Opacity.CONSOLIDATION}


@pytest.fixture(scope="module")
def groups(written, tool, tmp_path_factory):
    """What dcmqi reads: by tracking identifier, the numbers by code and derivation."""
    pytest.importorskip("dcmqi", reason="dcmqi is not installed")
    path = tmp_path_factory.mktemp("dcmqi") / "sr.json"
    tool("tid1500reader", "--inputDICOM", written / "measurements.dcm", "--outputMetadata", path)
    return {group["TrackingIdentifier"]: group for group in json.loads(path.read_text())["Measurements"]}


def value(group, code, derivation=None):
    (item,) = [
        item
        for item in group["measurementItems"]
        if item["quantity"]["CodeValue"] == code.value
        and item.get("derivationModifier", {}).get("CodeValue") == (derivation and derivation.value)
    ]
    return float(item["value"])


def test_there_is_a_group_for_lungs_lobes_and_opacities(groups):
    assert list(groups) == ["both lungs", *LUNGS, *LOBE_NAMES.values(), *KINDS]


def test_totals_are_those_of_the_analysis(axial, groups):
    found, lungs = axial.analysis, groups["both lungs"]
    assert value(lungs, codes.CTSS) == found.ctss
    assert value(lungs, codes.TSS) == found.total_severity_score
    assert value(lungs, codes.VOLUME) == pytest.approx(found.lung_ml, abs=0.005)
    assert value(lungs, codes.OPACITY_PERCENT) == pytest.approx(found.infection_percent, abs=0.0005)
    assert value(lungs, codes.GGO_VOLUME) == pytest.approx(found.opacity_ml(Opacity.GROUND_GLASS), abs=0.005)
    assert value(lungs, codes.CONSOLIDATION_PERCENT) == pytest.approx(found.high_opacity_percent, abs=0.0005)
    assert value(lungs, codes.LOW_ATTENUATION_PERCENT) == pytest.approx(found.low_attenuation.total.percent, abs=0.0005)
    words = {item["conceptCode"]["CodeMeaning"]: item["conceptValue"] for item in lungs["qualitativeEvaluations"]}
    assert words["Severity"]["CodeMeaning"] == found.severity.label.title()


@pytest.mark.parametrize("lobe", Lobe)
def test_lobes_have_their_scores_and_volumes(axial, groups, lobe):
    group = groups[LOBE_NAMES[lobe]]
    (score,) = [score for score in axial.analysis.lobe_scores if score.lobe == lobe]
    assert value(group, codes.CTSS_LOBE) == score.score
    assert value(group, codes.TSS_LOBE) == score.total_severity_score
    assert value(group, codes.VOLUME) == pytest.approx(score.volume_ml, abs=0.005)
    assert value(group, codes.OPACITY_PERCENT) == pytest.approx(score.involvement_percent, abs=0.0005)


def test_densities_are_those_of_the_voxels(axial, groups):
    analysis = axial.analysis
    masks = {name: analysis.lungs == side for name, side in LUNGS.items()}
    masks |= {LOBE_NAMES[lobe]: analysis.lobes == lobe for lobe in Lobe}
    masks |= {name: analysis.infection == kind for name, kind in KINDS.items()}
    for name, mask in masks.items():
        hu = analysis.volume.hu[mask].astype(float)
        assert value(groups[name], codes.ATTENUATION, codes.MEAN) == pytest.approx(hu.mean(), abs=0.05)
        assert value(groups[name], codes.ATTENUATION, codes.STANDARD_DEVIATION) == pytest.approx(hu.std(), abs=0.05)


def test_groups_refer_to_the_segments(objects, groups):
    segmentation = objects["dicom/segmentation.dcm"]
    for segment in segmentation.SegmentSequence:
        group = groups[segment.SegmentLabel]
        assert group["ReferencedSegment"] == segment.SegmentNumber
        assert group["segmentationSOPInstanceUID"] == segmentation.SOPInstanceUID
        assert group["TrackingUniqueIdentifier"] == segment.TrackingUID
    assert "ReferencedSegment" not in groups["both lungs"]


def test_ranges_are_uncertainties_in_the_unit_of_the_value(from_dicom, tool, tmp_path):
    from dataclasses import replace

    made = from_dicom()
    scores = tuple(
        replace(score, score_range=(0, score.score + 1), involvement_range_percent=(0.0, score.involvement_percent + 3))
        for score in made.analysis.lobe_scores
    )
    analysis = replace(made.analysis, lobe_scores=scores, ctss_range=(0, made.analysis.ctss + 2))
    import highdicom as hd

    report = hd.sr.Comprehensive3DSR.from_dataset(dicom_objects(analysis, made.source)["dicom/measurements.dcm"])
    (lungs,) = [
        group for group in report.content.get_image_measurement_groups() if group.tracking_identifier == "both lungs"
    ]
    (ctss,) = lungs.get_measurements(name=hd.sr.CodedConcept.from_code(codes.CTSS))
    ends = {item.name.value: item for item in ctss[0].ContentSequence}
    assert ends["371886008"].value == 2
    assert ends["371885007"].value == analysis.ctss
    lobe = report.content.get_volumetric_roi_measurement_groups(tracking_uid=None)[2]
    (percent,) = lobe.get_measurements(name=hd.sr.CodedConcept.from_code(codes.OPACITY_PERCENT))
    (upper, lower) = [item for item in percent[0].ContentSequence if "uncertainty" in item.name.meaning]
    assert (upper.unit.value, lower.unit.value) == ("%", "%")
    assert upper.value == pytest.approx(3, abs=0.001)


def test_scores_are_whole_numbers(groups):
    for group in groups.values():
        for item in group["measurementItems"]:
            assert item["value"].isdigit() == (item["units"]["CodeValue"] == "{score}"), item


def test_private_codes_are_declared_and_no_other_scheme_is_private(written):
    file = dcmread(written / "measurements.dcm")
    schemes, private = set(), set()

    def collect(dataset, element):
        if element.keyword == "CodingSchemeDesignator":
            schemes.add(element.value)
            if element.value == codes.PRIVATE_SCHEME and "CodeValue" in dataset:
                private.add(dataset.CodeValue)

    file.walk(collect)
    assert schemes == {"SCT", "DCM", "UCUM", "LN", "RFC5646", codes.PRIVATE_SCHEME}
    assert private <= {code.value for code in codes.PRIVATE_CODES}
    assert file.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == codes.PRIVATE_SCHEME


def test_private_codes_are_short_and_distinct():
    values = [code.value for code in codes.PRIVATE_CODES]
    assert len(set(values)) == len(values)
    assert max(map(len, values)) <= 16  # SH
    assert max(len(code.meaning) for code in codes.PRIVATE_CODES) <= 64  # LO


def test_docs_list_every_private_code(repository):
    text = (repository / "docs" / "dicom.md").read_text(encoding="utf-8")
    for code in codes.PRIVATE_CODES:
        assert f"| `{code.value}` | {code.meaning} |" in text


def test_evidence_names_images_and_segmentation(axial, objects):
    report = objects["dicom/measurements.dcm"]
    evidence = [
        *report.get("CurrentRequestedProcedureEvidenceSequence", ()),
        *report.get("PertinentOtherEvidenceSequence", ()),
    ]
    uids = {
        item.ReferencedSOPInstanceUID
        for study in evidence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    images = {image.SOPInstanceUID for image in axial.source.images}
    assert uids == images | {objects["dicom/segmentation.dcm"].SOPInstanceUID}


def test_a_value_keeps_to_its_range_when_both_are_rounded():
    figure = Figure(codes.OPACITY_PERCENT, 1.23456, codes.PERCENT, ends=(1.23456, 1.2))
    assert figure.ends == (1.235, 1.235)
    assert figure.value == 1.235
    assert isinstance(Figure(codes.CTSS, 4, codes.SCORE).value, int)
    assert np.isclose(Figure(codes.VOLUME, 2.0049, codes.ML).value, 2.0)


def test_dciodvfy_reports_no_error(written, tool):
    said = tool("dciodvfy", written / "measurements.dcm")
    assert "Comprehensive3DSR" in said
    assert [line for line in said.splitlines() if line.startswith("Error")] == []
