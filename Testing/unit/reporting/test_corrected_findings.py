"""Numbers and page of masks that a person corrected, by the library and by its command."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from CovidSeverityLib.config import AnalysisConfig
from CovidSeverityLib.correction.corrections_file import StoredCorrections
from CovidSeverityLib.correction.masks import CorrectedMasks
from CovidSeverityLib.correction.parts import combine
from CovidSeverityLib.correction.rescoring import tally
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.morphology.grid import bounding_box
from CovidSeverityLib.reporting import build_report
from CovidSeverityLib.reporting.corrected import CORRECTED_KEYS, corrected_fields, same_numbers
from CovidSeverityLib.reporting.corrected_findings import corrected_findings
from CovidSeverityLib.reporting.html import html_text
from CovidSeverityLib.types import Lobe, Opacity


@pytest.fixture(scope="module")
def analysis(factory):
    found = factory.make_analysis()
    return replace(found, provenance=replace(found.provenance, configuration=AnalysisConfig().as_dict()))


@pytest.fixture(scope="module")
def report(analysis):
    return json.loads(json.dumps(build_report(analysis)))


def corrections_of(analysis, infection=None, changed=(), outside=0):
    """Stored corrections of the masks of an analysis, with another mask of opacities."""
    codes = combine(analysis.lungs, analysis.lobes, analysis.infection if infection is None else infection)
    box = bounding_box(codes > 0)
    masks = CorrectedMasks(codes[box], tally(codes), frozenset(changed), outside, 0)
    return StoredCorrections(masks, box, codes.shape)


@pytest.fixture(scope="module")
def painted(analysis):
    """The right middle lobe full of consolidation."""
    infection = analysis.infection.copy()
    infection[analysis.lobes == Lobe.RML] = Opacity.CONSOLIDATION
    return corrections_of(analysis, infection, {Lobe.RML}, outside=3000)


def test_uncorrected_masks_have_the_numbers_of_the_analysis(analysis, report):
    found = corrected_findings(analysis.volume, corrections_of(analysis), report)
    fields = corrected_fields(found)
    assert set(CORRECTED_KEYS) <= set(fields)
    assert same_numbers(fields, report)
    assert found.slices == analysis.slices
    assert found.low_attenuation == analysis.low_attenuation
    assert found.ctss_range is None


def test_corrected_masks_have_their_own_numbers(analysis, report, painted):
    found = corrected_findings(analysis.volume, painted, report)
    (score,) = [score for score in found.lobe_scores if score.lobe == Lobe.RML]
    (before,) = [score for score in analysis.lobe_scores if score.lobe == Lobe.RML]
    assert (score.score, score.involvement_percent, score.confidence) == (5, 100.0, None)
    assert found.ctss == analysis.ctss + 5 - before.score
    assert (found.automatic.ctss, found.automatic.severity) == (analysis.ctss, analysis.severity.label)
    assert np.count_nonzero(found.infection[found.lobes == Lobe.RML] == Opacity.CONSOLIDATION) == score.voxels
    assert found.provenance.lungs_from.endswith("corrected by hand")
    assert [note.code for note in found.quality if note.code.startswith("corrected")] == ["corrected_outside_lungs"]


def test_numbers_follow_the_configuration_of_the_analysis(analysis, report):
    told = json.loads(json.dumps(report))
    configuration = told["provenance"]["configuration"]
    configuration["measures"]["well_aerated_hu"] = [-940, -710]
    configuration["low_attenuation"] |= {"percentile": 10.0, "thin_threshold_hu": -930, "thick_threshold_hu": -930}
    found = corrected_findings(analysis.volume, corrections_of(analysis), told)
    assert found.densitometry.well_aerated_hu == (-940, -710)
    assert (found.low_attenuation.percentile, found.low_attenuation.threshold_hu) == (10.0, -930)


def test_opacity_outside_the_lungs_is_not_in_the_mask(analysis, report):
    infection = analysis.infection.copy()
    infection[0, 0, :2] = Opacity.GROUND_GLASS
    assert not analysis.lungs[0, 0, :2].any()
    found = corrected_findings(analysis.volume, corrections_of(analysis, infection), report)
    np.testing.assert_array_equal(found.infection, analysis.infection)


def test_interpolated_slices_have_no_row(analysis, report):
    acquired = tuple(k != 1 for k in range(len(analysis.volume.hu)))
    found = corrected_findings(replace(analysis.volume, acquired=acquired), corrections_of(analysis), report)
    assert [row.index for row in found.slices] == [k for k in range(len(acquired)) if k != 1]


def test_less_than_what_is_printed_is_not_told(analysis, report):
    voxel_ml = analysis.volume.geometry.voxel_ml
    few, more = int(0.049 / voxel_ml), int(0.051 / voxel_ml) + 1
    for outside, told in ((few, []), (more, ["corrected_outside_lungs"])):
        found = corrected_findings(analysis.volume, corrections_of(analysis, outside=outside), report)
        assert [note.code for note in found.quality if note.code.startswith("corrected")] == told


def test_page_says_where_the_diagnosis_is_or_why_there_is_none(analysis, report):
    for classification, reason in ((None, "no weights"), ({"label": "CAP"}, "The diagnosis is in the report of the a")):
        told = report | {"classification": classification, "classification_reason": "no weights"}
        found = corrected_findings(analysis.volume, corrections_of(analysis), told)
        assert (found.classification, found.classification_reason[: len(reason)]) == (None, reason)


def test_the_page_says_that_a_person_corrected_it(analysis, report, painted):
    found = corrected_findings(analysis.volume, painted, report)
    text = " ".join(html_text(found).split())
    assert "Corrected by a person." in text
    assert f"The analysis had found: CTSS {analysis.ctss} ({analysis.severity.label})" in text
    assert f'<span class="total">{found.ctss}</span>' in text
    assert "A person then corrected the masks" in text
    assert "Corrected by a person" not in html_text(analysis)


def test_masks_without_lung_or_of_another_ct_are_refused(analysis, report):
    shape = analysis.lungs.shape
    box = tuple(slice(0, 2) for _ in range(3))
    empty = CorrectedMasks(np.zeros((2, 2, 2), np.uint8), tally(np.zeros(shape, np.uint8)), frozenset(), 0, 0)
    with pytest.raises(InputError, match="no lung is left"):
        corrected_findings(analysis.volume, StoredCorrections(empty, box, shape), report)
    with pytest.raises(InputError, match=r"of a CT of \(9, 9, 9\) voxels"):
        corrected_findings(analysis.volume, StoredCorrections(empty, box, (9, 9, 9)), report)
    storage = {"axes": [0, 1, 2], "flipped": [True, False, False]}
    other = report | {"input": report["input"] | {"storage": storage}}
    with pytest.raises(InputError, match="another orientation"):
        corrected_findings(analysis.volume, corrections_of(analysis), other)


def test_masks_are_read_as_they_were_written(painted, tmp_path):
    painted.write(tmp_path / "masks.npz")
    found = StoredCorrections.read(tmp_path / "masks.npz")
    np.testing.assert_array_equal(found.codes(), painted.codes())
    np.testing.assert_array_equal(found.masks.table[:, 1:], painted.masks.table[:, 1:])
    assert (found.box, found.shape, found.masks.lobes) == (painted.box, painted.shape, painted.masks.lobes)
    assert found.masks.opacity_outside_voxels == 3000


@pytest.mark.parametrize("damage", ["text", "cut", "lacking", "too large", "code"])
def test_a_damaged_file_of_masks_is_refused(painted, tmp_path, damage):
    path = tmp_path / "masks.npz"
    painted.write(path)
    if damage in ("text", "cut"):
        path.write_bytes(b"no masks" if damage == "text" else path.read_bytes()[:500])
    else:
        with np.load(path) as file:
            arrays = dict(file)
        changes = {"too large": {"start": arrays["start"] + 1000}, "code": {"codes": arrays["codes"] | np.uint8(128)}}
        arrays |= changes.get(damage, {})
        np.savez(path, **{name: array for name, array in arrays.items() if damage != "lacking" or name != "codes"})
    with pytest.raises(InputError, match=r"masks\.npz does not hold corrected masks"):
        StoredCorrections.read(path)


@pytest.fixture
def files(analysis, report, painted, tmp_path):
    """A CT, its report and its corrected masks."""
    sitk.WriteImage(analysis.volume.to_image(), str(tmp_path / "ct.nrrd"))
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    painted.write(tmp_path / "masks.npz")
    return tmp_path


def command(program, files, *more, report="report.json"):
    options = ("--masks", files / "masks.npz", "--report", files / report, "-o", files / "out")
    return program("corrected", files / "ct.nrrd", *options, *more)


def test_the_command_writes_the_page(program, files, analysis):
    run = command(program, files, "--title", "Case 7")
    assert run.status == 0, run.err
    assert f"by the analysis {analysis.ctss}" in run.out
    text = (files / "out" / "corrected_report.html").read_text(encoding="utf-8")
    assert "Case 7" in text
    assert "Corrected by a person." in text


def test_the_command_writes_the_page_on_paper_too_and_tells_both_scores(program, files, analysis, report, painted):
    pytest.importorskip("reportlab", reason="ReportLab is not installed")
    run = command(program, files, "--pdf", "--json")
    assert run.status == 0, run.err
    found = corrected_findings(analysis.volume, painted, report)
    assert json.loads(run.out) == {"ctss": found.ctss, "automatic_ctss": analysis.ctss}
    assert found.ctss != analysis.ctss
    assert sorted(path.name for path in (files / "out").iterdir()) == ["corrected_report.html", "corrected_report.pdf"]
    assert (files / "out" / "corrected_report.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize("content", ["[]", "{}", "no JSON"])
def test_the_command_refuses_what_is_no_report(program, files, content):
    (files / "other.json").write_text(content, encoding="utf-8")
    run = command(program, files, report="other.json")
    assert (run.status, run.out) == (2, "")
    assert "other.json" in run.err
    assert not (files / "out").exists()
