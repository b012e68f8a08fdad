"""NIfTI-1, NIfTI-2 and Analyze 7.5, in one file and in two: what their headers may say, and what is refused."""

from __future__ import annotations

import gzip
import struct

import nibabel as nib
import numpy as np
import pytest

from CovidSeverityLib.commands.analyze import default_output
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.image_search import find_images
from CovidSeverityLib.io.images import read_image
from CovidSeverityLib.io.masks import read_mask
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.io.volume import volume_from_array
from CovidSeverityLib.types import NoteSeverity

SPACING, ORIGIN = (0.7, 0.8, 2.4), (-12.5, -20.3, -52.1)
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
KINDS = {"nifti1": nib.Nifti1Image, "nifti2": nib.Nifti2Image}
PAIRS = {"nifti1": nib.Nifti1Pair, "nifti2": nib.Nifti2Pair}
METRE, MILLIMETRE, MICROMETRE = 1, 2, 3


@pytest.fixture(autouse=True)
def silent(capfd):
    """Reading writes nothing to the terminal: no warning and no log line of nibabel."""
    yield
    assert tuple(capfd.readouterr()) == ("", "")


@pytest.fixture
def ct(chest_hu):
    return volume_from_array(chest_hu, SPACING, ORIGIN, np.eye(3))


def ras(spacing=SPACING, origin=ORIGIN, direction=None):
    """The matrix to RAS of an LPS grid."""
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if direction is None else direction) * np.array(spacing)
    matrix[:3, 3] = origin
    return LPS_TO_RAS @ matrix


