"""DICOM folders: what is read, what is noted, what is refused."""

from __future__ import annotations

import csv
import random
import shutil

import numpy as np
import pytest
from pydicom import Dataset, dcmread, uid
from pydicom.sequence import Sequence

from CovidSeverityLib.errors import CancelledError, InputError, NoLungsError
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.types import NoteSeverity

MR_CLASS = "1.2.840.10008.5.1.4.1.1.4"
DX_CLASS = "1.2.840.10008.5.1.4.1.1.1.1"


@pytest.fixture(autouse=True)
def silent(capfd):
    """Reading writes nothing to the terminal, not even from C++."""
    yield
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def codes(volume):
    return [note.code for note in volume.notes]


def message(volume, code):
    (note,) = [n for n in volume.notes if n.code == code]
    return note.message


def refused(path, **options):
    """The message of the InputError, which must name no folder and no patient."""
    with pytest.raises(InputError) as caught:
        read_ct(path, **options)
    text = str(caught.value)
    assert str(path.parent) not in text
    assert "Doe" not in text
    return text


def positions(z):
    return [(-12.5, -20.25, v) for v in z]


def test_series_is_read_in_hounsfield_units_with_its_geometry(tmp_path, write_series, chest_hu):
    write_series(tmp_path / "scan", chest_hu)
    volume = read_ct(tmp_path / "scan")
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.geometry.spacing_mm == (0.7, 0.8, 2.0)
    assert volume.geometry.origin_mm == (-12.5, -20.25, -52.1)
    np.testing.assert_allclose(volume.geometry.slice_z_mm(), -52.1 + 2 * np.arange(12), atol=1e-4)
    assert volume.name == "scan"
    assert volume.notes == ()
    assert volume.acquired == (True,) * 12


def test_names_folders_and_instance_numbers_of_the_files_do_not_matter(tmp_path, write_series, chest_hu):
    files = write_series(tmp_path / "a", chest_hu, lambda k: {"InstanceNumber": 99 - k})
    expected = read_ct(tmp_path / "a")
    names = [f"IM{n}" for n in range(len(files))]
    random.Random(5).shuffle(names)
    (tmp_path / "b" / "deep").mkdir(parents=True)
    for n, (file, name) in enumerate(zip(files, names, strict=True)):
        shutil.copy(file, tmp_path / "b" / ("deep" if n % 3 else "") / name)
    volume = read_ct(tmp_path / "b")
    np.testing.assert_array_equal(volume.hu, expected.hu)
    assert (volume.geometry, volume.notes) == (expected.geometry, expected.notes)


def test_files_that_are_no_dicom_are_passed_over(tmp_path, write_series, chest_hu):
    write_series(tmp_path, chest_hu)
    (tmp_path / "labels.csv").write_text("file,z\n")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "._000.dcm").write_bytes(b"\0\5\x16\7")
    np.testing.assert_array_equal(read_ct(tmp_path).hu, chest_hu)


def test_rescale_is_that_of_each_slice(tmp_path, write_series, chest_hu):
    def change(k):
        stored = chest_hu[k].astype(np.int32) + 1024 + 10 * k
        return {"RescaleIntercept": -1024 - 10 * k, "stored": stored.astype(np.uint16)}

    write_series(tmp_path, chest_hu, change)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, chest_hu)


@pytest.mark.parametrize(
    ("named", "kernel"), [("B70f", "B70f"), (["Br40d", "3"], "Br40d"), (" LUNG ", "LUNG"), ("", ""), (None, "")]
)
def test_kernel_is_read_from_the_header(tmp_path, write_series, chest_hu, named, kernel):
    write_series(tmp_path, chest_hu, lambda k: {} if named is None else {"ConvolutionKernel": named})
    assert read_ct(tmp_path).kernel == kernel


def test_slice_of_another_kernel_is_another_volume(tmp_path, write_series, chest_hu):
    write_series(tmp_path, chest_hu, lambda k: {"ConvolutionKernel": "B70f" if k else "B30f"})
    volume = read_ct(tmp_path)
    assert (len(volume.hu), volume.kernel) == (11, "B70f")
    assert "2 volumes, which differ in kernel" in message(volume, "volume_chosen")


