"""NIfTI, NRRD and MetaImage files, and masks: what is read and what is refused."""

from __future__ import annotations

import gzip
import random
import struct

import numpy as np
import pytest
import SimpleITK as sitk

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.masks import read_mask
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.io.volume import volume_from_array

SPACING, ORIGIN = (0.7, 0.8, 2.4), (-12.5, -20.3, -52.1)
ENDINGS = ["nii", "nii.gz", "nrrd", "nhdr", "mha", "mhd", "hdr", "img"]
ROTATED = (0.995037190209989, -0.099503719020999, 0, 0.099503719020999, 0.995037190209989, 0, 0, 0, 1)


@pytest.fixture(autouse=True)
def silent(capfd):
    """Reading writes nothing to the terminal, not even from C++."""
    yield
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def write(path, array, direction=None, compress=False, spacing=SPACING, origin=ORIGIN):
    image = sitk.GetImageFromArray(array)
    if image.GetDimension() == 3:
        image.SetSpacing(spacing)
        image.SetOrigin(origin)
        if direction is not None:
            image.SetDirection([float(v) for v in np.ravel(direction)])
    sitk.WriteImage(image, str(path), compress)
    return path


def refused(path, reader=read_ct, *args):
    with pytest.raises(InputError) as caught:
        reader(path, *args)
    text = str(caught.value)
    assert str(path.parent) not in text
    return text


@pytest.fixture
def ct(chest_hu):
    return volume_from_array(chest_hu, SPACING, ORIGIN, np.eye(3))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_gives_the_same_volume(tmp_path, chest_hu, ct, ending, compress):
    path = write(tmp_path / f"CT.of-chest.{ending}", chest_hu, compress=compress)
    volume = read_ct(path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.geometry == ct.geometry
    assert volume.name == f"CT.of-chest.{ending}"
    assert volume.notes == ()


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_flipped_and_permuted_file_gives_the_same_volume(tmp_path, chest_hu, ct, ending):
    image = sitk.GetImageFromArray(chest_hu)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    for n, (axes, flips) in enumerate([((2, 0, 1), (True, False, True)), ((1, 0, 2), (False, False, True))]):
        moved = sitk.Flip(sitk.PermuteAxes(image, axes), flips)
        path = tmp_path / f"{n}.{ending}"
        sitk.WriteImage(moved, str(path))
        volume = read_ct(path)
        np.testing.assert_array_equal(volume.hu, ct.hu)
        assert volume.geometry == ct.geometry
        np.testing.assert_array_equal(volume.storage.to_stored(volume.hu), sitk.GetArrayFromImage(moved))


def test_floats_are_rounded_and_what_is_no_number_becomes_air(tmp_path, chest_hu):
    array = chest_hu.astype(np.float32) + 0.3
    array[3, 4, 5:8] = np.nan, np.inf, -np.inf
    volume = read_ct(write(tmp_path / "x.nrrd", array))
    expected = chest_hu.copy()
    expected[3, 4, 5:8] = -1024
    np.testing.assert_array_equal(volume.hu, expected)
    assert [(n.code, n.message.split()[0]) for n in volume.notes] == [("not_finite", "3")]


def test_slope_and_intercept_of_a_nifti_header_are_applied(tmp_path, chest_hu):
    path = write(tmp_path / "x.nii", (chest_hu.astype(np.int32) + 2000).astype(np.int16))
    content = bytearray(path.read_bytes())
    content[112:120] = struct.pack("<ff", 1, -2000)  # scl_slope, scl_inter
    path.write_bytes(content)
    np.testing.assert_array_equal(read_ct(path).hu, chest_hu)


def test_raw_values_are_repaired_with_a_note(tmp_path, chest_hu):
    volume = read_ct(write(tmp_path / "x.mha", (chest_hu.astype(np.int32) + 1024).astype(np.uint16)))
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert [n.code for n in volume.notes] == ["hu_offset_repaired"]


@pytest.mark.parametrize("padding", [-2000, -3024, -32768])
def test_padding_becomes_air(tmp_path, chest_hu, padding):
    array = chest_hu.copy()
    array[:, :3] = padding
    volume = read_ct(write(tmp_path / "x.nii.gz", array))
    assert (volume.hu[:, :3] == -1024).all()
    np.testing.assert_array_equal(volume.hu[:, 3:], chest_hu[:, 3:])
    assert volume.notes == ()


def test_one_volume_in_a_4d_file_is_read(tmp_path, chest_hu):
    image = sitk.JoinSeries([sitk.GetImageFromArray(chest_hu)])
    sitk.WriteImage(image, str(tmp_path / "x.nrrd"))
    np.testing.assert_array_equal(read_ct(tmp_path / "x.nrrd").hu, chest_hu)


def test_nifti_and_nrrd_without_orientation_carry_a_warning(tmp_path, chest_hu):
    nifti = write(tmp_path / "x.nii", chest_hu)
    content = bytearray(nifti.read_bytes())
    content[252:256] = bytes(4)  # qform_code, sform_code
    nifti.write_bytes(content)
    nrrd = write(tmp_path / "x.nrrd", chest_hu)
    header, _, data = nrrd.read_bytes().partition(b"\n\n")
    dropped = (b"space:", b"space directions", b"space origin")
    lines = [line for line in header.split(b"\n") if not line.startswith(dropped)]
    nrrd.write_bytes(b"\n".join([*lines, b"spacings: 0.7 0.8 2.4"]) + b"\n\n" + data)
    for path in (nifti, nrrd):
        assert [n.code for n in read_ct(path).notes] == ["orientation_unknown"]


@pytest.mark.parametrize(
    ("shape", "said"),
    [((30, 36), "2-D image (36 x 30)"), ((1, 1, 36), "2-D image"), ((2, 4, 30, 36), "4-D image (36 x 30 x 4 x 2)")],
)
@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_other_dimensions_are_refused_with_their_shape(tmp_path, shape, said, ending):
    image = sitk.GetImageFromArray(np.zeros(shape, np.int16), isVector=False)
    sitk.WriteImage(image, str(tmp_path / f"x.{ending}"))
    assert said in refused(tmp_path / f"x.{ending}")


def test_colour_and_complex_images_are_refused(tmp_path):
    colour = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    sitk.WriteImage(colour, str(tmp_path / "rgb.nrrd"))
    assert "3 numbers a voxel (6 x 5 x 4)" in refused(tmp_path / "rgb.nrrd")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6), np.complex64)), str(tmp_path / "c.nii"))
    assert "complex" in refused(tmp_path / "c.nii")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("text", [b"hello world\n" * 100, b"", b"\n\n\n", b"NDims = 3\n"])
