"""MetaImage and NRRD: what their text headers may say, and data that are not what they promise."""

from __future__ import annotations

import bz2
import gzip
import math
import zlib

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.images import read_image
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.io.volume import volume_from_array
from CovidSeverityLib.types import NoteSeverity

SPACING, ORIGIN = (0.7, 0.8, 2.4), (-12.5, -20.3, -52.1)
UNKNOWN = ("orientation_unknown", NoteSeverity.WARNING)


@pytest.fixture(autouse=True)
def silent(capfd):
    """Reading writes nothing to the terminal, not even from C++."""
    yield
    assert tuple(capfd.readouterr()) == ("", "")


@pytest.fixture
def ct(chest_hu):
    return volume_from_array(chest_hu, SPACING, ORIGIN, np.eye(3))


def meta(path, data, /, *, size=(36, 30, 12), **fields):
    """Write a MetaImage file of int16 with ``data`` behind the header, or beside it where a data file is named."""
    header = {
        "ObjectType": "Image",
        "NDims": len(size),
        "DimSize": " ".join(map(str, size)),
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "-12.5 -20.3 -52.1",
        "ElementSpacing": "0.7 0.8 2.4",
        "ElementType": "MET_SHORT",
        "ElementDataFile": "LOCAL",
    }
    file = fields.pop("ElementDataFile", header.pop("ElementDataFile"))
    header |= fields
    text = "".join(f"{key} = {value}\n" for key, value in header.items() if value is not None)
    path.write_bytes(f"{text}ElementDataFile = {file}\n".encode() + data)
    return path


def nrrd_file(path, data, /, **fields):
    """Write an NRRD file of int16 with ``data`` behind the header; ``_`` in a key is a space."""
    header = {
        "type": "short",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "36 30 12",
        "space_directions": "(0.7,0,0) (0,0.8,0) (0,0,2.4)",
        "endian": "little",
        "encoding": "raw",
        "space_origin": "(-12.5,-20.3,-52.1)",
    }
    header |= fields
    lines = [f"{key.replace('_', ' ')}: {value}\n" for key, value in header.items() if value is not None]
    path.write_bytes("".join(["NRRD0004\n", "# a comment: with a colon\n", *lines, "\n"]).encode() + data)
    return path


def refused(path, read=read_ct):
    with pytest.raises(InputError) as caught:
        read(path)
    text = str(caught.value)
    assert str(path.parent) not in text
    return text


def noted(volume):
    assert not any(volume.name in note.message for note in volume.notes)  # pages without a title show notes
    return [(note.code, note.severity) for note in volume.notes]


def same(volume, ct):
    np.testing.assert_array_equal(volume.hu, ct.hu)
    assert volume.geometry == ct.geometry
    return True


# ---- MetaImage: data


@pytest.mark.parametrize("size", [None, 0, 1, 100, 10**12, -5, "abc"])
def test_compressed_size_in_the_header_is_not_believed(tmp_path, chest_hu, ct, size):
    packed = zlib.compress(chest_hu.tobytes())
    volume = read_ct(meta(tmp_path / "x.mha", packed, CompressedData=True, CompressedDataSize=size))
    assert same(volume, ct)
    assert volume.notes == ()


@pytest.mark.parametrize("slices", [6, 11, 13])
def test_compressed_data_of_another_number_of_slices_are_refused(tmp_path, chest_hu, slices):
    packed = zlib.compress(chest_hu.tobytes())
    path = meta(tmp_path / "x.mha", packed, size=(36, 30, slices), CompressedData=True, CompressedDataSize=len(packed))
    text = refused(path)
    assert "correct the size" in text if slices < 12 else "x.mha is cut short, or its header is wrong" in text


@pytest.mark.parametrize("missing", [1, 2160, 20000])
def test_raw_data_that_lack_bytes_are_refused_with_both_numbers(tmp_path, chest_hu, missing):
    text = refused(meta(tmp_path / "x.mha", chest_hu.tobytes()[:-missing]))
    assert f"{chest_hu.nbytes - missing} bytes of image where its header promises {chest_hu.nbytes}" in text


def test_raw_data_with_bytes_left_over_are_warned_of(tmp_path, chest_hu, ct):
    volume = read_ct(meta(tmp_path / "x.mha", chest_hu.tobytes() + b"\n"))
    assert same(volume, ct)
    assert noted(volume) == [("surplus_bytes", NoteSeverity.WARNING)]