def test_fractional_slope_is_applied_and_rounded(tmp_path, write_series, chest_hu):
    stored = np.rint((chest_hu + 1000.25) / 1.5).clip(0).astype(np.uint16)
    write_series(tmp_path, chest_hu, lambda k: {"stored": stored[k], "RescaleSlope": 1.5, "RescaleIntercept": -1000.25})
    np.testing.assert_array_equal(read_ct(tmp_path).hu, np.rint(stored * 1.5 - 1000.25))


def test_slices_without_rescale_are_repaired_with_a_warning(tmp_path, write_series, chest_hu):
    write_series(tmp_path, chest_hu, lambda k: {"RescaleSlope": None, "RescaleIntercept": None})
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert codes(volume) == ["hu_offset_repaired"]


def test_signed_slices_without_rescale_are_hounsfield_units(tmp_path, write_series, chest_hu):
    write_series(tmp_path, chest_hu, lambda k: {"stored": chest_hu[k], "RescaleSlope": None, "RescaleIntercept": None})
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.notes == ()


def test_intercept_applied_twice_is_repaired_before_clipping(tmp_path, write_series, chest_hu):
    write_series(tmp_path, chest_hu, lambda k: {"stored": chest_hu[k]})
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert codes(volume) == ["hu_offset_repaired"]


def padded(hu, value, border=3):
    stored = hu.astype(np.int32)
    stored[:, :border] = value
    return stored.astype(np.int16)


@pytest.mark.parametrize("value", [-2000, -500, 4000])
def test_padding_value_is_air_though_written_as_unsigned_for_signed_pixels(tmp_path, write_series, chest_hu, value):
    stored = padded(chest_hu, value)
    for file in write_series(tmp_path, chest_hu, lambda k: {"stored": stored[k], "RescaleIntercept": 0}):
        dataset = dcmread(file)
        dataset.add_new("PixelPaddingValue", "US", value % 65536)
        dataset.save_as(file)
    hu = read_ct(tmp_path).hu
    assert (hu[:, :3] == -1024).all()
    np.testing.assert_array_equal(hu[:, 3:], chest_hu[:, 3:])


def test_padding_range_is_air(tmp_path, write_series, chest_hu):
    stored = padded(chest_hu, -2000)
    stored[:, 0] = -1900
    stored[:, 1] = 3800
    for file in write_series(tmp_path, chest_hu, lambda k: {"stored": stored[k], "RescaleIntercept": 0}):
        dataset = dcmread(file)
        dataset.add_new("PixelPaddingValue", "SS", 4000)
        dataset.add_new("PixelPaddingRangeLimit", "SS", 3700)
        dataset.save_as(file)
    assert (read_ct(tmp_path).hu[:, :3] == -1024).all()


def test_padding_value_that_tissue_has_too_is_padding_only_outside_the_patient(tmp_path, write_series, chest_hu):
    hu = chest_hu.copy()
    hu[:, :3] = 0
    hu[:, 15, 15:20] = 0
    for file in write_series(tmp_path, hu):
        dataset = dcmread(file)
        dataset.add_new("PixelPaddingValue", "US", 1024)
        dataset.save_as(file)
    volume = read_ct(tmp_path)
    assert (volume.hu[:, :3] == -1024).all()
    assert (volume.hu[:, 15, 15:20] == 0).all()


def test_series_with_most_slices_is_taken_and_said(tmp_path, write_series, chest_hu):
    write_series(tmp_path / "thin", chest_hu, uid="2.25.7")
    write_series(tmp_path / "thick", chest_hu[:5], lambda k: {"SeriesDescription": "Lung 5.0"}, uid="2.25.3")
    volume = read_ct(tmp_path)
    assert volume.hu.shape[0] == 12
    assert codes(volume) == ["series_chosen"]
    assert volume.notes[0].severity is NoteSeverity.INFO
    assert message(volume, "series_chosen").startswith("2 CT series")
    assert "2.25.7 (12 slices)" in message(volume, "series_chosen")


def test_series_can_be_chosen_and_an_unknown_one_is_answered_with_the_list(tmp_path, write_series, chest_hu):
    write_series(tmp_path / "thin", chest_hu, uid="2.25.7")
    write_series(tmp_path / "thick", chest_hu[:5], lambda k: {"SeriesDescription": "Lung 5.0"}, uid="2.25.3")
    volume = read_ct(tmp_path, series_uid="2.25.3")
    assert volume.hu.shape[0] == 5
    assert volume.notes == ()
    text = refused(tmp_path, series_uid="2.25.9")
    assert "2.25.7 (Chest 2.0, 12 slices); 2.25.3 (Lung 5.0, 5 slices)" in text


