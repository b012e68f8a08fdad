"""``measurements.dcm`` as highdicom and dcmqi read it."""

from __future__ import annotations

import json
from dataclasses import replace
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


def test_each_lung_has_its_own_volume(from_dicom):
    """One lung is told smaller than it is: lungs of one size could be confused."""
    made = from_dicom()
    voxels = made.analysis.side_voxels
    analysis = replace(made.analysis, side_voxels={**voxels, Side.RIGHT: voxels[Side.RIGHT] // 2})
    report = report_of(analysis, made.source)
    for name, side in LUNGS.items():
        assert measured(report, name, codes.VOLUME).value == pytest.approx(analysis.side_ml(side), abs=0.005)
    assert analysis.side_ml(Side.RIGHT) < 0.9 * analysis.side_ml(Side.LEFT)


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


def report_of(analysis, source):
    """The structured report as highdicom reads it."""
    import highdicom as hd

    return hd.sr.Comprehensive3DSR.from_dataset(dicom_objects(analysis, source)["dicom/measurements.dcm"])


def measured(report, part, code):
    """The one measurement of a part that has this code."""
    from highdicom.sr import CodedConcept

    groups = [
        *report.content.get_image_measurement_groups(),
        *report.content.get_volumetric_roi_measurement_groups(tracking_uid=None),
    ]
    (group,) = [group for group in groups if group.tracking_identifier == part]
    ((found,),) = (group.get_measurements(name=CodedConcept.from_code(code)),)
    return found[0]


def uncertainty(measurement):
    """The lower and upper part of its uncertainty."""
    ends = {item.name.value: item for item in measurement.ContentSequence}
    return ends["371885007"], ends["371886008"]


def test_ranges_are_uncertainties_in_the_unit_of_the_value(from_dicom):
    made = from_dicom()
    scores = tuple(
        replace(score, score_range=(0, score.score + 1), involvement_range_percent=(0.0, score.involvement_percent + 3))
        for score in made.analysis.lobe_scores
    )
    analysis = replace(made.analysis, lobe_scores=scores, ctss_range=(0, made.analysis.ctss + 2))
    report = report_of(analysis, made.source)
    sick = max(scores, key=lambda score: score.score)
    lobe = LOBE_NAMES[sick.lobe]
    for part, code, unit, below, above in (
        ("both lungs", codes.CTSS, codes.SCORE, analysis.ctss, 2),
        (lobe, codes.CTSS_LOBE, codes.SCORE, sick.score, 1),
        (lobe, codes.OPACITY_PERCENT, codes.PERCENT, sick.involvement_percent, 3),
    ):
        lower, upper = uncertainty(measured(report, part, code))
        assert {lower.unit.value, upper.unit.value} == {unit.value}
        assert "uncertainty" in lower.name.meaning
        assert (lower.value, upper.value) == pytest.approx((below, above), abs=0.001)
    assert sick.score > 0


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