def test_elements_larger_than_the_header_says_are_refused(tmp_path, chest_hu):
    text = refused(meta(tmp_path / "x.mha", chest_hu.astype(np.int32).tobytes()))
    assert f"{chest_hu.nbytes} bytes more than an image of 36 x 30 x 12 voxels" in text


@pytest.mark.parametrize(("key", "value"), [("BinaryDataByteOrderMSB", "True"), ("ElementByteOrderMSB", "true")])
def test_big_endian_data_are_read(tmp_path, chest_hu, ct, key, value):
    path = meta(tmp_path / "x.mha", chest_hu.astype(">i2").tobytes(), **{key: value})
    assert same(read_ct(path), ct)
    assert read_image(path).values.dtype.isnative


def test_text_data_are_read(tmp_path, chest_hu, ct):
    text = " ".join(map(str, chest_hu.ravel())).encode()
    assert same(read_ct(meta(tmp_path / "x.mha", text, BinaryData=False)), ct)
    assert "cut short" in refused(meta(tmp_path / "y.mha", text[:-8], BinaryData=False))


@pytest.mark.parametrize(("header_size", "before", "behind"), [(64, 64, 0), (-1, 64, 0), (-1, 0, 0), (0, 0, 0)])
def test_header_of_the_data_file_is_left_out(tmp_path, chest_hu, ct, header_size, before, behind):
    (tmp_path / "x.raw").write_bytes(bytes(before) + chest_hu.tobytes())
    assert same(read_ct(meta(tmp_path / "x.mhd", b"", HeaderSize=header_size, ElementDataFile="x.raw")), ct)


@pytest.mark.parametrize("named", ["LIST", "LIST 2D", "s%02d.raw 1 12 1"])
def test_data_in_a_file_a_slice_are_read_and_one_that_is_cut_short_is_named(tmp_path, chest_hu, ct, named):
    for k, plane in enumerate(chest_hu, 1):
        (tmp_path / f"s{k:02d}.raw").write_bytes(plane.tobytes())
    listing = "".join(f"s{k:02d}.raw\n" for k in range(1, 13)) if named.startswith("LIST") else ""
    path = meta(tmp_path / "x.mhd", listing.encode(), ElementDataFile=named)
    assert same(read_ct(path), ct)
    (tmp_path / "s07.raw").write_bytes(chest_hu[6].tobytes()[:-2])
    assert "s07.raw is cut short" in refused(path)
    (tmp_path / "s07.raw").unlink()
    assert "x.mhd names the data file s07.raw, which is not there" in refused(path)


@pytest.mark.parametrize(
    "named", ["%d", "s%z.raw 1 12 1", "s%s%s.raw 1 12 1", "s%02d.raw 1 12 0", "C:\\a\\x.raw", "LIST"]
)
def test_data_files_that_are_none_are_refused(tmp_path, chest_hu, named):
    assert "x.mhd names" in refused(meta(tmp_path / "x.mhd", b"", ElementDataFile=named))


@pytest.mark.parametrize("header_size", [10**9, 2**53])
@pytest.mark.parametrize("compressed", [False, True])
def test_header_size_beyond_the_file_is_refused(tmp_path, chest_hu, header_size, compressed):
    data = zlib.compress(chest_hu.tobytes()) if compressed else chest_hu.tobytes()
    path = meta(tmp_path / "x.mha", data, HeaderSize=header_size, CompressedData=compressed)
    assert "x.mha is cut short, or its header is wrong: 0 bytes" in refused(path)


def test_number_of_data_files_has_to_divide_the_image(tmp_path, chest_hu):
    for name in "abcdefg":
        (tmp_path / name).write_bytes(chest_hu.tobytes())
    listing = "\n".join("abcdefg").encode()
    assert "names 7 data files" in refused(meta(tmp_path / "x.mhd", listing, ElementDataFile="LIST"))


def test_header_of_a_huge_image_is_refused_before_memory_is_taken(tmp_path, chest_hu):
    size = (10**6, 10**6, 10**6)
    plain = meta(tmp_path / "x.mha", chest_hu.tobytes(), size=size)
    packed = meta(tmp_path / "y.mha", zlib.compress(chest_hu.tobytes()), size=size, CompressedData=True)
    for path in (plain, packed):
        assert "voxels would need" in refused(path)
        assert f"promises {2 * 10**18}" in refused(path, read_image)


# ---- MetaImage: header