def turned(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def save(path, hu, sform=None, qform=None, *, kind=nib.Nifti1Image, codes=(1, 1), **fields):
    """Write (K, J, I) ``hu``; a form that is None has code 0, ``fields`` are set as they are."""
    image = kind(np.ascontiguousarray(hu.T), None)
    header = image.header
    header.set_data_dtype(hu.dtype)
    header.set_qform(qform, codes[1] if qform is not None else 0)
    header.set_sform(sform, codes[0] if sform is not None else 0)
    if qform is None:
        header["pixdim"][1:4] = SPACING if sform is None else np.sqrt((sform[:3, :3] ** 2).sum(axis=0))
    nib.save(image, path)
    return patch(path, **fields) if fields else path


def patch(path, **fields):
    """Change header fields of a NIfTI-1 file, or of the .hdr of a pair, where it is."""
    content = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.binaryblock
    path.write_bytes(content)
    return path


def refused(path):
    with pytest.raises(InputError) as caught:
        read_ct(path)
    text = str(caught.value)
    assert str(path.parent) not in text
    assert "damaged" not in text
    return text


def noted(volume):
    assert not any(volume.name in note.message for note in volume.notes)  # pages without a title show notes
    return [(note.code, note.severity) for note in volume.notes]


def same(volume, ct):
    np.testing.assert_array_equal(volume.hu, ct.hu)
    assert volume.geometry == ct.geometry
    return True


# ---- forms of the file


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
@pytest.mark.parametrize("kind", KINDS)
def test_nifti_of_both_versions_is_read(tmp_path, chest_hu, ct, kind, ending):
    volume = read_ct(save(tmp_path / f"x.{ending}", chest_hu, ras(), kind=KINDS[kind]))
    assert same(volume, ct)
    assert volume.notes == ()


@pytest.mark.parametrize("given", ["hdr", "img"])
@pytest.mark.parametrize("kind", PAIRS)
def test_either_half_of_a_pair_is_read_as_the_whole(tmp_path, chest_hu, ct, kind, given):
    save(tmp_path / "x.hdr", chest_hu, ras(), kind=PAIRS[kind])
    volume = read_ct(tmp_path / f"x.{given}")
    assert same(volume, ct)
    assert volume.name == f"x.{given}"
    assert volume.notes == ()


def test_pair_with_a_compressed_half_and_capital_letters_is_read(tmp_path, chest_hu, ct):
    save(tmp_path / "x.hdr", chest_hu, ras(), kind=nib.Nifti1Pair)
    (tmp_path / "x.img.gz").write_bytes(gzip.compress((tmp_path / "x.img").read_bytes()))
    (tmp_path / "x.img").unlink()
    assert same(read_ct(tmp_path / "x.hdr"), ct)
    save(tmp_path / "Y.hdr", chest_hu, ras(), kind=nib.Nifti1Pair)
    for ending in ("hdr", "img"):
        (tmp_path / f"Y.{ending}").rename(tmp_path / f"Y.{ending.upper()}")
    assert same(read_ct(tmp_path / "Y.HDR"), ct)
    assert same(read_ct(tmp_path / "Y.IMG"), ct)


def test_mask_in_a_pair_is_read(tmp_path, chest_hu, ct):
    labels = (chest_hu < -500).astype(np.uint8)
    save(tmp_path / "m.hdr", labels, ras(), kind=nib.Nifti1Pair)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.img", ct), labels)


@pytest.mark.parametrize(("given", "lacking"), [("hdr", "img"), ("img", "hdr")])
def test_half_a_pair_is_refused_with_what_is_missing(tmp_path, chest_hu, given, lacking):
    save(tmp_path / "x.hdr", chest_hu, ras(), kind=nib.Nifti1Pair)
    (tmp_path / f"x.{lacking}").unlink()
    assert f"x.{given} is half of a pair; x.{lacking}," in refused(tmp_path / f"x.{given}")


def test_text_named_hdr_is_refused_by_name(tmp_path):
    (tmp_path / "x.hdr").write_bytes(b"ENVI\nsamples = 512\n" * 40)
    assert "x.hdr is not a NIfTI or Analyze file" in refused(tmp_path / "x.hdr")


def test_dicom_that_is_named_img_is_still_dicom(tmp_path, chest_hu, write_series):
    for file in write_series(tmp_path / "series", chest_hu):
        file.rename(file.with_suffix(".img"))
    np.testing.assert_array_equal(read_ct(tmp_path / "series" / "003.img").hu, chest_hu)
    np.testing.assert_array_equal(read_ct(tmp_path / "series").hu, chest_hu)


def test_pair_counts_once_in_a_folder_of_cases(tmp_path, chest_hu):
    save(tmp_path / "a.hdr", chest_hu, ras(), kind=nib.Nifti1Pair)
    save(tmp_path / "b.nii", chest_hu, ras())
    assert dict(find_images(tmp_path)) == {"a": tmp_path / "a.hdr", "b": tmp_path / "b.nii"}


@pytest.mark.parametrize("name", ["x.hdr", "x.img"])
def test_results_of_a_pair_are_named_after_it(tmp_path, name):
    assert default_output(tmp_path / name).name.startswith("x")
    assert "." not in default_output(tmp_path / name).name


def test_compression_is_seen_in_the_bytes_and_not_in_the_name(tmp_path, chest_hu, ct):
    save(tmp_path / "x.nii", chest_hu, ras())
    plain = (tmp_path / "x.nii").read_bytes()
    (tmp_path / "plain.nii.gz").write_bytes(plain)
    (tmp_path / "packed.nii").write_bytes(gzip.compress(plain))
    for name in ("plain.nii.gz", "packed.nii"):
        assert same(read_ct(tmp_path / name), ct)


@pytest.mark.parametrize("tail", [b"", bytes(512), b"garbage behind the stream"])
def test_gzip_in_several_members_is_read_and_what_follows_left_out(tmp_path, chest_hu, ct, tail):
    plain = save(tmp_path / "x.nii", chest_hu, ras()).read_bytes()
    packed = b"".join(gzip.compress(plain[n : n + 5000]) for n in range(0, len(plain), 5000))
    (tmp_path / "x.nii.gz").write_bytes(packed + tail)
    volume = read_ct(tmp_path / "x.nii.gz")
    assert same(volume, ct)
    assert volume.notes == ()


# ---- Analyze 7.5


@pytest.mark.parametrize("big", [False, True])
def test_analyze_is_read_with_a_warning_that_its_orientation_is_unknown(tmp_path, chest_hu, big):
    header = nib.Spm99AnalyzeHeader(endianness=">" if big else "<")
    image = nib.Spm99AnalyzeImage(np.ascontiguousarray(chest_hu.T), np.diag([-0.7, 0.8, 2.4, 1]), header)
    image.header["scl_slope"] = 0
    with (tmp_path / "x.hdr").open("wb") as file:
        image.header["dim"][:4], image.header["datatype"] = (3, *chest_hu.shape[::-1]), 4
        image.header["pixdim"][1:4] = SPACING
        file.write(image.header.binaryblock)
    (tmp_path / "x.img").write_bytes(chest_hu.astype(">i2" if big else "<i2").tobytes())
    volume = read_ct(tmp_path / "x.hdr")
    np.testing.assert_array_equal(volume.hu, chest_hu[:, ::-1])
    np.testing.assert_allclose(volume.geometry.spacing_mm, SPACING, atol=1e-6)
    assert noted(volume) == [("orientation_unknown", NoteSeverity.WARNING)]
    assert "to the left, to the front and to the head" in volume.notes[0].message


def test_analyze_places_its_axes_as_nibabel_does(tmp_path, chest_hu):
    nib.save(nib.AnalyzeImage(np.ascontiguousarray(chest_hu.T), np.diag([-0.7, 0.8, 2.4, 1])), tmp_path / "x.hdr")
    theirs = nib.AnalyzeImage.load(tmp_path / "x.hdr").affine[:3, :3]
    ours = read_image(tmp_path / "x.hdr").geometry.ijk_to_lps[:3, :3]
    np.testing.assert_allclose(LPS_TO_RAS[:3, :3] @ ours, theirs, atol=1e-6)


@pytest.mark.parametrize("edge", [0, -0.8, 700])
def test_analyze_with_impossible_voxels_is_refused(tmp_path, chest_hu, edge):
    nib.save(nib.AnalyzeImage(np.ascontiguousarray(chest_hu.T), np.diag([-0.7, 0.8, 2.4, 1])), tmp_path / "x.hdr")
    patch(tmp_path / "x.hdr", pixdim=[1, 0.7, edge, 2.4, 0, 0, 0, 0])
    assert f"0.7 x {edge} x 2.4 mm large; edges of 0.1 to 20 mm are needed" in refused(tmp_path / "x.hdr")


# ---- sform and qform


@pytest.mark.parametrize("direction", [np.eye(3), turned(7), np.diag([-1, 1, -1]), np.eye(3)[:, [2, 0, 1]]])
@pytest.mark.parametrize("forms", ["sform", "qform", "both"])
def test_any_form_alone_and_two_that_agree_place_the_image(tmp_path, chest_hu, direction, forms):
    matrix = ras(direction=direction)
    given = {"sform": matrix if forms != "qform" else None, "qform": matrix if forms != "sform" else None}
    volume = read_ct(save(tmp_path / "x.nii", chest_hu, **given))
    expected = volume_from_array(chest_hu, SPACING, ORIGIN, direction)
    np.testing.assert_array_equal(volume.hu, expected.hu)
    np.testing.assert_allclose(volume.geometry.ijk_to_lps, expected.geometry.ijk_to_lps, atol=2e-4)
    assert volume.notes == ()


def test_form_with_code_0_is_not_asked(tmp_path, chest_hu, ct):
    path = save(tmp_path / "x.nii", chest_hu, None, ras())
    wrong = np.diag([5.0, 5, 5, 1])
    assert same(read_ct(patch(path, srow_x=wrong[0], srow_y=wrong[1], srow_z=wrong[2])), ct)
    path = save(tmp_path / "y.nii", chest_hu, ras(), None)
    assert same(read_ct(patch(path, quatern_b=1, qoffset_x=500)), ct)


@pytest.mark.parametrize(
    ("flip", "said"),
    [
        ((-1, 1, 1), "by the sform its first axis runs to the left, by the qform its first axis runs to the right"),
        ((1, -1, 1), "by the sform its second axis runs to the back, by the qform its second axis runs to the front"),
        ((1, 1, -1), "by the sform its third axis runs to the head, by the qform its third axis runs to the feet"),
    ],
)
def test_forms_that_swap_two_sides_of_the_patient_are_refused_with_what_each_says(tmp_path, chest_hu, flip, said):
    path = save(tmp_path / "x.nii", chest_hu, ras(), ras(direction=np.diag(flip)))
    text = refused(path)
    assert "the sform and the qform of x.nii contradict each other" in text
    assert said in text


def test_forms_that_exchange_two_axes_are_refused(tmp_path, chest_hu):
    path = save(tmp_path / "x.nii", chest_hu, ras(), ras((0.8, 0.7, 2.4), direction=np.eye(3)[:, [1, 0, 2]]))
    assert "its first axis runs to the left, by the qform its first axis runs to the back" in refused(path)


def test_forms_with_other_voxel_edges_are_refused(tmp_path, chest_hu):
    text = refused(save(tmp_path / "x.nii", chest_hu, ras((0.7, 0.8, 5)), ras()))
    assert "by the sform its voxels are 0.7 x 0.8 x 5 mm large, by the qform 0.7 x 0.8 x 2.4 mm" in text


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"origin": (-12.5, -20.3, -40.1)}, "12.0 mm apart; the sform was used"),
        ({"direction": turned(10)}, "mm apart; the sform was used"),
    ],
)
def test_forms_that_differ_by_a_shift_or_a_small_turn_leave_a_note(tmp_path, chest_hu, ct, other, said):
    volume = read_ct(save(tmp_path / "x.nii", chest_hu, ras(), ras(**other)))
    assert same(volume, ct)
    assert noted(volume) == [("forms_apart", NoteSeverity.INFO)]
    assert said in volume.notes[0].message