def test_one_file_stands_for_the_series_it_belongs_to(tmp_path, write_series, chest_hu):
    files = write_series(tmp_path, chest_hu[:8], uid="2.25.7")
    other = write_series(tmp_path / "elsewhere", chest_hu, uid="2.25.3")
    for file in other:
        shutil.copy(file, tmp_path / f"x{file.name}")
    volume = read_ct(files[3])
    assert volume.hu.shape[0] == 8
    assert volume.name == "003.dcm"
    assert "all 8 files" in message(volume, "series_of_file")


def test_localizer_inside_the_series_is_ignored(tmp_path, write_series, chest_hu):
    def change(k):
        return {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "ImagePositionPatient": None} if k == 4 else {}

    z = [0, 2, 4, 6, 99, 8, 10, 12, 14, 16, 18, 20]
    write_series(tmp_path, chest_hu, change, positions=positions(z))
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, np.delete(chest_hu, 4, axis=0))


def test_slices_of_another_orientation_or_size_are_dropped_with_a_note(tmp_path, write_series, chest_hu):
    write_series(tmp_path / "a", chest_hu)
    write_series(tmp_path / "b", chest_hu[:2], lambda k: {"SOPInstanceUID": f"2.25.8.{k}"}, iop=(1, 0, 0, 0, 0, -1))
    write_series(tmp_path / "c", chest_hu[:1, :9], lambda k: {"SOPInstanceUID": "2.25.9.1"})
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    said = message(volume, "volume_chosen")
    assert "3 volumes, which differ in matrix and orientation" in said
    assert "3 of 15 slices of the series were left out; --volume chooses another" in said


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"SOPClassUID": MR_CLASS, "Modality": "MR"}, "is MR; a chest CT is needed"),
        ({"Modality": "MR"}, "is MR; a chest CT is needed"),
        ({"SOPClassUID": MR_CLASS, "Modality": None}, "is MR Image Storage; a chest CT is needed"),
        ({"SOPClassUID": DX_CLASS, "Modality": "DX"}, "projection"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER", "TOPO"]}, "projection"),
        ({"Modality": "CR"}, "projection"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": None}, "Secondary Capture"),
    ],
)
def test_what_is_no_ct_is_refused_by_name(tmp_path, write_series, chest_hu, tags, said):
    files = write_series(tmp_path / "scan", chest_hu, lambda k: dict(tags))
    assert said in refused(tmp_path / "scan")
    assert said in refused(files[0])


def test_ct_is_taken_where_there_is_mr_too(tmp_path, write_series, chest_hu):
    write_series(tmp_path / "ct", chest_hu[:6], uid="2.25.3")
    write_series(tmp_path / "mr", chest_hu, lambda k: {"SOPClassUID": MR_CLASS, "Modality": "MR"}, uid="2.25.4")
    volume = read_ct(tmp_path)
    assert volume.hu.shape[0] == 6
    assert volume.notes == ()


def test_single_slice_is_as_thick_as_its_header_says(tmp_path, write_series, chest_hu):
    files = write_series(tmp_path / "scan", chest_hu[6:7], lambda k: {"SliceThickness": 5})
    for path in (tmp_path / "scan", files[0]):
        volume = read_ct(path)
        np.testing.assert_array_equal(volume.hu, chest_hu[6:7])
        assert volume.geometry.spacing_mm == (0.7, 0.8, 5.0)
        assert volume.geometry.origin_mm == (-12.5, -20.25, -52.1)
        assert volume.notes == ()


def test_single_slice_of_unknown_thickness_is_noted(tmp_path, write_series, chest_hu):
    write_series(tmp_path / "scan", chest_hu[6:7])
    volume = read_ct(tmp_path / "scan")
    assert volume.geometry.spacing_mm[2] == 1.0
    assert codes(volume) == ["slice_thickness_unknown"]


def test_single_slice_that_is_not_axial_is_refused(tmp_path, write_series, chest_hu):
    write_series(tmp_path / "scan", chest_hu[6:7], iop=(0, 1, 0, 0, 0, -1))
    assert "a single slice that is not axial was given" in refused(tmp_path / "scan")


def test_slices_that_fit_nowhere_are_refused(tmp_path, write_series, chest_hu):
    write_series(tmp_path / "scan", chest_hu[:2], lambda k: {"PixelSpacing": [0.8 + 0.1 * k, 0.7]})
    assert "no two slices of the CT series have one orientation and size" in refused(tmp_path / "scan")