@pytest.mark.parametrize("spacing", ["-0.7 0.8 2.4", "0.7 0.8 -2.4", "0 0.8 2.4"])
def test_negative_spacing_is_refused_with_the_number(tmp_path, chest_hu, spacing):
    text = refused(meta(tmp_path / "x.mha", chest_hu.tobytes(), ElementSpacing=spacing))
    assert f"has the ElementSpacing {spacing}; positive numbers of mm are needed" in text


@pytest.mark.parametrize("spacing", ["0.0007 0.0008 0.0024", "700 800 2400", "0.7 0.8 nan"])
def test_spacing_of_no_voxel_is_refused(tmp_path, chest_hu, spacing):
    text = refused(meta(tmp_path / "x.mha", chest_hu.tobytes(), ElementSpacing=spacing))
    assert "edges of 0.1 to 20 mm are needed" in text or "places the image at" in text


@pytest.mark.parametrize("spacing", [None, "0.7 0.8"])
def test_missing_spacing_is_not_made_up(tmp_path, chest_hu, spacing):
    text = refused(meta(tmp_path / "x.mha", chest_hu.tobytes(), ElementSpacing=spacing))
    assert "the header of x.mha has no ElementSpacing of 3 numbers" in text


def test_size_of_elements_stands_in_for_their_spacing(tmp_path, chest_hu, ct):
    assert same(
        read_ct(meta(tmp_path / "x.mha", chest_hu.tobytes(), ElementSpacing=None, ElementSize="0.7 0.8 2.4")), ct
    )


def test_image_without_a_matrix_carries_the_warning(tmp_path, chest_hu, ct):
    volume = read_ct(meta(tmp_path / "x.mha", chest_hu.tobytes(), TransformMatrix=None))
    assert same(volume, ct)
    assert noted(volume) == [UNKNOWN]


@pytest.mark.parametrize(
    ("matrix", "origin"), [("TransformMatrix", "Offset"), ("Rotation", "Position"), ("Orientation", "Origin")]
)
def test_matrix_and_origin_by_any_name_are_those_that_itk_reads(tmp_path, chest_hu, matrix, origin):
    fields = {"TransformMatrix": None, "Offset": None, matrix: "0 0 -1 1 0 0 0 1 0", origin: "1 2 3"}
    path = meta(tmp_path / "x.mha", chest_hu.tobytes(), **fields)
    theirs = sitk.ReadImage(str(path))
    ours = read_image(path).geometry
    np.testing.assert_allclose(ours.direction, theirs.GetDirection())
    np.testing.assert_allclose(ours.origin_mm, theirs.GetOrigin())
    np.testing.assert_allclose(ours.spacing_mm, theirs.GetSpacing())


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("ending", ["mha", "nrrd", "nii"])
def test_every_number_type_is_the_one_that_itk_wrote(tmp_path, dtype, ending):
    array = (np.arange(4 * 5 * 6).reshape(4, 5, 6) * 3 % 120).astype(dtype)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / f"x.{ending}"))
    values = read_image(tmp_path / f"x.{ending}").values
    np.testing.assert_array_equal(values, array)
    assert values.dtype == array.dtype


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"NDims": 4}, "has NDims 4, but DimSize 36 30 12"),
        ({"DimSize": "36 30 many"}, "has dimsize 36 30 many; numbers are needed"),
        ({"DimSize": "36 30 11.5"}, "whole numbers are needed"),
        ({"DimSize": "36 30 nan"}, "whole numbers are needed"),
        ({"DimSize": "36 30 0"}, "promises an image of 36 x 30 x 0 voxels"),
        ({"DimSize": "-36 -30 12"}, "promises an image of -36 x -30 x 12 voxels"),
        ({"ElementType": "MET_OTHER"}, "has the ElementType MET_OTHER"),
        ({"ElementNumberOfChannels": 3}, "3 numbers a voxel (36 x 30 x 12)"),
        ({"TransformMatrix": "1 0 0 0 1 0"}, "no Offset or TransformMatrix of 3 dimensions"),
        ({"TransformMatrix": "0 0 0 0 1 0 0 0 1"}, "edges of 0.1 to 20 mm are needed"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "not at right angles"),
        ({"ElementSpacing": "0.7 inf 2.4"}, "places the image at"),
        ({"TransformMatrix": "1 0 0 0 1e300 0 0 0 1"}, "places the image at"),
        ({"HeaderSize": "a"}, "has headersize a; numbers are needed"),
        ({"HeaderSize": 10**40}, "whole numbers are needed"),
        ({"DimSize": "x" * 1000}, f"has dimsize {'x' * 57}...; numbers are needed"),
    ],
)
def test_metaimage_header_that_makes_no_sense_is_refused_with_the_field(tmp_path, chest_hu, fields, said):
    text = refused(meta(tmp_path / "x.mha", chest_hu.tobytes(), **fields))
    assert said in text
    assert "damaged" not in text


