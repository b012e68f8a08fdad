"""One SeriesInstanceUID, several volumes: told apart by what must be one, and the best for the lungs taken."""

from __future__ import annotations

import numpy as np
import pytest

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.types import NoteSeverity

ORIGINAL = ["ORIGINAL", "PRIMARY", "AXIAL"]
MIP = ["DERIVED", "SECONDARY", "AXIAL", "MIP"]


@pytest.fixture
def write(tmp_path, write_series):
    """A function that adds a volume to one folder: same series, same places, tags of its own."""
    written = []

    def add(hu, *, uid="2.25.1", step_mm=2.0, positions=None, iop=(1, 0, 0, 0, 1, 0), **tags):
        n = len(written)

        def change(k):
            return {"SOPInstanceUID": f"2.25.{n + 1}.{k}", **{t: v(k) if callable(v) else v for t, v in tags.items()}}

        written.append(n)
        write_series(tmp_path / "scan" / f"{n}", hu, change, uid=uid, step_mm=step_mm, positions=positions, iop=iop)
        return tmp_path / "scan"

    return add


def notes(volume):
    return {note.code: note for note in volume.notes}


def refused(path, **options):
    with pytest.raises(InputError) as caught:
        read_ct(path, **options)
    text = str(caught.value)
    assert "Doe" not in text
    assert "Roe" not in text
    return text


def test_two_patients_under_one_uid_are_refused_and_can_be_chosen(write, chest_hu):
    write(chest_hu, PatientID="A17")
    scan = write(chest_hu[::-1], PatientID="B99", PatientName="Roe^Ann")
    text = refused(scan)
    assert "CTs of 2 patients: volume 1 (12 slices, 2 mm); volume 2 (12 slices, 2 mm)" in text
    assert "--volume chooses one" in text
    assert "A17" not in text
    np.testing.assert_array_equal(read_ct(scan, volume=1).hu, chest_hu)
    np.testing.assert_array_equal(read_ct(scan, volume=2).hu, chest_hu[::-1])
    assert "there is no volume 3; there is volume 1 (12 slices" in refused(scan, volume=3)


def test_one_patient_whose_name_is_punctuated_in_two_ways_is_one(write, chest_hu):
    write(chest_hu[:6], PatientName="DOE^JANE^^", uid="2.25.7")
    assert len(read_ct(write(chest_hu, PatientName="Doe^Jane", uid="2.25.8")).hu) == 12


def test_two_patients_in_two_series_are_refused_and_one_series_is_read(write, chest_hu):
    write(chest_hu, PatientID="A17", uid="2.25.7")
    scan = write(chest_hu[::-1], PatientID="B99", uid="2.25.8")
    assert "CTs of 2 patients" in refused(scan)
    np.testing.assert_array_equal(read_ct(scan, series_uid="2.25.8").hu, chest_hu[::-1])


def test_two_scans_that_nothing_tells_apart_are_refused(write, chest_hu):
    write(chest_hu)
    text = refused(write(chest_hu[::-1]))
    assert "12 slices show something else than another slice at the same place (z = -52.1, -50.1" in text
    assert "two scans are mixed" in text


@pytest.mark.parametrize("offset_mm", [1.0, 24.0])
def test_two_scans_whose_slices_lie_between_or_above_one_another_are_refused(write, chest_hu, offset_mm):
    write(chest_hu)
    positions = [(-12.5, -20.25, -52.1 + offset_mm + 2 * k) for k in range(12)]
    text = refused(write(chest_hu[::-1], positions=positions))
    assert "12 of 24 slices have the InstanceNumber of another slice that lies elsewhere: two scans are mixed" in text


@pytest.mark.parametrize("number", [1, ""])
def test_slices_that_are_not_numbered_are_one_volume(write, chest_hu, number):
    volume = read_ct(write(chest_hu, InstanceNumber=number))
    np.testing.assert_array_equal(volume.hu, chest_hu)


@pytest.mark.parametrize(
    ("tag", "kept", "other", "what"),
    [
        ("ConvolutionKernel", "B70f", "B30f", "kernel"),
        ("ConvolutionKernel", "LUNG", "STANDARD", "kernel"),
        ("ImageType", ORIGINAL, MIP, "image type"),
        ("ImageType", [*ORIGINAL, "ENERGY_A"], [*ORIGINAL, "ENERGY_B"], "image type"),
        ("FrameOfReferenceUID", "2.25.55", "2.25.66", "frame of reference"),
        ("KVP", "100", "140", "tube voltage"),
        ("AcquisitionNumber", 1, 2, "acquisition"),
        ("TemporalPositionIdentifier", 1, 2, "acquisition"),
        ("SliceThickness", 2, 8, "thickness"),
    ],
)
def test_volumes_are_told_apart_by_what_must_be_one(write, chest_hu, tag, kept, other, what):
    write(chest_hu[::-1], **{tag: other})
    scan = write(chest_hu, **{tag: kept})
    volume = read_ct(scan)
    if what in ("frame of reference", "tube voltage"):  # nothing makes one of them better
        assert len(volume.hu) == 12
    else:
        np.testing.assert_array_equal(volume.hu, chest_hu)
    note = notes(volume)["volume_chosen"]
    assert note.severity is NoteSeverity.WARNING
    assert f"2 volumes, which differ in {what}" in note.message
    assert "12 of 24 slices" in note.message
    assert "duplicate_slices" not in notes(volume)


