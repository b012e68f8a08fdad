"""Which images a CT came from, and when no DICOM object can refer to them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from CovidSeverityLib.io.dicom import source as source_module
from CovidSeverityLib.io.reading import read_ct, read_ct_and_source

STUDY = {"StudyInstanceUID": "2.25.7", "FrameOfReferenceUID": "2.25.8"}


def complete(k, change):
    """The tags of slice k, without those of STUDY that ``change`` sets to None."""
    tags = change(k)
    return {**{name: uid for name, uid in STUDY.items() if tags.get(name, uid)}, **without_none(tags)}


def without_none(tags):
    return {name: value for name, value in tags.items() if value is not None or name not in STUDY}


@pytest.fixture
def write(tmp_path, write_series):
    """A function that writes a series with all identifiers and returns its folder."""

    def write(hu, change=lambda k: {}, **options):
        write_series(tmp_path / "scan", hu, lambda k: complete(k, change), **options)
        return tmp_path / "scan"

    return write


def source_of(folder, **options):
    return read_ct_and_source(folder, **options)[1]


def test_images_are_in_the_order_of_the_stored_slices(write, chest_hu):
    volume, source = read_ct_and_source(write(chest_hu[::-1], lambda k: {"InstanceNumber": 99 - k}, step_mm=-2.0))
    assert source.problem == ""
    assert len(source.images) == len(volume.hu)
    stored = volume.storage.to_stored(volume.hu)
    origin, step = volume.stored_geometry.ijk_to_lps[:3, 3], volume.stored_geometry.ijk_to_lps[:3, 2]
    for k, image in enumerate(source.images):
        np.testing.assert_allclose(image.ImagePositionPatient, origin + k * step, atol=1e-6)
        plane = np.frombuffer(dcmread(image.filename).PixelData, np.uint16).reshape(stored[k].shape)
        np.testing.assert_array_equal(plane.astype(int) - 1024, stored[k])
        assert "PixelData" not in image


def test_the_ct_is_the_one_that_is_read_without_its_images(write, chest_hu):
    folder = write(chest_hu)
    assert read_ct_and_source(folder)[0] == read_ct(folder)


def test_headers_that_nobody_wants_are_not_read_again(write, chest_hu, monkeypatch):
    monkeypatch.setattr(source_module, "dcmread", None)
    source = source_of(write(chest_hu), keep_headers=False)
    assert (source.images, source.problem) == ((), "their headers were not kept")


def test_images_of_an_archive_outlive_it(write, chest_hu, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "scan"), "zip", write(chest_hu))
    assert [str(image.StudyInstanceUID) for image in source_of(archive).images] == ["2.25.7"] * len(chest_hu)


def test_an_image_file_has_no_images(tiny_chest, tmp_path):
    import SimpleITK as sitk

    sitk.WriteImage(tiny_chest.volume.to_image(), str(tmp_path / "ct.mha"))
    assert source_of(tmp_path / "ct.mha") is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda k: {"SOPInstanceUID": "2.25.5"}, "the 12 slices share 1 SOPInstanceUID; each needs its own"),
        (lambda k: {"SOPInstanceUID": f"2.25.5.{k // 2}"}, "the 12 slices share 6 SOPInstanceUIDs"),
        (lambda k: {"FrameOfReferenceUID": None}, "the slices lack a FrameOfReferenceUID"),
        (lambda k: {"FrameOfReferenceUID": f"2.25.8.{k}"}, "the 12 slices have 12 FrameOfReferenceUIDs; one is needed"),
        (lambda k: {"StudyInstanceUID": None}, "the slices lack a StudyInstanceUID"),
        (lambda k: {"SeriesInstanceUID": f"2.25.1.{k}"}, "the 12 slices have 12 SeriesInstanceUIDs"),
        (lambda k: {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "not of the class CT Image Storage"),
        (lambda k: {"PixelSpacing": [0.8]}, "the geometry in their headers had to be repaired (PixelSpacing holds one"),
        (
            lambda k: {"ImagePositionPatient": None, "SliceLocation": 2.0 * k},
            "had to be repaired (The slices have no ImagePositionPatient",
        ),
        (lambda k: {"ImageOrientationPatient": [1, 0, 0, 0, 1, 1e-4 * (k % 2)]}, "the orientations"),
    ],
)
def test_reason_why_nothing_can_refer_to_the_images(write, chest_hu, change, said):
    source = source_of(write(chest_hu, change))
    assert said in source.problem
    assert source.images == ()


def test_interpolated_slices_are_a_reason(write, chest_hu):
    z = [-52.1 + 2 * k for k in range(13) if k != 5]
    folder = write(chest_hu, positions=[(-12.5, -20.25, v) for v in z])
    assert source_of(folder, force=True).problem == "1 of 13 slices were missing and have been interpolated"


def test_resampled_slices_are_a_reason(write, chest_hu):
    z = np.cumsum([0, *[2.0] * 6, *[2.5] * 5])
    folder = write(chest_hu, positions=[(-12.5, -20.25, float(v)) for v in z])
    assert "were resampled" in source_of(folder).problem


def test_a_tilted_gantry_is_a_reason(write, chest_hu):
    folder = write(chest_hu, positions=[(-12.5, -20.25 + 0.7 * k, -52.1 + 2 * k) for k in range(len(chest_hu))])
    assert "the gantry was tilted" in source_of(folder).problem


def test_frames_of_an_enhanced_file_are_a_reason(write, chest_hu):
    folder = write(chest_hu)
    whole = dcmread(folder / "000.dcm")
    frames = []
    for k in range(len(chest_hu)):
        position, groups = Dataset(), Dataset()
        position.ImagePositionPatient = [-12.5, -20.25, -52.1 + 2 * k]
        groups.PlanePositionSequence = [position]
        frames.append(groups)
    whole.PerFrameFunctionalGroupsSequence = frames
    whole.NumberOfFrames = len(frames)
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    whole.PixelData = (chest_hu.astype(np.int32) + 1024).astype(np.uint16).tobytes()
    for file in folder.iterdir():
        file.unlink()
    whole.save_as(folder / "enhanced.dcm")
    assert "frames of an enhanced multi-frame CT" in source_of(folder).problem


def test_person_and_day_are_kept_even_where_no_object_can_refer(write, chest_hu):
    tags = {"PatientID": "MRN-7", "StudyDate": "20260105"}
    source = source_of(write(chest_hu, lambda k: {**tags, "SOPInstanceUID": "2.25.9"}))
    assert "share 1 SOPInstanceUID" in source.problem
    assert source.images == ()
    assert (source.patient_id, source.day) == ("MRN-7", "20260105")
    assert "MRN" not in repr(source)