def test_field_with_two_values_is_refused(tmp_path, chest_hu):
    path = meta(tmp_path / "x.mha", chest_hu.tobytes(), **{"elementspacing ": "1 1 1"})
    assert "two values of elementspacing: 0.7 0.8 2.4 and 1 1 1" in refused(path)


# ---- NRRD: data


def packed(encoding, content):
    """``content`` (bytes of int16) as NRRD stores it in ``encoding``."""
    if encoding in ("gzip", "gz"):
        return gzip.compress(content)
    if encoding in ("bzip2", "bz2"):
        return bz2.compress(content)
    if encoding in ("text", "txt", "ascii"):
        return "\n".join(map(str, np.frombuffer(content, "<i2"))).encode()
    return content.hex().encode() if encoding == "hex" else content


ENCODINGS = ["raw", "gzip", "gz", "bzip2", "bz2", "text", "txt", "ascii", "hex", "RAW", "GZip"]


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_of_nrrd_is_read(tmp_path, chest_hu, ct, encoding, detached):
    data = packed(encoding.lower(), chest_hu.tobytes())
    if detached:
        (tmp_path / "x.data").write_bytes(data)
        path = nrrd_file(tmp_path / "x.nhdr", b"", encoding=encoding, data_file="x.data")
    else:
        path = nrrd_file(tmp_path / "x.nrrd", data, encoding=encoding)
    volume = read_ct(path)
    assert same(volume, ct)
    assert volume.notes == ()


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "text", "hex"])
def test_too_little_in_any_encoding_is_refused(tmp_path, chest_hu, encoding):
    text = refused(nrrd_file(tmp_path / "x.nrrd", packed(encoding, chest_hu.tobytes()[:-2]), encoding=encoding))
    assert f"x.nrrd is cut short, or its header is wrong: {chest_hu.nbytes - 2} bytes of image" in text
    assert f"promises {chest_hu.nbytes}" in text


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "text", "hex"])
def test_bytes_left_over_in_any_encoding_are_warned_of_and_a_slice_is_refused(tmp_path, chest_hu, ct, encoding):
    content = chest_hu.tobytes()
    volume = read_ct(nrrd_file(tmp_path / "x.nrrd", packed(encoding, content + content[:12]), encoding=encoding))
    assert same(volume, ct)
    assert noted(volume) == [("surplus_bytes", NoteSeverity.WARNING)]
    assert "12 bytes more" in volume.notes[0].message
    path = nrrd_file(tmp_path / "y.nrrd", packed(encoding, content + content[:2160]), encoding=encoding)
    assert "2160 bytes more than an image of 36 x 30 x 12 voxels" in refused(path)


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.9999])
def test_compressed_stream_without_its_end_is_refused(tmp_path, chest_hu, encoding, share):
    data = packed(encoding, chest_hu.tobytes())
    path = nrrd_file(tmp_path / "x.nrrd", data[: int(len(data) * share)], encoding=encoding)
    assert "x.nrrd is damaged or cut short" in refused(path)


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
def test_checksum_of_a_compressed_stream_is_compared(tmp_path, chest_hu, encoding):
    data = bytearray(packed(encoding, chest_hu.tobytes()))
    data[-6] ^= 1
    assert "x.nrrd is damaged" in refused(nrrd_file(tmp_path / "x.nrrd", bytes(data), encoding=encoding))


@pytest.mark.parametrize("encoding", ["text", "hex"])
def test_words_among_the_numbers_are_refused(tmp_path, chest_hu, encoding):
    data = packed(encoding, chest_hu.tobytes()) + b" zwei"
    assert "x.nrrd" in refused(nrrd_file(tmp_path / "x.nrrd", data, encoding=encoding))