def test_text_file_is_refused_by_name(tmp_path, ending, text):
    path = tmp_path / f"notes.{ending}"
    path.write_bytes(text)
    assert f"notes.{ending}" in refused(path)


def test_compressed_text_named_nifti_is_refused(tmp_path):
    path = tmp_path / "notes.nii.gz"
    path.write_bytes(gzip.compress(b"hello world\n" * 100))
    assert "notes.nii.gz is not a NIfTI file" in refused(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97, 0.9999])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha"])
def test_truncated_file_is_refused_by_name(tmp_path, chest_hu, ending, compress, share):
    path = write(tmp_path / f"x.{ending}", chest_hu, compress=compress)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert f"x.{ending}" in refused(path)


@pytest.mark.parametrize(
    ("ending", "compress", "data"),
    [("mhd", 0, "x.raw"), ("mhd", 1, "x.zraw"), ("nhdr", 1, "x.raw.gz"), ("nhdr", 0, "x.raw")],
)
def test_truncated_or_missing_data_file_beside_a_header_is_refused(tmp_path, chest_hu, ending, compress, data):
    path = write(tmp_path / f"x.{ending}", chest_hu, compress=bool(compress))
    content = (tmp_path / data).read_bytes()
    (tmp_path / data).write_bytes(content[: len(content) * 2 // 3])
    refused(path)
    (tmp_path / data).unlink()
    refused(path)


@pytest.mark.parametrize("ending", ["nii.gz", "nrrd", "mha"])
def test_damaged_compressed_data_are_refused(tmp_path, chest_hu, ending):
    path = write(tmp_path / f"x.{ending}", chest_hu, compress=True)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 50] = random.Random(1).randbytes(50)
    path.write_bytes(content)
    assert f"x.{ending} is damaged" in refused(path)


def test_sheared_nifti_is_refused_with_the_reason(tmp_path, chest_hu):
    path = write(tmp_path / "tilted.nii", chest_hu)
    content = bytearray(path.read_bytes())
    content[252:256] = struct.pack("<hh", 0, 1)
    content[280:328] = struct.pack("<12f", 1, 0, 0.3, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    path.write_bytes(content)
    assert "tilted.nii are not at right angles" in refused(path)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 2e24])