def test_qfac_of_0_stands_for_1(tmp_path, chest_hu, ct):
    path = save(tmp_path / "x.nii", chest_hu, None, ras(direction=np.diag([1, 1, 1])))
    assert same(read_ct(patch(path, pixdim=[0, *SPACING, 0, 0, 0, 0])), ct)


def test_quaternion_of_few_digits_is_a_rotation(tmp_path, chest_hu):
    path = save(tmp_path / "x.nii", chest_hu, None, ras(direction=np.diag([-1, -1, 1])))
    volume = read_ct(patch(path, quatern_b=0, quatern_c=0, quatern_d=1.004))
    np.testing.assert_array_equal(volume.hu, chest_hu)


def test_quaternion_that_is_no_rotation_is_refused(tmp_path, chest_hu):
    path = patch(save(tmp_path / "x.nii", chest_hu, None, ras()), quatern_b=0.9, quatern_c=0.9)
    assert "the qform of x.nii is no rotation (quaternion 0.9, 0.9, " in refused(path)


def test_few_digits_in_the_sform_are_made_perpendicular(tmp_path, chest_hu):
    rounded = np.round(turned(7), 3)
    volume = read_ct(save(tmp_path / "x.nii", chest_hu, ras(direction=rounded)))
    np.testing.assert_allclose(np.reshape(volume.geometry.direction, (3, 3)), turned(7), atol=1e-3)
    assert volume.notes == ()


