"""DICOM headers as clinical files have them: read where their meaning is certain, refused by name where it is not."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from pydicom import DataElement, Dataset, dcmread, dcmwrite, uid

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.types import NoteSeverity

CAPTURE_CLASS = "1.2.840.10008.5.1.4.1.1.7"
TAGS = {
    "PixelSpacing": (0x0028, 0x0030),
    "ImagePositionPatient": (0x0020, 0x0032),
    "SliceThickness": (0x0018, 0x0050),
    "AcquisitionNumber": (0x0020, 0x0012),
    "InstanceNumber": (0x0020, 0x0013),
    "RescaleIntercept": (0x0028, 0x1052),
    "RescaleSlope": (0x0028, 0x1053),
}


@pytest.fixture(autouse=True)
def silent(capfd):
    """Reading writes nothing to the terminal, not even from C++."""
    yield
    assert tuple(capfd.readouterr()) == ("", "")


def notes(volume):
    return {note.code: note for note in volume.notes}


def write_text(path, keyword, text, vr):
    """Write ``text`` into an element as it is, under any value representation of two bytes of length."""
    dataset = dcmread(path)
    dataset[TAGS[keyword]] = DataElement(TAGS[keyword], "LO", text)
    dataset.save_as(path)
    tag = struct.pack("<HH", *TAGS[keyword])
    content = path.read_bytes()
    assert content.count(tag + b"LO") == 1
    path.write_bytes(content.replace(tag + b"LO", tag + vr.encode()))


def bare(path, implicit):
    """Take preamble, magic bytes and meta information away."""
    dataset = dcmread(path)
    plain = Dataset()
    plain.update({element.tag: element for element in dataset})
    dcmwrite(path, plain, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    assert b"DICM" not in path.read_bytes()[:200]


@pytest.mark.parametrize("implicit", [True, False])
def test_files_without_preamble_are_read(tmp_path, write_series, chest_hu, implicit):
    files = write_series(tmp_path / "scan", chest_hu)
    for file in files:
        bare(file, implicit)
    volume = read_ct(tmp_path / "scan")
    np.testing.assert_array_equal(volume.hu, chest_hu)
    np.testing.assert_array_equal(read_ct(files[4]).hu, chest_hu)
    assert volume.notes == ()


def test_decimal_comma_is_a_point(tmp_path, write_series, chest_hu):
    files = write_series(tmp_path, chest_hu)
    for k, file in enumerate(files):
        write_text(file, "PixelSpacing", "0,8\\0,7", "DS")
        write_text(file, "ImagePositionPatient", f"-12,5\\-20,25\\{-52.1 + 2 * k:.1f}".replace(".", ","), "DS")
        write_text(file, "RescaleIntercept", "-1024,0", "DS")
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.geometry.spacing_mm == (0.7, 0.8, 2.0)
    assert volume.geometry.origin_mm == (-12.5, -20.25, -52.1)


@pytest.mark.parametrize("text", ["1.5", "IM7", ""])
@pytest.mark.parametrize("keyword", ["AcquisitionNumber", "InstanceNumber"])
def test_integer_fields_that_hold_none_are_no_reason_to_refuse(tmp_path, write_series, chest_hu, keyword, text):
    for file in write_series(tmp_path, chest_hu):
        write_text(file, keyword, text, "IS")
    np.testing.assert_array_equal(read_ct(tmp_path).hu, chest_hu)


@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_written_as_text_are_numbers(tmp_path, write_series, chest_hu, compressed):
    for file in write_series(tmp_path, chest_hu, lambda k: {"RescaleSlope": None, "RescaleIntercept": None}):
        dataset = dcmread(file)
        if compressed:
            dataset.compress(uid.RLELossless)
        dataset.add(DataElement(TAGS["RescaleIntercept"], "UT", "-1024"))
        dataset.add(DataElement(TAGS["RescaleSlope"], "UT", "1"))
        dataset[TAGS["PixelSpacing"]] = DataElement(TAGS["PixelSpacing"], "UT", "0.8\\0.7")
        dataset.save_as(file)
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.geometry.spacing_mm == (0.7, 0.8, 2.0)


@pytest.mark.parametrize("compressed", [False, True])
def test_bits_above_the_image_are_left_out(tmp_path, write_series, chest_hu, compressed):
    def twelve_bits(k):
        stored = (chest_hu[k].astype(np.int32) + 1024).astype(np.uint16)
        return {"stored": stored | np.uint16(0x4000), "BitsStored": 12, "HighBit": 11}

    for file in write_series(tmp_path, chest_hu, twelve_bits):
        if compressed:
            dataset = dcmread(file)
            dataset.compress(uid.RLELossless)
            dataset.save_as(file)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, chest_hu)


def test_signed_pixels_of_twelve_bits_keep_their_sign(tmp_path, write_series, chest_hu):
    low = np.minimum(chest_hu, 2047)

    def twelve_bits(k):
        stored = (low[k].astype(np.int16) & np.int16(0x0FFF)).astype(np.int16)
        return {"stored": stored, "BitsStored": 12, "HighBit": 11, "RescaleIntercept": 0}

    write_series(tmp_path, chest_hu, twelve_bits)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, low)


def test_one_pixel_spacing_is_that_of_square_pixels(tmp_path, write_series, chest_hu):
    for file in write_series(tmp_path, chest_hu):
        write_text(file, "PixelSpacing", "0.75", "DS")
    volume = read_ct(tmp_path)
    assert volume.geometry.spacing_mm == (0.75, 0.75, 2.0)
    assert notes(volume)["pixel_spacing_single"].severity is NoteSeverity.WARNING


def test_slice_location_stands_for_a_missing_position(tmp_path, write_series, chest_hu):
    write_series(tmp_path, chest_hu, lambda k: {"ImagePositionPatient": None, "SliceLocation": -52.1 + 2 * k})
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.geometry.spacing_mm == (0.7, 0.8, 2.0)
    np.testing.assert_allclose(volume.geometry.slice_z_mm(), -52.1 + 2 * np.arange(12), atol=1e-4)
    assert notes(volume)["position_of_location"].severity is NoteSeverity.WARNING


def test_location_of_slices_that_are_not_level_tells_nothing(tmp_path, write_series, chest_hu):
    tags = {"ImagePositionPatient": None, "ImageOrientationPatient": [1, 0, 0, 0, 0.8, -0.6]}
    write_series(tmp_path, chest_hu, lambda k: {**tags, "SliceLocation": 2 * k})
    with pytest.raises(InputError, match="no usable ImagePositionPatient"):
        read_ct(tmp_path)


@pytest.mark.parametrize(("degrees", "noted"), [(0.03, False), (0.4, True)])
def test_directions_not_quite_at_right_angles_are_made_so_and_said(tmp_path, write_series, chest_hu, degrees, noted):
    skew = np.sin(np.radians(degrees))
    write_series(tmp_path, chest_hu, lambda k: {"ImageOrientationPatient": [1, 0, 0, skew, 1, 0]})
    volume = read_ct(tmp_path)
    direction = np.reshape(volume.geometry.direction, (3, 3))
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-5)
    assert ("axes_made_perpendicular" in notes(volume)) is noted


def test_directions_far_from_right_angles_are_refused(tmp_path, write_series, chest_hu):
    write_series(tmp_path, chest_hu, lambda k: {"ImageOrientationPatient": [1, 0, 0, 0.05, 1, 0]})
    with pytest.raises(InputError, match="no pair of perpendicular unit vectors"):
        read_ct(tmp_path)


@pytest.mark.parametrize("compressed", [False, True])
def test_secondary_capture_with_the_geometry_of_a_ct_is_read_with_a_warning(
    tmp_path, write_series, chest_hu, compressed
):
    for file in write_series(tmp_path, chest_hu, lambda k: {"SOPClassUID": CAPTURE_CLASS}):
        if compressed:
            dataset = dcmread(file)
            dataset.compress(uid.RLELossless)
            dataset.save_as(file)
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert notes(volume)["secondary_capture"].severity is NoteSeverity.WARNING


def test_original_is_taken_before_a_secondary_capture(tmp_path, write_series, chest_hu):
    write_series(tmp_path / "a", np.repeat(chest_hu, 2, axis=0), lambda k: {"SOPClassUID": CAPTURE_CLASS}, uid="2.25.5")
    write_series(tmp_path / "b", chest_hu, uid="2.25.6")
    np.testing.assert_array_equal(read_ct(tmp_path).hu, chest_hu)


def test_spacing_in_micrometres_is_taken_from_the_field_or_refused(tmp_path, write_series, chest_hu):
    tags = {"PixelSpacing": [800, 800]}
    write_series(tmp_path / "told", chest_hu, lambda k: {**tags, "ReconstructionDiameter": 0.8 * 36})
    volume = read_ct(tmp_path / "told")
    assert volume.geometry.spacing_mm == (0.8, 0.8, 2.0)
    assert notes(volume)["pixel_spacing_of_field"].severity is NoteSeverity.WARNING
    write_series(tmp_path / "untold", chest_hu, lambda k: tags)
    with pytest.raises(InputError, match="800"):
        read_ct(tmp_path / "untold")


def test_values_far_above_int16_are_kept_for_the_check_of_hounsfield_units(tmp_path, write_series, chest_hu):
    def raised(k):
        return {"stored": (chest_hu[k].astype(np.int32) + 33792).astype(np.uint16), "RescaleIntercept": 0}

    write_series(tmp_path, chest_hu, raised)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, chest_hu)


def stray(kind, folder, files):
    """Lay something bad beside a good series."""
    dataset = dcmread(files[2])
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "2.25.5", "2.25.5.1"
    dataset.file_meta.MediaStorageSOPInstanceUID = "2.25.5.1"
    target = folder / "zz.dcm"
    if kind == "empty":
        target = folder / "LOCKFILE"
        target.touch()
    elif kind == "without image":
        del dataset.PixelData
        dataset.save_as(target)
    elif kind == "report cut short":
        dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.88.22", "SR"
        dataset.save_as(target)
        target.write_bytes(target.read_bytes()[:222])
    else:
        dataset.save_as(target)
        content = target.read_bytes()
        target.write_bytes(content[: len(content) // 2])
    return target.name


@pytest.mark.parametrize("kind", ["empty", "without image", "report cut short", "other series cut short"])
def test_bad_file_beside_a_good_series_is_left_out_and_said(tmp_path, write_series, chest_hu, kind):
    files = write_series(tmp_path, chest_hu)
    name = stray(kind, tmp_path, files)
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    (message,) = [note.message for note in volume.notes if note.code.endswith("files_left_out")]
    assert name in message


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_bad_file_of_the_series_itself_is_an_error(tmp_path, write_series, chest_hu, share):
    files = write_series(tmp_path, chest_hu)
    content = files[11].read_bytes()
    files[11].write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"011\.dcm is cut short"):
        read_ct(tmp_path)


def test_file_that_ends_within_a_sequence_beside_a_good_series_is_left_out(tmp_path, write_series, chest_hu):
    write_series(tmp_path, chest_hu)
    content = (tmp_path / "000.dcm").read_bytes()
    end = content.index(bytes.fromhex("080018005549"))  # SOPInstanceUID
    sequence = bytes.fromhex("08001511") + b"SQ\0\0" + b"\xff" * 4  # ReferencedSeriesSequence, without an item
    (tmp_path / "cut.dcm").write_bytes(content[:end] + sequence)
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert [note.code for note in volume.notes] == ["files_left_out"]


def test_missing_slice_names_the_file_that_may_have_been_it(tmp_path, write_series, chest_hu):
    files = write_series(tmp_path, chest_hu)
    files[5].write_bytes(b"")
    with pytest.raises(InputError, match=r"1 slice is missing.*could not be read: 005\.dcm"):
        read_ct(tmp_path)


def test_capture_without_geometry_is_no_slice_of_the_series_it_lies_in(tmp_path, write_series, chest_hu):
    write_series(tmp_path / "a", chest_hu)
    tags = {"SOPClassUID": CAPTURE_CLASS, "ImagePositionPatient": None, "SOPInstanceUID": "2.25.9.9"}
    write_series(tmp_path / "b", chest_hu[:1], lambda k: tags)
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.notes == ()