@pytest.mark.parametrize("offset", [264, 268, 300])
def test_nifti_affine_that_is_no_number_is_refused_and_does_not_hang(tmp_path, chest_hu, value, offset):
    path = write(tmp_path / "x.nii", chest_hu)
    content = bytearray(path.read_bytes())
    content[offset : offset + 4] = struct.pack("<f", value)
    path.write_bytes(content)
    assert "the header of x.nii places the image at" in refused(path)


def test_big_endian_nifti_is_read_and_its_truncated_file_refused(tmp_path, chest_hu, ct):
    path = tmp_path / "x.nii"
    header = bytearray(352)
    header[:4] = struct.pack(">i", 348)
    header[40:56] = struct.pack(">8h", 3, *chest_hu.shape[::-1], 1, 1, 1, 1)
    header[70:74] = struct.pack(">hh", 4, 16)
    header[76:120] = struct.pack(">8f3f", 1, *SPACING, 0, 0, 0, 0, 352, 1, 0)
    header[123] = 2
    header[254:256] = struct.pack(">h", 1)
    (i, j, k), (x, y, z) = SPACING, ORIGIN
    header[280:328] = struct.pack(">12f", -i, 0, 0, -x, 0, -j, 0, -y, 0, 0, k, z)
    header[344:348] = b"n+1\0"
    path.write_bytes(bytes(header) + chest_hu.astype(">i2").tobytes())
    volume = read_ct(path)
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.geometry == ct.geometry
    path.write_bytes(path.read_bytes()[:-9])
    assert "cut short" in refused(path)


@pytest.mark.parametrize("name", ["scan.png", "scan.txt", "scan", "scan.raw"])
def test_unknown_ending_is_refused_with_what_is_allowed(tmp_path, name):
    (tmp_path / name).write_bytes(b"x" * 500)
    assert ".nii.gz" in refused(tmp_path / name)


def test_series_of_an_image_file_is_refused(tmp_path, chest_hu):
    path = write(tmp_path / "x.nrrd", chest_hu)
    with pytest.raises(InputError, match="no series to choose from"):
        read_ct(path, series_uid="2.25.1")


@pytest.mark.parametrize("array", [np.zeros((4, 30, 36), np.int16), np.full((4, 30, 36), 7, np.uint8)])
def test_constant_image_is_refused(tmp_path, array):
    assert f"x.mha: every voxel is {array.max()}" in refused(write(tmp_path / "x.mha", array))


def test_8_bit_image_is_refused_with_its_range(tmp_path, chest_hu):
    window = np.clip((chest_hu + 1000) / 8, 0, 255).astype(np.uint8)
    assert "run from 0 to" in refused(write(tmp_path / "x.nrrd", window))


# ---- masks


@pytest.fixture
def labels(chest_hu):
    return np.where(chest_hu < -500, 1, 2).astype(np.uint8) + (np.indices(chest_hu.shape)[2] > 20).astype(np.uint8)


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "seg.nrrd", "mha"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_mask_of_any_number_type_is_read(tmp_path, ct, labels, ending, dtype):
    mask = read_mask(write(tmp_path / f"m.{ending}", labels.astype(dtype)), ct)
    np.testing.assert_array_equal(mask, labels)
    assert mask.dtype == np.uint8
    assert not mask.flags.writeable


@pytest.mark.parametrize("direction", [np.eye(3), np.reshape(ROTATED, (3, 3))])
def test_mask_stored_with_other_axes_is_brought_to_the_ct(tmp_path, chest_hu, labels, direction):
    volume = volume_from_array(chest_hu, SPACING, ORIGIN, direction)
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    image.SetDirection(direction.ravel().tolist())
    for ending in ("nii.gz", "mha"):
        path = tmp_path / f"m.{ending}"
        sitk.WriteImage(sitk.Flip(sitk.PermuteAxes(image, (1, 2, 0)), (False, True, True)), str(path))
        np.testing.assert_array_equal(read_mask(path, volume), labels)