def test_slices_at_one_position_are_no_volume(tmp_path, write_series, chest_hu):
    write_series(tmp_path, chest_hu, positions=positions([5.0] * 12))
    assert "one position" in refused(tmp_path)


def test_duplicate_is_left_out_with_a_warning_that_names_the_position(tmp_path, write_series, chest_hu):
    files = write_series(tmp_path, chest_hu)
    shutil.copy(files[3], tmp_path / "0_copy.dcm")
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    note = message(volume, "duplicate_slices")
    assert "z = -46.1 mm" in note
    assert "same content" in note


@pytest.mark.parametrize("first", ["kept", "extra"])
def test_of_two_acquisitions_of_the_same_part_the_earlier_is_taken(tmp_path, write_series, chest_hu, first):
    write_series(tmp_path / first, chest_hu, lambda k: {"AcquisitionNumber": 1, "InstanceNumber": 50 + k})
    other = np.full_like(chest_hu, 300)

    def later(k):
        return {"AcquisitionNumber": 2, "InstanceNumber": k, "SOPInstanceUID": f"2.25.0.{k}"}

    write_series(tmp_path / "between", other, later)
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    note = message(volume, "volume_chosen")
    assert "2 volumes, which differ in acquisition" in note
    assert "12 of 24 slices of the series were left out" in note


def test_doubled_slice_of_another_content_is_left_out_and_said(tmp_path, write_series, chest_hu):
    write_series(tmp_path / "scan", chest_hu)
    extra = write_series(tmp_path / "extra", chest_hu[:1] + 100, lambda k: {"SOPInstanceUID": "2.25.1.99"})
    shutil.move(extra[0], tmp_path / "scan" / "extra.dcm")
    shutil.rmtree(tmp_path / "extra")
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    note = message(volume, "duplicate_slices")
    assert note.startswith("Left out for lying where another slice does: 1 (1 of them with another content)")
    assert note.endswith("z = -52.1 mm")


def test_missing_slices_are_refused_with_their_place(tmp_path, write_series, chest_hu):
    z = [0, 2, 4, 10, 12, 14, 16, 18, 22, 24, 26, 28]
    write_series(tmp_path, chest_hu, positions=positions(z))
    text = refused(tmp_path)
    assert "3 slices are missing" in text
    assert "2 between z = 4.0 and z = 10.0 mm" in text
    assert "1 between z = 18.0 and z = 22.0 mm" in text
    assert "--force" in text


def test_missing_slices_are_interpolated_by_force(tmp_path, write_series, chest_hu):
    z = [0, 2, 4, 10, 12, 14, 16, 18, 20, 22, 24, 26]
    write_series(tmp_path, chest_hu, positions=positions(z))
    volume = read_ct(tmp_path, force=True)
    assert volume.hu.shape[0] == 14
    assert [k for k, acquired in enumerate(volume.acquired) if not acquired] == [3, 4]
    np.testing.assert_array_equal(np.delete(volume.hu, (3, 4), axis=0), chest_hu)
    np.testing.assert_allclose(volume.hu[3], (2 * chest_hu[2] + 1.0 * chest_hu[3]) / 3, atol=0.51)
    np.testing.assert_allclose(volume.hu[4], (1.0 * chest_hu[2] + 2 * chest_hu[3]) / 3, atol=0.51)
    np.testing.assert_allclose(volume.geometry.slice_z_mm(), np.arange(14) * 2, atol=1e-4)
    assert message(volume, "missing_slices").startswith("2 missing slices were interpolated at z = 6.0, 8.0 mm")


def test_flags_of_interpolated_slices_follow_the_flip_to_canonical_order(tmp_path, write_series, chest_hu):
    # The normal of these slices points to the feet.
    z = [0, -2, -4, -8, -10, -12, -14, -16, -18, -20, -22, -24]
    write_series(tmp_path, chest_hu, positions=positions(z), iop=(1, 0, 0, 0, -1, 0))
    volume = read_ct(tmp_path, force=True)
    assert [k for k, acquired in enumerate(volume.acquired) if not acquired] == [9]
    assert volume.geometry.slice_z_mm()[9] == pytest.approx(-6)


