"""``segmentation.dcm`` as pydicom, highdicom and dcmqi read it."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from CovidSeverityLib.reporting.dicom import dicom_objects, dicom_writers

pytestmark = pytest.mark.skipif(find_spec("highdicom") is None, reason="highdicom is not installed")

NAMES = (
    *("right lung", "left lung"),
    *("right upper lobe", "right middle lobe", "right lower lobe", "left upper lobe", "left lower lobe"),
    *("ground-glass opacity", "consolidation"),
)
ORIENTATIONS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "axial from the feet": (-1, 0, 0, 0, 1, 0),
    "prone": (-1, 0, 0, 0, -1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "oblique": (0.96, -0.28, 0, 0.28, 0.96, 0),
}
SPACING = (0.8, 0.7)


def expected_points(factory, analysis):
    """World positions of the voxels of each segment by its name."""
    masks = factory.segment_masks(analysis).values()
    matrix = analysis.volume.geometry.ijk_to_lps
    return {n: factory.points_mm(np.argwhere(m)[:, ::-1], matrix) for n, m in zip(NAMES, masks, strict=True)}


def points_of(factory, file):
    """World positions of the voxels of each segment, from the pixels and headers of single frames."""
    frames = file.pixel_array
    (shared,) = file.SharedFunctionalGroupsSequence
    orientation = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    between_rows, between_columns = shared.PixelMeasuresSequence[0].PixelSpacing
    found = {segment.SegmentLabel: [] for segment in file.SegmentSequence}
    for frame, groups in zip(frames, file.PerFrameFunctionalGroupsSequence, strict=True):
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        corner = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        j, i = np.nonzero(frame)
        assert j.size, "an empty frame"
        points = corner + np.outer(i * between_columns, orientation[0]) + np.outer(j * between_rows, orientation[1])
        found[file.SegmentSequence[number - 1].SegmentLabel].append(points)
    return {name: factory.points_mm(np.concatenate(points), np.eye(4)) for name, points in found.items()}


def assert_same_points(found, expected):
    assert found.keys() == expected.keys()
    for name, points in expected.items():
        assert found[name].shape == points.shape, name
        np.testing.assert_allclose(found[name], points, atol=0.011, err_msg=name)


@pytest.mark.parametrize("way", ORIENTATIONS)
def test_every_voxel_of_every_segment_is_where_the_mask_has_it(factory, from_dicom, tmp_path, way):
    made = from_dicom(ORIENTATIONS[way])
    for name, writer in dicom_writers(dicom_objects(*made)).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        writer(tmp_path / name)
    file = dcmread(tmp_path / "dicom" / "segmentation.dcm")
    found = points_of(factory, file)
    assert_same_points(found, expected_points(factory, made.analysis))
    assert found["left lung"][:, 0].mean() > found["right lung"][:, 0].mean()  # x runs to the patient's left


def test_highdicom_finds_the_masks_of_the_analysis(factory, axial, written):
    import highdicom as hd

    file = hd.seg.segread(written / "segmentation.dcm")
    images = [image.SOPInstanceUID for image in axial.source.images]
    pixels = file.get_pixels_by_source_instance(
        images, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
    )
    masks = factory.segment_masks(axial.analysis).values()
    stored = [axial.analysis.volume.storage.to_stored(mask) for mask in masks]
    np.testing.assert_array_equal(pixels, np.stack(stored, axis=-1))


def test_a_matrix_that_is_no_multiple_of_eight_is_packed_across_frames(factory, from_dicom, tmp_path):
    made = from_dicom(shape=(14, 23, 31))
    found = dicom_objects(*made)["dicom/segmentation.dcm"]
    assert found.Rows * found.Columns % 8
    dicom_writers({"seg.dcm": found})["seg.dcm"](tmp_path / "seg.dcm")
    assert_same_points(points_of(factory, dcmread(tmp_path / "seg.dcm")), expected_points(factory, made.analysis))


def test_frames_refer_to_the_images_in_their_place(axial, objects):
    file = objects["dicom/segmentation.dcm"]
    by_uid = {image.SOPInstanceUID: image for image in axial.source.images}
    for groups in file.PerFrameFunctionalGroupsSequence:
        (reference,) = groups.DerivationImageSequence[0].SourceImageSequence
        image = by_uid[reference.ReferencedSOPInstanceUID]
        assert groups.PlanePositionSequence[0].ImagePositionPatient == image.ImagePositionPatient
    (series,) = file.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == axial.source.images[0].SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence} == by_uid.keys()


@pytest.mark.parametrize(("stated", "spacing"), [(1.25, None), ("", None), (5.0, 5.0), (1.25, 0.5)])
def test_thickness_is_that_of_the_images_and_the_distance_that_of_the_slices(from_dicom, stated, spacing):
    told = {"SliceThickness": stated} | ({} if spacing is None else {"SpacingBetweenSlices": spacing})
    made = from_dicom(change=lambda k: told)
    step = made.analysis.volume.geometry.spacing_mm[2]
    (groups,) = dicom_objects(*made)["dicom/segmentation.dcm"].SharedFunctionalGroupsSequence
    (measures,) = groups.PixelMeasuresSequence
    assert measures.SliceThickness == pytest.approx(stated or step)
    assert measures.SpacingBetweenSlices == pytest.approx(step)


def test_segments_are_coded_and_tracked(objects):
    segments = objects["dicom/segmentation.dcm"].SegmentSequence
    assert [segment.SegmentLabel for segment in segments] == list(NAMES)
    kinds = {
        s.SegmentLabel: (
            s.SegmentedPropertyTypeCodeSequence[0].CodeValue,
            *(
                m.CodeValue
                for m in s.SegmentedPropertyTypeCodeSequence[0].get("SegmentedPropertyTypeModifierCodeSequence", ())
            ),
        )
        for s in segments
    }
    assert kinds["left lung"] == ("39607008", "7771000")
    assert kinds["right upper lobe"] == ("45653009", "24028007")
    assert kinds["right middle lobe"] == ("72481006",)
    assert kinds["ground-glass opacity"] == ("1217294009",)
    assert len({segment.TrackingUID for segment in segments}) == len(NAMES)
    assert {segment.SegmentAlgorithmType for segment in segments} == {"AUTOMATIC"}
    (algorithm,) = segments[0].SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmParameters) == ("CovidSeverity", "profile=default")
    assert segments[7].AnatomicRegionSequence[0].CodeValue == "39607008"


def test_identifiers_of_patient_and_study_are_those_of_the_input(axial, written):
    for path in sorted(written.iterdir()):
        file, first = dcmread(path), axial.source.images[0]
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID"):
            assert file[keyword].value == first[keyword].value, (path.name, keyword)
        assert file.AccessionNumber == "A77"
        assert (file.ContentDate, file.ContentTime) == ("20200305", "101500")
        assert file.SeriesInstanceUID != first.SeriesInstanceUID


def test_segments_without_voxels_are_left_out(from_dicom):
    found = dicom_objects(*from_dicom(infected=False))["dicom/segmentation.dcm"]
    assert [segment.SegmentLabel for segment in found.SegmentSequence] == list(NAMES[:7])


def test_file_is_compressed(objects, written):
    size = (written / "segmentation.dcm").stat().st_size
    assert dcmread(written / "segmentation.dcm").file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1.99"
    assert size < len(objects["dicom/segmentation.dcm"].PixelData)


def test_dcmqi_reads_every_voxel_and_code(factory, axial, written, tool, tmp_path):
    pytest.importorskip("dcmqi", reason="dcmqi is not installed")
    tool(
        *("segimage2itkimage", "--inputDICOM", written / "segmentation.dcm"),
        *("--outputDirectory", tmp_path, "--outputType", "nrrd"),
    )
    found = {}
    for (segment,) in json.loads((tmp_path / "meta.json").read_text())["segmentAttributes"]:
        image = sitk.ReadImage(str(tmp_path / f"{segment['labelID']}.nrrd"))
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
        matrix[:3, 3] = image.GetOrigin()
        ijk = np.argwhere(sitk.GetArrayViewFromImage(image))[:, ::-1]
        found[segment["SegmentLabel"]] = factory.points_mm(ijk, matrix)
        assert segment["SegmentedPropertyTypeCodeSequence"]["CodingSchemeDesignator"] == "SCT"
    assert_same_points(found, expected_points(factory, axial.analysis))


def test_dciodvfy_reports_no_error(objects, tool, tmp_path):
    """It cannot inflate: it gets the same data set without compression."""
    file = objects["dicom/segmentation.dcm"].copy()
    file.file_meta.TransferSyntaxUID, kept = ExplicitVRLittleEndian, file.file_meta.TransferSyntaxUID
    file.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    file.file_meta.TransferSyntaxUID = kept
    said = tool("dciodvfy", tmp_path / "seg.dcm")
    assert "Segmentation" in said
    assert [line for line in said.splitlines() if line.startswith("Error")] == []