@pytest.mark.parametrize(("degrees", "good"), [(0.45, True), (0.55, False)])
def test_shear_up_to_half_a_degree_is_mended_and_said_so(tmp_path, chest_hu, degrees, good):
    sheared = np.eye(3)
    sheared[:, 1] = np.sin(np.radians(degrees)), np.cos(np.radians(degrees)), 0
    path = save(tmp_path / "x.nii", np.tile(chest_hu, (1, 4, 4)), ras(direction=sheared))
    if not good:
        assert "the axes of x.nii are not at right angles" in refused(path)
        return
    volume = read_ct(path)
    axes = np.reshape(volume.stored_geometry.direction, (3, 3))
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert noted(volume) == [("axes_made_perpendicular", NoteSeverity.INFO)]
    assert "0.45 degrees off a right angle" in volume.notes[0].message


# ---- voxel edges and units


def test_spacing_without_orientation_is_taken_with_a_warning(tmp_path, chest_hu, ct):
    volume = read_ct(save(tmp_path / "x.nii", chest_hu))
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.geometry.spacing_mm == ct.geometry.spacing_mm
    assert noted(volume) == [("orientation_unknown", NoteSeverity.WARNING)]


@pytest.mark.parametrize("edge", [0, -0.7, np.nan, np.inf, 0.05, 25])
def test_pixdim_that_is_no_voxel_edge_is_refused_where_nothing_else_tells_it(tmp_path, chest_hu, edge):
    path = patch(save(tmp_path / "x.nii", chest_hu), pixdim=[1, edge, 0.8, 2.4, 0, 0, 0, 0])
    assert f"the voxels of x.nii would be {edge:g} x 0.8 x 2.4 mm large" in refused(path)