def test_padding_takes_no_part_in_an_interpolation(tmp_path, write_series, chest_hu):
    hu = chest_hu.copy()
    hu[4, :3] = hu[5, :5] = 2000
    for file in write_series(tmp_path, hu, positions=positions([0, 2, 4, 6, 8, 12, 14, 16, 18, 20, 22, 24])):
        dataset = dcmread(file)
        dataset.add_new("PixelPaddingValue", "US", 3024)
        dataset.save_as(file)
    between = read_ct(tmp_path, force=True).hu[5]
    assert (between[:3] == -1024).all()
    np.testing.assert_array_equal(between[3:5], hu[4, 3:5])
    np.testing.assert_allclose(between[5:], (hu[4, 5:].astype(float) + hu[5, 5:]) / 2, atol=0.51)


def test_more_than_half_is_never_interpolated(tmp_path, write_series, chest_hu):
    write_series(tmp_path, chest_hu, positions=positions([*range(6), *range(40, 46)]))
    assert "at most half" in refused(tmp_path, force=True)


def test_uneven_spacing_is_noted_and_no_value_changed(tmp_path, write_series, chest_hu):
    z = 2.0 * np.arange(12)
    z[5] += 0.4
    write_series(tmp_path, chest_hu, positions=positions(z))
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.geometry.spacing_mm[2] == 2.0
    assert "from 1.60 to 2.40 mm" in message(volume, "irregular_spacing")
    assert "up to 0.40 mm" in message(volume, "irregular_spacing")


def test_rounded_positions_are_regular(tmp_path, write_series, chest_hu):
    write_series(tmp_path, chest_hu, positions=positions(np.round(np.arange(12) * 0.6667, 2)))
    assert read_ct(tmp_path).notes == ()


def test_slices_that_drift_off_the_grid_are_resampled_onto_it(tmp_path, write_series):
    z = np.concatenate([2.0 * np.arange(20), 38 + 2.8 * np.arange(1, 21)])
    ramp = np.rint(-1000 + 12 * z).astype(np.int16)[:, None, None] * np.ones((1, 9, 8), np.int16)
    write_series(tmp_path, ramp, positions=positions(z))
    volume = read_ct(tmp_path)
    assert "resampled" in message(volume, "irregular_spacing")
    np.testing.assert_allclose(volume.hu[:, 4, 4], -1000 + 12 * volume.geometry.slice_z_mm(), atol=1.5)


def test_steps_of_no_regular_stack_are_refused(tmp_path, write_series, chest_hu):
    write_series(tmp_path, chest_hu, positions=positions([0, 5, 10, 15, 15.5, 20, 25, 30, 35, 40, 45, 50]))
    assert "varies from 0.50 to 5.00 mm" in refused(tmp_path, force=True)


@pytest.mark.parametrize("degrees", [15, -15])
def test_tilted_gantry_is_noted_and_every_voxel_stays_where_it_was(tmp_path, write_series, chest_hu, degrees):
    angle = np.radians(degrees)
    iop = (1, 0, 0, 0, np.cos(angle), np.sin(angle))
    where = [(-12.5, -20.25, 2.0 * k) for k in range(12)]
    hu = chest_hu.copy()
    hu[:, 10, 12] = 2000 + np.arange(12)
    write_series(tmp_path, hu, positions=where, iop=iop)
    volume = read_ct(tmp_path)
    assert "tilted by 15.0 degrees" in message(volume, "gantry_tilt")
    assert volume.geometry.spacing_mm[2] == pytest.approx(2 * np.cos(angle), abs=1e-6)
    for k in range(12):
        (index,) = np.argwhere(volume.hu == 2000 + k)
        got = (volume.geometry.ijk_to_lps @ [*index[::-1], 1])[:3]
        expected = np.array(where[k]) + 12 * 0.7 * np.array(iop[:3]) + 10 * 0.8 * np.array(iop[3:])
        np.testing.assert_allclose(got, expected, atol=0.41)
    assert set(np.unique(volume.hu)) <= {*np.unique(hu), -1024}