@pytest.mark.parametrize("number", ["40000", "1.5", "nan"])
def test_text_that_does_not_fit_its_type_is_refused(tmp_path, chest_hu, number):
    data = packed("text", chest_hu.tobytes()[:-2]) + f"\n{number}".encode()
    assert "numbers that are not int16" in refused(nrrd_file(tmp_path / "x.nrrd", data, encoding="text"))


def test_large_text_is_read_in_blocks(tmp_path):
    array = np.arange(130 * 120 * 40, dtype=np.int32).reshape(40, 120, 130)
    data = "\n".join(map(str, array.ravel())).encode()
    assert len(data) > 3 << 20
    path = nrrd_file(tmp_path / "x.nrrd", data, encoding="text", sizes="130 120 40", type="int")
    np.testing.assert_array_equal(read_image(path).values, array)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("skip", [100, -1])
def test_lines_are_skipped_before_and_bytes_behind_the_decompression(tmp_path, chest_hu, ct, encoding, skip):
    (tmp_path / "x.data").write_bytes(b"one\ntwo\n" + packed(encoding, bytes(100) + chest_hu.tobytes()))
    fields = {"encoding": encoding, "line_skip": 2, "byte_skip": skip, "data_file": "x.data"}
    volume = read_ct(nrrd_file(tmp_path / "x.nhdr", b"", **fields))
    assert same(volume, ct)
    assert volume.notes == ()


@pytest.mark.parametrize("fields", [{"byte_skip": 40}, {"line_skip": 3}, {"byte_skip": 10**15}, {"line_skip": 10**15}])
def test_skips_that_leave_too_little_are_refused(tmp_path, chest_hu, fields):
    (tmp_path / "x.data").write_bytes(b"\n" * 3 + chest_hu.tobytes()[:-2])
    assert "x.data is cut short" in refused(nrrd_file(tmp_path / "x.nhdr", b"", data_file="x.data", **fields))


@pytest.mark.parametrize("fields", [{"byte_skip": -2}, {"line_skip": -1}, {"byte_skip": "x"}])
def test_skips_that_are_none_are_refused(tmp_path, chest_hu, fields):
    assert "needed" in refused(nrrd_file(tmp_path / "x.nrrd", chest_hu.tobytes(), **fields))


@pytest.mark.parametrize("named", ["LIST", "LIST 2", "s%02d.raw 12 1 -1"])
def test_nrrd_with_a_file_a_slice_is_read(tmp_path, chest_hu, ct, named):
    order = range(1, 13) if named.startswith("LIST") else range(12, 0, -1)
    for k, plane in zip(order, chest_hu, strict=True):
        (tmp_path / f"s{k:02d}.raw").write_bytes(plane.tobytes())
    path = nrrd_file(tmp_path / "x.nhdr", b"", data_file=named)
    if named.startswith("LIST"):
        content = path.read_bytes().rstrip(b"\n") + b"\n" + b"".join(b"s%02d.raw\n" % k for k in order)
        path.write_bytes(content)
    assert same(read_ct(path), ct)


@pytest.mark.filterwarnings("ignore:datetime")
def test_file_of_pynrrd_with_bzip2_is_read(tmp_path, chest_hu, ct):
    header = {"space": "LPS", "space directions": np.diag(SPACING), "space origin": ORIGIN, "encoding": "bzip2"}
    nrrd.write(str(tmp_path / "x.nrrd"), np.ascontiguousarray(chest_hu.T), header)
    assert same(read_ct(tmp_path / "x.nrrd"), ct)


def test_long_header_of_a_segmentation_is_read_to_its_end(tmp_path, chest_hu, ct):
    path = nrrd_file(tmp_path / "x.nrrd", b"")
    lines = [f"Segment{n}_Tags:=space: none|{'x' * 900}" for n in range(300)]
    lines.append("encoding:=a pair of a key and a value is no field")
    path.write_bytes(path.read_bytes().rstrip(b"\n") + "\n".join(["", *lines, "", ""]).encode() + chest_hu.tobytes())
    assert same(read_ct(path), ct)


# ---- NRRD: header


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        *(("left-posterior-superior", (1, 1, 1)), ("LPS", (1, 1, 1)), ("right-anterior-superior", (-1, -1, 1))),
        *(("RAS", (-1, -1, 1)), ("left-anterior-superior", (1, -1, 1)), ("Left-Posterior-Superior", (1, 1, 1))),
    ],
)
def test_spaces_of_a_patient_are_brought_to_lps(tmp_path, chest_hu, ct, space, signs):
    rows = np.diag(np.array(SPACING) * signs)
    fields = {
        "space": space,
        "space_directions": " ".join("(" + ",".join(map(str, row)) + ")" for row in rows),
        "space_origin": "(" + ",".join(map(str, np.array(ORIGIN) * signs)) + ")",
    }
    volume = read_ct(nrrd_file(tmp_path / "x.nrrd", chest_hu.tobytes(), **fields))
    assert same(volume, ct)
    assert volume.notes == ()