@pytest.mark.parametrize("edge", [0, -0.7])
def test_pixdim_that_is_no_voxel_edge_is_refused_in_a_qform(tmp_path, chest_hu, edge):
    path = patch(save(tmp_path / "x.nii", chest_hu, None, ras()), pixdim=[1, edge, 0.8, 2.4, 0, 0, 0, 0])
    assert f"the header of x.nii has voxels of {edge:g} x 0.8 x 2.4 mm" in refused(path)


@pytest.mark.parametrize(("unit", "unit_mm"), [(METRE, 1000), (MICROMETRE, 0.001)])
@pytest.mark.parametrize("forms", ["sform", "qform", "both", "none"])
def test_metres_and_micrometres_are_converted_and_said_so(tmp_path, chest_hu, ct, unit, unit_mm, forms):
    spacing, origin = np.array(SPACING) / unit_mm, np.array(ORIGIN) / unit_mm
    matrix = ras(spacing, origin)
    sform, qform = (matrix if forms in (form, "both") else None for form in ("sform", "qform"))
    path = patch(save(tmp_path / "x.nii", chest_hu, sform, qform), xyzt_units=unit)
    if forms == "none":
        patch(path, pixdim=[1, *spacing, 0, 0, 0, 0])
    volume = read_ct(path)
    np.testing.assert_array_equal(volume.hu, ct.hu)
    np.testing.assert_allclose(volume.geometry.spacing_mm, SPACING, rtol=1e-5)
    if forms != "none":
        np.testing.assert_allclose(volume.geometry.origin_mm, ORIGIN, atol=1e-3)
    assert noted(volume)[0] == ("unit_converted", NoteSeverity.INFO)
    assert len(volume.notes) == (2 if forms == "none" else 1)


@pytest.mark.parametrize(
    ("unit", "edge"), [(METRE, "700 x 800 x 2400 mm"), (MICROMETRE, "0.0007 x 0.0008 x 0.0024 mm")]
)
@pytest.mark.parametrize("form", [True, False])
def test_unit_that_lies_is_repaired_with_a_warning(tmp_path, chest_hu, ct, unit, edge, form):
    volume = read_ct(patch(save(tmp_path / "x.nii", chest_hu, ras() if form else None), xyzt_units=unit))
    assert volume.geometry.spacing_mm == ct.geometry.spacing_mm
    assert noted(volume)[0] == ("unit_repaired", NoteSeverity.WARNING)
    assert (
        f"by which its voxels would be {edge} large; they were taken to be 0.7 x 0.8 x 2.4 mm"
        in volume.notes[0].message
    )


@pytest.mark.parametrize("unit", [0, MILLIMETRE, 5, MILLIMETRE | 8, 7 << 3])
def test_millimetres_and_units_that_are_none_are_millimetres(tmp_path, chest_hu, ct, unit):
    volume = read_ct(patch(save(tmp_path / "x.nii", chest_hu, ras()), xyzt_units=unit))
    assert same(volume, ct)
    assert volume.notes == ()


@pytest.mark.parametrize("unit", [0, METRE, MILLIMETRE, MICROMETRE])
@pytest.mark.parametrize("scale", [30, 1 / 10])
def test_voxels_that_are_impossible_in_every_unit_are_refused(tmp_path, chest_hu, unit, scale):
    path = save(tmp_path / "x.nii", chest_hu, ras(np.array(SPACING) * scale))
    assert "edges of 0.1 to 20 mm are needed" in refused(patch(path, xyzt_units=unit))


def test_sform_and_pixdim_of_other_edges_are_refused(tmp_path, chest_hu):
    path = patch(save(tmp_path / "x.nii", chest_hu, ras()), pixdim=[1, 0.7, 0.8, 1.2, 0, 0, 0, 0])
    text = refused(path)
    assert "by the sform its voxels are 0.7 x 0.8 x 2.4 mm large, by pixdim 0.7 x 0.8 x 1.2 mm" in text


@pytest.mark.parametrize(("pixdim", "warned"), [((1, 1, 1), True), ((0, 0, 0), False)])
def test_pixdim_that_was_not_filled_in_gives_way_to_the_sform(tmp_path, chest_hu, ct, pixdim, warned):
    volume = read_ct(patch(save(tmp_path / "x.nii", chest_hu, ras()), pixdim=[1, *pixdim, 0, 0, 0, 0]))
    assert same(volume, ct)
    assert noted(volume) == ([("spacing_of_sform", NoteSeverity.WARNING)] if warned else [])