@pytest.mark.parametrize("degrees", [44.99, 45, 45.01])
def test_mask_of_a_ct_at_45_degrees_is_matched_to_it_in_spite_of_few_digits(tmp_path, chest_hu, labels, degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    volume = volume_from_array(chest_hu, SPACING, ORIGIN, [[c, -s, 0], [s, c, 0], [0, 0, 1]])
    direction = [[0.7071, -0.7071, 0], [0.7071, 0.7071, 0], [0, 0, 1]]
    path = write(tmp_path / "m.mha", labels, direction=direction)
    np.testing.assert_array_equal(read_mask(path, volume), volume.storage.to_canonical(labels))


def test_header_with_few_digits_is_the_same_grid(tmp_path, ct, labels):
    path = write(tmp_path / "m.mha", labels, spacing=(0.7001, 0.7999, 2.4), origin=(-12.52, -20.28, -52.08))
    np.testing.assert_array_equal(read_mask(path, ct), labels)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"spacing": (0.7, 0.8, 2.5)}, "its spacing is (0.7, 0.8, 2.5) mm, (0.7, 0.8, 2.4) mm is needed"),
        ({"origin": (-12.5, -20.3, -50)}, "its position is (-12.5, -20.3, -50) mm, (-12.5, -20.3, -52.1) mm is needed"),
        ({"direction": ROTATED}, "its direction is (0.995037"),
        ({"origin": (12.5, -20.3, -52.1)}, "its position is"),
    ],
)
def test_mask_of_another_geometry_is_refused_with_both(tmp_path, ct, labels, options, said):
    path = write(tmp_path / "m.mha", labels, **options)
    text = refused(path, read_mask, ct)
    assert "m.mha does not match the CT" in text
    assert said in text


def test_mask_of_another_size_is_refused_with_both(tmp_path, ct, labels):
    path = write(tmp_path / "m.mha", labels[:-1])
    assert "its size is (36, 30, 11) voxels, (36, 30, 12) voxels is needed" in refused(path, read_mask, ct)


def test_mask_with_layers_is_refused_with_what_to_do(tmp_path, ct, labels):
    layers = sitk.GetImageFromArray(np.stack([labels, labels], axis=-1), isVector=True)
    sitk.WriteImage(layers, str(tmp_path / "m.seg.nrrd"))
    text = refused(tmp_path / "m.seg.nrrd", read_mask, ct)
    assert "2 numbers a voxel" in text
    assert "exported as one label map" in text


def test_dicom_mask_is_refused(tmp_path, ct, write_series, chest_hu):
    files = write_series(tmp_path / "seg", chest_hu[:2])
    assert "is DICOM; export it" in refused(files[0], read_mask, ct)
    assert "is DICOM; export it" in refused(tmp_path / "seg", read_mask, ct)


@pytest.mark.parametrize(
    ("value", "said"), [(0.5, "fractions"), (-1, "from -1"), (np.nan, "not finite"), (3e9, "to 3e+09")]
)
def test_numbers_that_are_no_labels_are_refused(tmp_path, ct, labels, value, said):
    array = labels.astype(np.float64)
    array[2, 3, 4] = value
    assert said in refused(write(tmp_path / "m.nrrd", array), read_mask, ct)


def test_large_labels_are_kept(tmp_path, ct, labels):
    mask = read_mask(write(tmp_path / "m.nrrd", labels.astype(np.uint16) * 100), ct)
    np.testing.assert_array_equal(mask, labels.astype(int) * 100)


def test_missing_mask_is_named_as_it_was_typed(ct):
    with pytest.raises(InputError, match=r"no such mask: nowhere/m\.nii"):
        read_mask("nowhere/m.nii", ct)


def test_real_series_written_as_image_is_the_same_volume(real_ct_root, tmp_path):
    dicom = read_ct(real_ct_root / "P001")
    i, j, k = dicom.geometry.spacing_mm
    image = sitk.GetImageFromArray(dicom.hu[:, ::4, ::4])
    image.SetSpacing((4 * i, 4 * j, k))
    image.SetOrigin(dicom.geometry.origin_mm)
    sitk.WriteImage(sitk.Flip(sitk.PermuteAxes(image, (2, 0, 1)), (True, False, True)), str(tmp_path / "x.nii"))
    volume = read_ct(tmp_path / "x.nii")
    np.testing.assert_array_equal(volume.hu, dicom.hu[:, ::4, ::4])
    assert volume.geometry.origin_mm == dicom.geometry.origin_mm
    np.testing.assert_allclose(volume.geometry.slice_z_mm(), dicom.geometry.slice_z_mm(), atol=1e-4)
