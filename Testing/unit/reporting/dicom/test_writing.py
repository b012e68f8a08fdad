"""The DICOM objects as a whole: the same bytes, reasons instead of wrong files, the command line."""

from __future__ import annotations

import datetime
import gc
import shutil
import warnings
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.fileset import FileSet

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.dicom.source import DicomSource
from CovidSeverityLib.io.reading import read_ct_and_source
from CovidSeverityLib.reporting.dicom import dicom_objects, dicom_writers, writing

pytestmark = pytest.mark.skipif(find_spec("highdicom") is None, reason="highdicom is not installed")


def bytes_of(objects, folder):
    folder.mkdir()
    (folder / "dicom").mkdir()
    for name, write in dicom_writers(objects).items():
        write(folder / name)
    return {name: (folder / name).read_bytes() for name in objects}


def test_the_same_input_gives_the_same_bytes(axial, objects, tmp_path):
    assert bytes_of(objects, tmp_path / "a") == bytes_of(dicom_objects(*axial), tmp_path / "b")


def test_an_archive_and_a_disc_give_the_same_bytes_as_their_folder(axial, objects, tmp_path):
    """The headers are kept, so that the files of the archive need not stay."""
    (tmp_path / "scan").mkdir()
    for number, header in enumerate(axial.source.images):
        image = dcmread(header.filename)
        image.SeriesNumber = 1  # a disc needs it
        image.save_as(tmp_path / "scan" / f"{number}.dcm")
    medium = FileSet()
    for file in (tmp_path / "scan").iterdir():
        medium.add(file)
    medium.write(tmp_path / "disc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # pydicom leaves its temporary folder to the collector
        del medium
        gc.collect()
    archive = shutil.make_archive(str(tmp_path / "scan"), "zip", tmp_path / "scan")
    made = {}
    for name, path in (("zip", archive), ("disc", tmp_path / "disc" / "DICOMDIR"), ("folder", tmp_path / "scan")):
        source = read_ct_and_source(path)[1]
        made[name] = bytes_of(dicom_objects(axial.analysis, source), tmp_path / f"made {name}")
    assert set(made["folder"]) == set(objects)
    assert made["zip"] == made["disc"] == made["folder"]


def test_other_masks_version_or_configuration_have_other_uids(axial, objects):
    analysis, source = axial
    masks = analysis.infection.copy()
    masks[np.nonzero(masks)[0][0]] = 0
    provenance = analysis.provenance
    uids = {found.SOPInstanceUID for found in objects.values()}
    for other in (
        replace(analysis, infection=masks),
        replace(analysis, provenance=replace(provenance, version="9.9")),
        replace(analysis, provenance=replace(provenance, configuration={"changed": 1})),
    ):
        uids |= {found.SOPInstanceUID for found in dicom_objects(other, source).values()}
    assert len(uids) == 4 * len(objects)


def test_the_date_is_the_one_of_the_study_or_the_one_given(axial, from_dicom):
    given = datetime.datetime(2021, 2, 3, 4, 5, 6)
    for found in dicom_objects(*axial, made=given).values():
        assert (str(found.ContentDate), str(found.ContentTime)) == ("20210203", "040506")
    undated = from_dicom(change=lambda k: {"StudyDate": "", "StudyTime": "", "SeriesDate": "20191231"})
    for found in dicom_objects(*undated).values():
        assert (str(found.ContentDate), str(found.ContentTime)) == ("20191231", "000000")
        assert not found.StudyDate


def test_attributes_that_every_object_needs_are_empty_where_the_input_lacks_them(from_dicom):
    missing = ("StudyID", "AccessionNumber", "PatientBirthDate", "ReferringPhysicianName")
    made = from_dicom()
    for image in made.source.images:
        for keyword in missing:
            delattr(image, keyword)
    for found in dicom_objects(*made).values():
        assert not any(found[keyword].value for keyword in missing)


def test_a_single_slice_without_lobes_has_no_score(from_dicom):
    made = from_dicom(part=slice(5, 6))
    unscored = tuple(replace(score, voxels=0, infected_voxels=0, score=0) for score in made.analysis.lobe_scores)
    lobes = np.zeros_like(made.analysis.lobes)
    severity = replace(made.analysis.severity, label="not scored")
    analysis = replace(made.analysis, lobes=lobes, lobe_scores=unscored, severity=severity)
    objects = dicom_objects(analysis, made.source)
    labels = [segment.SegmentLabel for segment in objects["dicom/segmentation.dcm"].SegmentSequence]
    assert labels[:2] == ["right lung", "left lung"]
    assert not any("lobe" in label for label in labels)
    text = str(objects["dicom/measurements.dcm"])
    assert "'OPACITY-PCT'" in text
    assert "'CTSS'" not in text
    assert "'TSS'" not in text
    assert "'Severity'" not in text


def test_a_problem_of_the_source_is_the_reason(axial):
    with pytest.raises(InputError, match="the slices lack a FrameOfReferenceUID"):
        dicom_objects(axial.analysis, DicomSource(problem="the slices lack a FrameOfReferenceUID"))


def test_a_forbidden_value_in_the_header_is_a_reason(from_dicom):
    made = from_dicom(change=lambda k: {"PatientSex": "X"})
    with pytest.raises(InputError, match=r"headers of the images cannot be used \(.*X"):
        dicom_objects(*made)


def test_without_highdicom_the_reason_says_how_to_get_it(axial, monkeypatch):
    monkeypatch.setattr(writing, "has_dicom_extra", lambda: False)
    with pytest.raises(InputError, match=r"pip install .*\[dicom\]"):
        dicom_objects(*axial)


@pytest.fixture(scope="module")
def chest_folder(coarse_phantom, write_series, tmp_path_factory):
    """A synthetic chest as DICOM."""
    geometry = coarse_phantom.volume.geometry
    step, (width, height) = geometry.spacing_mm[2], geometry.spacing_mm[:2]
    study = {"StudyInstanceUID": "2.25.71", "FrameOfReferenceUID": "2.25.72", "StudyDate": "20200305"}
    folder = tmp_path_factory.mktemp("phantom") / "scan"
    write_series(folder, coarse_phantom.volume.hu, lambda k: {**study, "PixelSpacing": [height, width]}, step_mm=step)
    return folder


@pytest.mark.slow
def test_the_command_writes_the_objects_and_removes_them_on_request(program, chest_folder, tmp_path):
    pytest.importorskip("reportlab", reason="ReportLab is not installed")
    run = program("analyze", chest_folder, "-o", tmp_path / "out", "--pdf")
    assert (run.status, "DICOM" in run.out) == (0, False), run.err
    names = {path.name for path in (tmp_path / "out" / "dicom").iterdir()}
    assert names == {"segmentation.dcm", "measurements.dcm", "report.dcm"}
    document = dcmread(tmp_path / "out" / "dicom" / "report.dcm")
    length = document.EncapsulatedDocumentLength
    assert document.EncapsulatedDocument[:length] == (tmp_path / "out" / "report.pdf").read_bytes()
    assert program("analyze", chest_folder, "-o", tmp_path / "out", "--no-dicom").status == 0
    assert not (tmp_path / "out" / "dicom").exists()
    assert (tmp_path / "out" / "report.json").exists()


@pytest.mark.slow
def test_the_command_says_why_there_are_none(program, chest_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "has_dicom_extra", lambda: False)
    run = program("analyze", chest_folder, "-o", tmp_path / "out")
    assert run.out.splitlines()[-1] == f"No DICOM objects were written, because {writing.NO_EXTRA}."
    assert not (tmp_path / "out" / "dicom").exists()


def test_a_file_named_dicom_is_in_the_way_before_the_analysis(program, chest_folder, tmp_path):
    (tmp_path / "dicom").write_text("mine")
    run = program("analyze", chest_folder, "-o", tmp_path)
    assert run.status == 2
    assert "dicom" in run.err
    assert (tmp_path / "dicom").read_text() == "mine"