# ---- what the header promises, and what is there


def test_extension_between_header_and_image_is_left_out(tmp_path, chest_hu, ct):
    image = nib.Nifti1Image(np.ascontiguousarray(chest_hu.T), ras())
    image.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"a comment of some bytes" * 10))
    nib.save(image, tmp_path / "x.nii")
    assert same(read_ct(tmp_path / "x.nii"), ct)


@pytest.mark.parametrize("offset", [0, 348, -1])
def test_image_begins_behind_the_header_whatever_vox_offset_says(tmp_path, chest_hu, ct, offset):
    assert same(read_ct(patch(save(tmp_path / "x.nii", chest_hu, ras()), vox_offset=offset)), ct)


@pytest.mark.parametrize("offset", [368, 5000, 1e9, 1e30])
@pytest.mark.parametrize("packed", [False, True])
def test_vox_offset_that_leaves_too_little_is_refused(tmp_path, chest_hu, offset, packed):
    path = patch(save(tmp_path / "x.nii", chest_hu, ras()), vox_offset=offset)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    text = refused(path)
    assert "x.nii is cut short, or its header is wrong: " in text
    assert f"promises {chest_hu.nbytes}" in text


def test_vox_offset_that_is_no_number_is_refused(tmp_path, chest_hu):
    assert "begin at byte nan" in refused(patch(save(tmp_path / "x.nii", chest_hu, ras()), vox_offset=np.nan))


@pytest.mark.parametrize("packed", [False, True])
def test_a_few_bytes_too_many_are_warned_of(tmp_path, chest_hu, ct, packed):
    path = save(tmp_path / "x.nii", chest_hu, ras())
    content = path.read_bytes() + bytes(77)
    path.write_bytes(gzip.compress(content) if packed else content)
    volume = read_ct(path)
    assert same(volume, ct)
    assert noted(volume) == [("surplus_bytes", NoteSeverity.WARNING)]
    assert "77 bytes more than its header promises" in volume.notes[0].message
    assert volume.name not in volume.notes[0].message


@pytest.mark.parametrize("ending", ["nii", "nii.gz"])
def test_header_that_promises_half_the_slices_is_refused(tmp_path, chest_hu, ending):
    plain = patch(save(tmp_path / "x.nii", chest_hu, ras()), dim=[3, 36, 30, 6, 1, 1, 1, 1]).read_bytes()
    (tmp_path / f"y.{ending}").write_bytes(plain if ending == "nii" else gzip.compress(plain))
    text = refused(tmp_path / f"y.{ending}")
    assert f"{6 * 30 * 36 * 2} bytes more than an image of 36 x 30 x 6 voxels" in text


@pytest.mark.parametrize("packed", [False, True])
def test_header_of_a_huge_image_is_refused_before_memory_is_taken(tmp_path, chest_hu, packed):
    path = patch(save(tmp_path / "x.nii", chest_hu, ras()), dim=[3, 32767, 32767, 32767, 1, 1, 1, 1])
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(InputError, match=f"promises {32767**3 * 2}"):
        read_image(path)
    assert "the analysis of 32767 x 32767 x 32767 voxels would need" in refused(path)


@pytest.mark.parametrize("dim", [[0, 36, 30, 12], [9, 36, 30, 12], [3, -36, 30, 12], [3, 36, 30, 0], [-2, 1, 1, 1]])
def test_dimensions_that_are_none_are_refused(tmp_path, chest_hu, dim):
    text = refused(patch(save(tmp_path / "x.nii", chest_hu, ras()), dim=[*dim, 1, 1, 1, 1]))
    assert "the header of x.nii gives its image" in text or "the header of x.nii promises an image of" in text


def test_axes_beyond_the_third_may_be_left_at_0(tmp_path, chest_hu, ct):
    assert same(read_ct(patch(save(tmp_path / "x.nii", chest_hu, ras()), dim=[5, 36, 30, 12, 0, 0, 1, 1])), ct)