def test_two_breath_holds_between_one_another_are_two_volumes(write, chest_hu):
    write(chest_hu, AcquisitionNumber=1)
    between = [(-12.5, -20.25, -51.1 + 2 * k) for k in range(12)]
    volume = read_ct(write(chest_hu[::-1], AcquisitionNumber=2, positions=between))
    assert volume.geometry.spacing_mm[2] == 2.0
    np.testing.assert_array_equal(volume.hu, chest_hu)


@pytest.mark.parametrize("offset_mm", [0.0, 1.0])
@pytest.mark.parametrize("upwards", [True, False])
def test_second_pass_under_the_same_acquisition_number_is_told_by_the_numbers_of_its_slices(
    write, chest_hu, offset_mm, upwards
):
    def number(first):
        return lambda k: first + (k if upwards else 11 - k)

    write(chest_hu, InstanceNumber=number(1))
    positions = [(-12.5, -20.25, -52.1 + offset_mm + 2 * k) for k in range(12)]
    volume = read_ct(write(chest_hu[::-1], positions=positions, InstanceNumber=number(13)))
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.geometry.spacing_mm[2] == 2.0
    assert "2 volumes, which differ in numbers of their slices" in notes(volume)["volume_chosen"].message


def test_slices_numbered_at_random_are_one_volume(write, chest_hu):
    order = np.random.default_rng(0).permutation(12)
    volume = read_ct(write(chest_hu, InstanceNumber=lambda k: int(order[k])))
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.notes == ()


def test_acquisitions_that_follow_one_another_are_one_volume(write, chest_hu):
    volume = read_ct(write(chest_hu, AcquisitionNumber=lambda k: k // 4))
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.notes == ()


def test_words_of_a_vendor_behind_the_image_type_part_no_volume(write, chest_hu):
    volume = read_ct(write(chest_hu, ImageType=lambda k: ORIGINAL if k < 5 else [*ORIGINAL, "CT_SOM7 SPI"]))
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.notes == ()


def test_projection_with_more_slices_is_not_taken(write, chest_hu):
    write(np.repeat(chest_hu, 2, axis=0), uid="2.25.8", step_mm=1.0, ImageType=MIP)
    volume = read_ct(write(chest_hu, uid="2.25.7", ImageType=ORIGINAL))
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert "for original images: 2.25.7 (12 slices)" in notes(volume)["series_chosen"].message


def test_projection_alone_is_read_with_a_warning_that_names_what_it_spoils(write, chest_hu):
    note = notes(read_ct(write(chest_hu, ImageType=MIP)))["derived_images"]
    assert note.severity is NoteSeverity.WARNING
    assert "infection and CTSS are too high" in note.message


def test_reformat_is_no_projection_and_the_original_is_taken_before_it(write, chest_hu):
    reformat = ["ORIGINAL", "PRIMARY", "AXIAL", "MPR"]
    scan = write(np.repeat(chest_hu[::-1], 2, axis=0), uid="2.25.8", step_mm=1.0, ImageType=reformat)
    assert "derived_images" not in notes(read_ct(scan))
    np.testing.assert_array_equal(read_ct(write(chest_hu, uid="2.25.7", ImageType=ORIGINAL)).hu, chest_hu)


def test_thin_slices_are_taken_before_thick_and_a_whole_chest_before_a_part(write, chest_hu):
    write(chest_hu[::3], uid="2.25.5", step_mm=6.0, SliceThickness=6)
    write(chest_hu, uid="2.25.6", step_mm=2.0, SliceThickness=2)
    scan = write(np.repeat(chest_hu[:4], 4, axis=0), uid="2.25.7", step_mm=0.5, SliceThickness=0.5)
    assert "2.25.6 (12 slices)" in notes(read_ct(scan))["series_chosen"].message


def test_coronal_reformat_with_more_slices_is_not_taken(write, chest_hu):
    write(np.repeat(chest_hu, 2, axis=0), iop=(1, 0, 0, 0, 0, -1))
    volume = read_ct(write(chest_hu))
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert "not axial" in notes(volume)["volume_chosen"].message


def test_choice_does_not_depend_on_names_of_files(write, chest_hu):
    write(chest_hu, AcquisitionNumber=2, TemporalPositionIdentifier=2)
    volume = read_ct(write(chest_hu[::-1], AcquisitionNumber=1, TemporalPositionIdentifier=1))
    np.testing.assert_array_equal(volume.hu, chest_hu[::-1])


@pytest.mark.parametrize("tag", ["SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"])
def test_identifier_of_its_own_in_every_slice_is_no_reason_to_part_them(write, chest_hu, tag):
    volume = read_ct(write(chest_hu, **{tag: lambda k: f"2.25.77.{k}"}))
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert list(notes(volume)) == (["series_merged"] if tag == "SeriesInstanceUID" else [])


def test_file_of_a_volume_chooses_that_volume(write, chest_hu, tmp_path):
    write(chest_hu, ConvolutionKernel="B70f")
    scan = write(chest_hu[::-1], ConvolutionKernel="B30f")
    together = tmp_path / "together"
    together.mkdir()
    for file in sorted(scan.rglob("*.dcm")):
        file.rename(together / f"{file.parent.name}{file.name}")
    np.testing.assert_array_equal(read_ct(together / "1003.dcm").hu, chest_hu[::-1])


@pytest.mark.parametrize("wobble", [2e-3, 5e-3])
def test_orientations_that_waver_drop_no_slice(write, chest_hu, wobble):
    def orientation(k):
        return [1, wobble * (k % 2), 0, 0, 1, 0]

    volume = read_ct(write(chest_hu, ImageOrientationPatient=orientation))
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.geometry.spacing_mm[2] == 2.0