@pytest.mark.parametrize("iop", [(-1, 0, 0, 0, -1, 0), (1, 0, 0, 0, 0, -1), (0, 1, 0, 0, 0, -1), (0, -1, 0, 1, 0, 0)])
def test_series_of_any_orientation_comes_to_canonical_axes(tmp_path, write_series, chest_hu, iop):
    write_series(tmp_path, chest_hu, iop=iop)
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.storage.to_stored(volume.hu), chest_hu)
    assert (np.diag(np.reshape(volume.geometry.direction, (3, 3))) == 1).all()
    normal = np.cross(iop[:3], iop[3:])
    expected = np.array([-12.5, -20.25, -52.1]) + 4 * 0.7 * np.array(iop[:3]) + 2 * 0.8 * np.array(iop[3:]) + 6 * normal
    index = np.argwhere(volume.storage.to_canonical(np.arange(chest_hu.size).reshape(chest_hu.shape)) == 3 * 1080 + 76)
    np.testing.assert_allclose((volume.geometry.ijk_to_lps @ [*index[0][::-1], 1])[:3], expected, atol=1e-3)


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_missing_geometry_is_refused_with_the_name_of_the_file(tmp_path, write_series, chest_hu, keyword):
    write_series(tmp_path, chest_hu, lambda k: {keyword: None} if k == 7 else {})
    text = refused(tmp_path)
    assert "007.dcm" in text
    assert keyword in text


@pytest.mark.parametrize("tags", [{"PhotometricInterpretation": "MONOCHROME1"}, {"SamplesPerPixel": 3}])
def test_pixels_of_another_kind_are_refused(tmp_path, write_series, chest_hu, tags):
    write_series(tmp_path, chest_hu, lambda k: tags if k == 2 else {})
    assert "002.dcm is MONOCHROME" in refused(tmp_path)


@pytest.mark.parametrize("length", [0, 100, 150, 400, 700, 1500])
def test_truncated_file_is_refused_with_its_name(tmp_path, write_series, chest_hu, length):
    files = write_series(tmp_path / "scan", chest_hu)
    files[5].write_bytes(files[5].read_bytes()[:length])
    if length == 100:  # without the magic bytes it is no DICOM file, and its slice is missing
        assert "1 slice is missing" in refused(tmp_path / "scan")
    else:
        assert "005.dcm" in refused(tmp_path / "scan")


@pytest.mark.parametrize("syntax", ["ImplicitVRLittleEndian", "DeflatedExplicitVRLittleEndian", "RLELossless"])
def test_other_transfer_syntaxes_are_read_and_their_truncated_files_refused(tmp_path, write_series, chest_hu, syntax):
    files = write_series(tmp_path / "scan", chest_hu)
    for file in files:
        dataset = dcmread(file)
        if syntax == "RLELossless":
            dataset.compress(uid.RLELossless)
        dataset.file_meta.TransferSyntaxUID = getattr(uid, syntax)
        dataset.save_as(file, implicit_vr=syntax.startswith("Implicit"), little_endian=True)
    np.testing.assert_array_equal(read_ct(tmp_path / "scan").hu, chest_hu)
    content = files[5].read_bytes()
    files[5].write_bytes(content[: len(content) * 4 // 5])
    assert "005.dcm" in refused(tmp_path / "scan")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.999])
def test_truncated_jpeg_of_a_real_series_is_refused(real_ct_root, tmp_path, share):
    for file in sorted((real_ct_root / "P001").iterdir())[60:66]:
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(content[: int(len(content) * share)] if file.stem == "063" else content)
    assert "063.dcm is damaged or cut short" in refused(tmp_path)


def test_header_of_nonsense_is_refused_with_the_name_of_the_file(tmp_path, write_series, chest_hu):
    files = write_series(tmp_path / "scan", chest_hu)
    content = files[5].read_bytes()
    files[5].write_bytes(content.replace(b"-1024 ", b"nought").replace(b"-1024", b"zilch"))
    assert "005.dcm" in refused(tmp_path / "scan")


def test_empty_folder_and_folder_of_no_dicom_are_refused(tmp_path):
    (tmp_path / "nothing").mkdir()
    assert "the folder nothing is empty" in refused(tmp_path / "nothing")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("hello")
    assert "the folder texts holds no DICOM" in refused(tmp_path / "texts")


def test_missing_path_is_named_as_it_was_typed(tmp_path):
    with pytest.raises(InputError, match="no such file or folder: nowhere/scan"):
        read_ct("nowhere/scan")


@pytest.mark.parametrize(("value", "error"), [(0, InputError), (-1024, NoLungsError)])
def test_constant_series_is_refused(tmp_path, write_series, chest_hu, value, error):
    write_series(tmp_path / "scan", np.full_like(chest_hu, value))
    with pytest.raises(error, match="every voxel"):
        read_ct(tmp_path / "scan")