@pytest.mark.parametrize(
    "fields",
    [
        {"space": None, "space_dimension": 3},
        {"space": "scanner-xyz"},
        {"space": "3D-right-handed"},
        {"space": None, "space_directions": None, "space_origin": None, "spacings": "0.7 0.8 2.4"},
        {
            "space": None,
            "space_directions": None,
            "space_origin": None,
            "spacings": "0.7 0.8 2.4",
            "kinds": "domain " * 3,
        },
        {"space_directions": "none none none", "spacings": "0.7 0.8 2.4"},
        {"space_directions": None, "spacings": "0.7 0.8 2.4"},
    ],
)
def test_nrrd_that_does_not_say_where_the_patient_lies_carries_the_warning(tmp_path, chest_hu, ct, fields):
    volume = read_ct(nrrd_file(tmp_path / "x.nrrd", chest_hu.tobytes(), **fields))
    np.testing.assert_array_equal(volume.hu, ct.hu)
    assert volume.geometry.spacing_mm == ct.geometry.spacing_mm
    assert noted(volume) == [UNKNOWN]


@pytest.mark.parametrize("spacings", [None, "nan nan nan", "0.7 0.8 nan"])
def test_nrrd_without_spacing_is_not_taken_to_have_one_of_1_mm(tmp_path, chest_hu, spacings):
    path = nrrd_file(tmp_path / "x.nrrd", chest_hu.tobytes(), space=None, space_directions=None, spacings=spacings)
    assert "the header of x.nrrd has no space directions and no spacings" in refused(path)


def test_directions_and_spacings_that_contradict_each_other_are_refused(tmp_path, chest_hu, ct):
    assert same(read_ct(nrrd_file(tmp_path / "x.nrrd", chest_hu.tobytes(), spacings="0.7 0.8 2.4")), ct)
    text = refused(nrrd_file(tmp_path / "y.nrrd", chest_hu.tobytes(), spacings="0.7 0.8 5"))
    assert "the space directions and the spacings of y.nrrd contradict each other" in text
    assert "0.7 x 0.8 x 2.4 large, by the other 0.7 x 0.8 x 5" in text


@pytest.mark.parametrize("spacings", ["-0.7 0.8 2.4", "0 0.8 2.4", "700 800 2400"])
def test_nrrd_spacing_of_no_voxel_is_refused(tmp_path, chest_hu, spacings):
    fields = {"space": None, "space_directions": None, "spacings": spacings}
    assert "edges of 0.1 to 20 mm are needed" in refused(nrrd_file(tmp_path / "x.nrrd", chest_hu.tobytes(), **fields))


def in_unit(unit_mm, directions):
    spacing = [f"{edge / unit_mm:.9g}" for edge in SPACING]
    if not directions:
        return {"space": None, "space_directions": None, "space_origin": None, "spacings": " ".join(spacing)}
    i, j, k = spacing
    origin = ",".join(f"{v / unit_mm:.9g}" for v in ORIGIN)
    return {"space_directions": f"({i},0,0) (0,{j},0) (0,0,{k})", "space_origin": f"({origin})"}


@pytest.mark.parametrize(("unit", "unit_mm"), [("m", 1e3), ("um", 1e-3), ("µm", 1e-3), ("μm", 1e-3), ("cm", 10)])
@pytest.mark.parametrize("directions", [True, False])
def test_units_of_nrrd_are_converted_and_said_so(tmp_path, chest_hu, ct, unit, unit_mm, directions):
    key = "space_units" if directions else "units"
    path = nrrd_file(tmp_path / "x.nrrd", chest_hu.tobytes(), **in_unit(unit_mm, directions), **{key: f'"{unit}" ' * 3})
    volume = read_ct(path)
    np.testing.assert_allclose(volume.geometry.spacing_mm, SPACING, rtol=1e-6)
    assert noted(volume)[0] == ("unit_converted", NoteSeverity.INFO)
    assert noted(volume)[1:] == ([] if directions else [UNKNOWN])
    if directions:
        assert same(volume, ct)