@pytest.mark.parametrize("datatype", [0, 1, 3, 9999])
def test_type_that_is_none_is_refused_with_its_code(tmp_path, chest_hu, datatype):
    assert f"the type {datatype}" in refused(patch(save(tmp_path / "x.nii", chest_hu, ras()), datatype=datatype))


def test_colours_are_refused_with_their_number(tmp_path):
    colours = np.zeros((6, 5, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, ras()), tmp_path / "x.nii")
    assert "3 numbers a voxel (6 x 5 x 4)" in refused(tmp_path / "x.nii")


def test_fields_that_nibabel_would_repair_go_by_without_a_word(tmp_path, chest_hu, ct):
    """bitpix, sizeof_hdr and intent codes do not matter: the type and the magic tell the same."""
    path = patch(save(tmp_path / "x.nii", chest_hu, ras()), bitpix=8, sizeof_hdr=0, intent_code=77, slice_code=55)
    assert same(read_ct(path), ct)


# ---- scaling


def test_whole_numbers_stay_the_numbers_they_are(tmp_path, chest_hu):
    path = patch(save(tmp_path / "x.nii", chest_hu, ras()), scl_slope=1, scl_inter=0)
    assert read_image(path).values.dtype == np.int16
    assert read_image(patch(path, scl_slope=0, scl_inter=7)).values.dtype == np.int16
    assert read_image(patch(path, scl_slope=1, scl_inter=-1024)).values.dtype == np.int32


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize(
    ("slope", "inter"), [(1, 0), (0, 5), (1, -1024), (0.5, -1000), (2, 0.25), (np.nan, 3), (-1, 0)]
)
def test_numbers_are_scaled_as_nibabel_scales_them(tmp_path, dtype, slope, inter):
    stored = np.arange(4 * 5 * 6).reshape(4, 5, 6).astype(dtype)
    path = patch(save(tmp_path / "x.nii", stored, ras()), scl_slope=slope, scl_inter=inter)
    np.testing.assert_allclose(read_image(path).values, nib.load(path).get_fdata().T, rtol=1e-6)


def test_slope_that_makes_no_numbers_is_refused(tmp_path, chest_hu):
    stored = np.full((4, 5, 6), 1000, np.int16)
    assert "no voxel holds a finite number" in refused(patch(save(tmp_path / "x.nii", stored, ras()), scl_slope=1e38))


@pytest.mark.parametrize("offset", [80, 264, 268, 296])
def test_signalling_nan_in_a_header_is_refused_as_any_other(tmp_path, chest_hu, offset):
    path = save(tmp_path / "x.nii", chest_hu, ras(), ras())
    content = bytearray(path.read_bytes())
    content[offset : offset + 4] = b"\x01\x00\xa0\x7f"
    path.write_bytes(content)
    assert "the header of x.nii places the image at" in refused(path)


def test_intercept_that_is_no_number_is_refused(tmp_path, chest_hu):
    path = patch(save(tmp_path / "x.nii", chest_hu, ras()), scl_slope=1, scl_inter=np.inf)
    assert "the header of x.nii has an intercept (scl_inter) that is no number" in refused(path)


def test_spm_analyze_is_scaled_by_its_slope(tmp_path, chest_hu):
    nib.save(nib.AnalyzeImage(np.ascontiguousarray(chest_hu.T), np.diag([-0.7, 0.8, 2.4, 1])), tmp_path / "x.hdr")
    content = bytearray((tmp_path / "x.hdr").read_bytes())
    content[112:116] = struct.pack("<f", 2)
    (tmp_path / "x.hdr").write_bytes(content)
    np.testing.assert_array_equal(read_image(tmp_path / "x.hdr").values, 2.0 * chest_hu)


# ---- what may be refused for its size


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha", "hdr"])
def test_size_is_offered_before_a_voxel_is_read(tmp_path, chest_hu, ending):
    import SimpleITK as sitk

    path = tmp_path / f"x.{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(chest_hu), str(path))
    if ending != "hdr":
        path.write_bytes(path.read_bytes()[:-100])  # it would be refused as cut short
    offered = []

    def admit(size, name):
        offered.append((size, name))
        raise InputError("too much memory")

    with pytest.raises(InputError, match="too much memory"):
        read_image(path, admit)
    assert offered == [((36, 30, 12), f"x.{ending}")]
