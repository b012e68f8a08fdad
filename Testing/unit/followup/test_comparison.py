"""Two examinations compared: what is found, refused and written."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
import SimpleITK as sitk
import slicerio
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from CovidSeverityLib import FollowUpConfig, InputError, NotComparableError, NoteSeverity, QualityNote, compare
from CovidSeverityLib.followup.change import CHANGE_NAMES, OpacityChange
from CovidSeverityLib.followup.comparison import compare_examinations
from CovidSeverityLib.followup.config import RegistrationConfig
from CovidSeverityLib.followup.examination import Examination, PersonMark
from CovidSeverityLib.followup.finished import read_finished_result
from CovidSeverityLib.followup.registration import Registration, register
from CovidSeverityLib.followup.report import LOBE_CHANGE_COLUMNS, build_comparison, comparison_schema
from CovidSeverityLib.followup.summary import comparison_text
from CovidSeverityLib.types import Geometry, Lobe
from Testing.data_files import assert_described

pytestmark = pytest.mark.slow  # each registers lungs


@pytest.fixture(scope="session")
def results(chest, tmp_path_factory):
    """What ``analyze`` writes of the chest, without its CT."""
    folder = tmp_path_factory.mktemp("results")
    chest.save(folder, html=False)
    (folder / "analysis.npz").unlink()
    return folder


@pytest.fixture(scope="session")
def written(comparison, tmp_path_factory):
    """The files of the comparison."""
    folder = tmp_path_factory.mktemp("comparison")
    comparison.save(folder)
    return folder


def marked(analysis, **fields):
    return replace(Examination.of(analysis), **fields)


def test_another_breath_is_registered(comparison, breath):
    quality = comparison.registration_quality
    assert quality.dice > 0.96
    assert quality.folded_percent == 0.0
    assert quality.volume_ratio == pytest.approx(1.1, abs=0.05)
    ours, true = comparison.registration.transform(), breath[1].transform()
    lung = np.argwhere(comparison.after.lungs > 0)[::37]
    points = [(comparison.after.geometry.ijk_to_lps @ [*place[::-1], 1.0])[:3].tolist() for place in lung]
    off = [np.linalg.norm(np.subtract(ours.TransformPoint(p), true.TransformPoint(p))) for p in points]
    moved = [np.linalg.norm(np.subtract(p, true.TransformPoint(p))) for p in points]
    assert np.median(off) < 2.5 < np.median(moved)


def test_another_breath_changes_volumes_only(comparison):
    lungs = comparison.lungs
    assert lungs.opacity_percent.more_than_repeatability is False
    assert lungs.ctss.more_than_repeatability is False
    assert lungs.volume_ml.more_than_repeatability is True


def test_reader_is_warned_of_coarse_pixels(comparison):
    assert "repeatability_unknown" in [note.code for note in comparison.quality]


def test_new_and_persistent_are_the_later_opacity(comparison):
    later = np.isin(comparison.labels, (OpacityChange.NEW, OpacityChange.PERSISTENT))
    assert np.array_equal(later, comparison.after.opacity)


def test_same_bits_whatever_the_number_of_threads(chest, later, comparison):
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(3)
    try:
        found, _, _ = register(Examination.of(chest), Examination.of(later), RegistrationConfig())
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
    assert found == comparison.registration


def test_taken_out_opacity_is_resolved_and_more_than_repeatability(chest):
    cleared = replace(
        Examination.of(chest),
        hu=None,
        infection=np.zeros_like(chest.infection),
        opacity_voxels=dict.fromkeys(chest.opacity_voxels, 0),
        lobe_scores=tuple(
            replace(s, infected_voxels=0, score=0, score_range=(0, 0), involvement_range_percent=(0.0, 0.0))
            for s in chest.lobe_scores
        ),
        ctss_range=(0, 0),
    )
    found = compare_examinations(Examination.of(chest), cleared)
    assert found.lungs.resolved_ml == pytest.approx(chest.infection_percent / 100 * chest.lung_ml, rel=0.1)
    assert found.lungs.new_ml == 0.0
    assert found.lungs.ctss.change == -chest.ctss
    assert found.lungs.ctss.more_than_repeatability
    assert found.lungs.opacity_percent.more_than_repeatability
    assert "more than repeatability" in comparison_text(found).splitlines()[0]


def test_other_patient_is_refused_without_naming_anybody(chest):
    pair = (marked(chest, person=PersonMark("MRN-1")), marked(chest, person=PersonMark("MRN-2")))
    with pytest.raises(NotComparableError, match=r"patient IDs .* differ; --force") as refused:
        compare_examinations(*pair)
    forced = compare_examinations(*pair, force=True)
    assert "other_patient" in [note.code for note in forced.quality]
    for text in (str(refused.value), repr(pair), json.dumps(build_comparison(forced)), comparison_text(forced)):
        assert "MRN" not in text


def test_later_day_comes_second(chest):
    first, second = (marked(chest, person=PersonMark(day=day)) for day in ("20260105", "20260117"))
    assert compare_examinations(first, second).days == 12
    swapped = compare_examinations(second, first)
    assert [note.message for note in swapped.quality if note.code == "order_of_dates"] == [
        "AFTER was acquired 12 days before BEFORE: new means resolved."
    ]
    assert "2026" not in json.dumps(build_comparison(swapped))


def test_lungs_that_do_not_fit_are_refused(chest):
    config = FollowUpConfig()
    strict = replace(config, quality=replace(config.quality, least_dice=1.0))
    half = np.where(np.arange(chest.lungs.shape[0])[:, None, None] < 18, np.uint8(0), chest.lungs)
    pair = marked(chest, hu=None), marked(chest, lungs=half, hu=None)
    with pytest.raises(NotComparableError, match=r"cannot be compared: .*Dice coefficient.* \(1 needed\).*--force"):
        compare_examinations(*pair, strict)
    forced = compare_examinations(*pair, strict, force=True)
    assert "registration_failed" in [note.code for note in forced.quality]


def test_lungs_that_are_cut_off_need_vessels_that_fit(chest):
    note = QualityNote("lungs_cut_lower", NoteSeverity.WARNING, "cut")
    cut, whole = marked(chest, quality=(note,)), marked(chest)
    assert "lungs_cut" in [found.code for found in compare_examinations(cut, whole).quality]
    with pytest.raises(NotComparableError, match="does not show the whole lungs, and without both CTs"):
        compare_examinations(replace(cut, hu=None), whole)


def test_profiles_must_be_the_same(chest):
    with pytest.raises(InputError, match="profile default, AFTER with reference; both need the same"):
        compare_examinations(marked(chest), marked(chest, profile="reference"))


def test_finished_result_is_what_was_analysed(results, chest):
    found, expected = read_finished_result(results), Examination.of(chest)
    for name in ("lungs", "lobes", "infection", "geometry", "ctss_range", "side_voxels", "opacity_voxels", "profile"):
        assert np.all(getattr(found, name) == getattr(expected, name)), name
    for ours, theirs in zip(found.lobe_scores, expected.lobe_scores, strict=True):
        assert (ours.voxels, ours.infected_voxels, ours.score) == (theirs.voxels, theirs.infected_voxels, theirs.score)
        assert ours.involvement_range_percent == pytest.approx(theirs.involvement_range_percent, abs=1e-3)
    assert found.hu is None


def test_finished_results_are_registered_by_their_surface(results, later):
    found = compare(results, later)
    assert not found.registration.by_structure
    assert found.registration_quality.correlation is None
    assert "surface_only" in [note.code for note in found.quality]


def test_result_with_dicom_objects_says_whose_it_is(results, tmp_path):
    for name, patient in (("first", "MRN-1"), ("second", "MRN-2")):
        shutil.copytree(results, tmp_path / name)
        (tmp_path / name / "dicom").mkdir()
        header = Dataset()
        header.PatientID, header.StudyDate = patient, "20260105"
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.file_meta.MediaStorageSOPClassUID = header.file_meta.MediaStorageSOPInstanceUID = "2.25.1"
        header.save_as(tmp_path / name / "dicom" / "segmentation.dcm", enforce_file_format=True)
    assert read_finished_result(tmp_path / "first").person == PersonMark("MRN-1", "20260105")
    with pytest.raises(NotComparableError, match="patient IDs") as refused:
        compare(tmp_path / "first", tmp_path / "second")
    assert "MRN" not in str(refused.value)


def test_files_of_two_results_are_refused(results, tmp_path):
    shutil.copytree(results, tmp_path / "mixed")
    report = json.loads((results / "report.json").read_text())
    report["ctss"]["lobes"]["RUL"]["volume_ml"] += 1.0
    (tmp_path / "mixed" / "report.json").write_text(json.dumps(report))
    with pytest.raises(InputError, match="mixed are of two results: volume_ml of the RUL"):
        compare(tmp_path / "mixed", results)


@pytest.mark.parametrize("text", ["", "[]", '{"input": {}}'])
def test_damaged_result_is_refused(results, tmp_path, text):
    shutil.copytree(results, tmp_path / "damaged")
    (tmp_path / "damaged" / "report.json").write_text(text)
    with pytest.raises(InputError, match="the result in damaged is damaged or incomplete"):
        compare(tmp_path / "damaged", results)


def test_numbers_of_a_person_count_where_masks_were_corrected(results, tmp_path):
    shutil.copytree(results, tmp_path / "corrected")
    report = json.loads((results / "report.json").read_text())
    report["ctss"]["lobes"]["RUL"]["score"], report["severity"]["label"] = 5, "severe"
    (tmp_path / "corrected" / "corrected_report.json").write_text(json.dumps(report))
    automatic, corrected = (read_finished_result(folder) for folder in (results, tmp_path / "corrected"))
    assert (corrected.lobe(Lobe.RUL).score, corrected.severity) == (5, "severe")
    assert corrected.ctss == automatic.ctss - automatic.lobe(Lobe.RUL).score + 5


def test_jacobian_is_that_of_the_affine_part_and_of_the_field():
    geometry = Geometry((6, 5, 4), (1.0, 2.0, 3.0), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    field = np.zeros((3, *geometry.shape))
    larger = Registration(np.diag([1.1, 1.2, 0.9]), np.zeros(3), field, geometry, True)
    assert larger.jacobian() == pytest.approx(1.1 * 1.2 * 0.9)
    field[0] = -1.5 * 3.0 * np.arange(4)[:, None, None]  # moved back farther than the slices are apart
    folded = Registration(np.diag([2.0, 1.0, 1.0]), np.zeros(3), field, geometry, True)
    assert folded.jacobian() == pytest.approx(-0.5 * 2.0)


def test_report_is_as_the_schema_says(written, comparison):
    report = json.loads((written / "comparison.json").read_text())
    jsonschema.Draft202012Validator(comparison_schema()).validate(report)
    assert report == json.loads(json.dumps(build_comparison(comparison)))
    assert report["registration"]["by_structure"] is True
    assert [*report["segments"]] == [*CHANGE_NAMES.values()]
    assert_described(written, "compare")


def test_table_has_a_row_for_each_lobe_and_one_for_both_lungs(written, comparison):
    rows = list(csv.DictReader((written / "lobe_changes.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["lobe"] for row in rows] == ["RUL", "RML", "RLL", "LUL", "LLL", "lungs"]
    assert tuple(rows[0]) == LOBE_CHANGE_COLUMNS
    lungs = rows[-1]
    assert int(lungs["ctss_after"]) - int(lungs["ctss_before"]) == int(lungs["ctss_change"])
    assert float(lungs["persistent_ml"]) == pytest.approx(comparison.lungs.persistent_ml, abs=0.01)
    assert float(lungs["opacity_change_low_percent"]) < float(lungs["opacity_change_high_percent"])
    assert {row["opacity_percent_more_than_repeatability"] for row in rows} <= {"yes", "no"}


def test_segments_are_the_labels_on_the_later_grid(written, comparison):
    content = slicerio.read_segmentation(str(written / "changes.seg.nrrd"))
    assert {s["name"]: s["labelValue"] for s in content["segments"]} == {CHANGE_NAMES[k]: int(k) for k in OpacityChange}
    stored = np.transpose(content["voxels"])
    assert np.array_equal(comparison.after.storage.to_canonical(stored), comparison.labels)
    assert np.allclose(content["ijkToLPS"], comparison.after.stored_geometry.ijk_to_lps)


def test_same_comparison_gives_the_same_files(written, comparison, tmp_path):
    for path in comparison.save(tmp_path):
        assert path.read_bytes() == (written / path.name).read_bytes()


def test_command_compares_results(program, results, chest, tmp_path):
    done = program("compare", results, results, "-o", tmp_path / "out")
    assert (done.status, done.err) == (0, "")
    assert f"CTSS {chest.ctss}" in done.out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("changes.seg.nrrd", "comparison.json", "comparison.png", "lobe_changes.csv")
    ]
    assert_described(tmp_path / "out", "compare")
    report = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert report["lungs"]["new_ml"] == report["lungs"]["resolved_ml"] == 0.0
    assert str(tmp_path) not in (tmp_path / "out" / "comparison.json").read_text()


def test_command_leaves_nothing_where_it_refuses(program, results, tmp_path):
    missing = program("compare", results, tmp_path / "missing", "-o", tmp_path / "out")
    assert (missing.status, missing.out) == (2, "")
    assert "no such file or folder AFTER" in missing.err
    onto = program("compare", results, results, "-o", results)
    assert onto.status == 2
    assert "is one of the inputs" in onto.err
    assert not (tmp_path / "out").exists()