@pytest.mark.parametrize("unit", ["m", "µm"])
@pytest.mark.parametrize("directions", [True, False])
def test_unit_of_nrrd_that_lies_is_repaired_with_a_warning(tmp_path, chest_hu, ct, unit, directions):
    key = "space_units" if directions else "units"
    path = nrrd_file(tmp_path / "x.nrrd", chest_hu.tobytes(), **in_unit(1, directions), **{key: f'"{unit}" ' * 3})
    volume = read_ct(path)
    assert volume.geometry.spacing_mm == ct.geometry.spacing_mm
    assert noted(volume)[0] == ("unit_repaired", NoteSeverity.WARNING)


@pytest.mark.parametrize("units", ['"mm" "mm" "mm"', "mm mm mm", '"" "" ""', '"???" "???" "???"', '"mm"'])
def test_millimetres_and_unknown_units_of_nrrd_are_millimetres(tmp_path, chest_hu, ct, units):
    volume = read_ct(nrrd_file(tmp_path / "x.nrrd", chest_hu.tobytes(), space_units=units))
    assert same(volume, ct)
    assert volume.notes == ()


def test_units_that_differ_by_axis_are_refused(tmp_path, chest_hu):
    path = nrrd_file(tmp_path / "x.nrrd", chest_hu.tobytes(), space_units='"mm" "mm" "m"')
    assert "the axes of x.nrrd have different units (mm, mm, m)" in refused(path)


def test_layers_and_a_single_layer_are_told_apart(tmp_path, chest_hu, ct):
    fields = {
        "dimension": 4,
        "kinds": "list domain domain domain",
        "space_directions": "none (0.7,0,0) (0,0.8,0) (0,0,2.4)",
    }
    assert same(read_ct(nrrd_file(tmp_path / "x.nrrd", chest_hu.tobytes(), sizes="1 36 30 12", **fields)), ct)
    path = nrrd_file(tmp_path / "y.nrrd", chest_hu.tobytes() * 2, sizes="2 36 30 12", **fields)
    assert "y.nrrd holds 2 numbers a voxel (36 x 30 x 12)" in refused(path)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"type": None}, "the header of x.nrrd names no type"),
        ({"type": "block"}, "voxels of the type block"),
        ({"encoding": "zrl"}, "has the encoding zrl; one of raw, gz"),
        ({"endian": None}, "has no endian"),
        ({"dimension": 4}, "has dimension 4, but sizes 36 30 12"),
        ({"sizes": "36 30 -12"}, "promises an image of 36 x 30 x -12 voxels"),
        ({"space_directions": "(0.7,0,0) (0,0.8,0)"}, "2 space directions for 3 axes"),
        ({"space_directions": "(0.7,0) (0,0.8) (0,2)"}, "a space of 2 dimensions"),
        ({"space_directions": "(0.7,0,0) (0,a,0) (0,0,2.4)"}, "numbers are needed"),
        ({"space_directions": "(0.7,0,0) (0.7,0,0) (0,0,2.4)"}, "not at right angles"),
        ({"space_directions": "(nan,0,0) (0,0.8,0) (0,0,2.4)"}, "places the image at nan"),
        ({"space_origin": "(1,inf,0)"}, "places the image at"),
        ({"kinds": "domain domain"}, "2 kinds for 3 axes"),
    ],
)
def test_nrrd_header_that_makes_no_sense_is_refused_with_the_field(tmp_path, chest_hu, fields, said):
    text = refused(nrrd_file(tmp_path / "x.nrrd", chest_hu.tobytes(), **fields))
    assert said in text
    assert "damaged" not in text


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["nrrd", "mha"])
def test_header_without_an_end_is_refused(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    path.write_bytes((b"NRRD0004\n" if ending == "nrrd" else b"NDims = 3\n") + b"a: b\n" * 1_000_000)
    assert f"the header of x.{ending} has no end" in refused(path)


def test_bytes_of_the_size_are_counted_exactly(tmp_path):
    """No count overflows: the product of the sizes is a Python integer."""
    for encoding in ("raw", "gzip", "text"):
        data = packed(encoding, bytes(100))
        path = nrrd_file(tmp_path / "x.nrrd", data, sizes=f"{2**32} {2**32} {2**32}", encoding=encoding)
        assert f"promises {2 * math.prod([2**32] * 3)}" in refused(path, read_image)