def test_progress_is_reported_and_can_cancel(tmp_path, write_series, chest_hu):
    write_series(tmp_path, chest_hu)
    seen = []
    read_ct(tmp_path, progress=lambda *args: seen.append(args))
    assert seen == [("read", n, 12) for n in range(1, 13)]

    def cancel(stage, done, total):
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        read_ct(tmp_path, progress=cancel)


def test_no_note_names_the_patient_or_the_folder(tmp_path, write_series, chest_hu):
    files = write_series(tmp_path / "a", chest_hu, positions=positions([0, 2, 4, 8, 10, 12, 14, 16, 18, 20, 22, 24]))
    shutil.copy(files[2], tmp_path / "a" / "again.dcm")
    write_series(tmp_path / "b", chest_hu[:3], uid="2.25.3")
    volume = read_ct(tmp_path, force=True)
    assert set(codes(volume)) == {"series_chosen", "duplicate_slices", "missing_slices"}
    assert not any("Doe" in n.message or str(tmp_path) in n.message for n in volume.notes)


def enhanced(folder, write_series, hu, order, intercepts):
    """One enhanced multi-frame file of the slices in ``order``."""
    template = dcmread(write_series(folder / "classic", hu[:1])[0])
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
        delattr(template, keyword)
    del template.RescaleIntercept
    template.SOPClassUID = template.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    template.NumberOfFrames = len(order)
    shared = Dataset()
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient, measures.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.8, 0.7]
    reconstruction = Dataset()
    reconstruction.ConvolutionKernel = "LUNG"
    shared.CTReconstructionSequence = Sequence([reconstruction])
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Sequence([orientation]), Sequence([measures])
    frames = []
    for k in order:
        position, rescale, groups = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [-12.5, -20.25, -52.1 + 2 * k]
        rescale.RescaleSlope, rescale.RescaleIntercept = 1, intercepts[k]
        groups.PlanePositionSequence = Sequence([position])
        groups.PixelValueTransformationSequence = Sequence([rescale])
        frames.append(groups)
    template.SharedFunctionalGroupsSequence = Sequence([shared])
    template.PerFrameFunctionalGroupsSequence = Sequence(frames)
    template.PixelData = b"".join((hu[k].astype(np.int32) - intercepts[k]).astype(np.uint16).tobytes() for k in order)
    path = folder / "enhanced.dcm"
    template.save_as(path)
    shutil.rmtree(folder / "classic")
    return path


@pytest.mark.parametrize("varying", [False, True])
def test_enhanced_multiframe_file_is_sorted_by_position_and_rescaled_by_frame(
    tmp_path, write_series, chest_hu, varying
):
    order = list(range(12))
    random.Random(2).shuffle(order)
    intercepts = [-1024 - 10 * k * varying for k in range(12)]
    path = enhanced(tmp_path, write_series, chest_hu, order, intercepts)
    for source in (path, tmp_path):
        volume = read_ct(source)
        np.testing.assert_array_equal(volume.hu, chest_hu)
        assert volume.geometry.origin_mm == (-12.5, -20.25, -52.1)
        assert volume.geometry.spacing_mm == (0.7, 0.8, 2.0)
        assert volume.kernel == "LUNG"


def test_real_series_has_the_positions_of_its_label_table(real_ct_root):
    volume = read_ct(real_ct_root / "P001")
    with (real_ct_root / "P001_labels.csv").open() as table:
        z = sorted(float(row["z_mm"]) for row in csv.DictReader(table))
    np.testing.assert_allclose(volume.geometry.slice_z_mm(), z, atol=1e-4)
    assert volume.hu.shape == (148, 512, 512)
    assert (volume.hu.min(), volume.hu.max()) == (-1024, 1563)
    assert volume.notes == ()
    # The table under the patient's back, and air in front: rows run from anterior to posterior.
    assert volume.hu[:, :40].mean() < -900


def test_renaming_the_files_of_a_real_series_changes_no_bit(real_ct_root, tmp_path):
    files = sorted((real_ct_root / "cap001").iterdir())[60:80]
    random.Random(0).shuffle(files)
    for n, file in enumerate(files):
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / "a" / file.name).symlink_to(file)
        (tmp_path / "b" / f"{n:05d}").symlink_to(file)
    a, b = read_ct(tmp_path / "a"), read_ct(tmp_path / "b")
    np.testing.assert_array_equal(a.hu, b.hu)
    assert a.geometry == b.geometry
    assert a.notes == b.notes == ()
