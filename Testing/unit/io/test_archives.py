"""A .zip archive is read like its folder, or refused before it does harm."""

from __future__ import annotations

import contextlib
import re
import shutil
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from CovidSeverityLib.errors import CancelledError, ConfigurationError, InputError
from CovidSeverityLib.io import archives
from CovidSeverityLib.io.archives import ArchiveConfig, may_hold_ct, unpacked
from CovidSeverityLib.io.cost import Memory
from CovidSeverityLib.io.reading import read_ct

UNPACKED_SIZE_AT = 24
"""Place of the size in an entry of the directory."""


@pytest.fixture
def series(tmp_path, write_series, chest_hu):
    """A folder with one series."""
    write_series(tmp_path / "series", chest_hu)
    return tmp_path / "series"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, empty."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


@pytest.fixture
def packed(tmp_path, series):
    """A function that packs the files of the series under the names that ``rename`` gives them, then ``more``."""

    def pack(rename=lambda name: name, more=()):
        with zipfile.ZipFile(tmp_path / "study.zip", "w", zipfile.ZIP_DEFLATED) as target:
            for file in sorted(series.iterdir()):
                entry = zipfile.ZipInfo("any")
                entry.filename = rename(file.name)  # ZipInfo would take backslashes for folders on Windows
                target.writestr(entry, file.read_bytes())
            for entry, content in more:
                target.writestr(entry, content)
        return tmp_path / "study.zip"

    return pack


def a_link(name):
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return entry


def refused(path):
    with pytest.raises(InputError) as caught:
        read_ct(path)
    return str(caught.value)


@pytest.mark.parametrize("inside", ["", "study/series 1/"])
def test_archive_is_read_like_its_folder(tmp_path, series, chest_hu, inside):
    archive = tmp_path / "handed" / "study.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for file in sorted(series.iterdir()):
            target.write(file, f"{inside}{file.name}")
    for path in (archive, archive.parent):
        volume = read_ct(path)
        np.testing.assert_array_equal(volume.hu, chest_hu)
        assert volume.name == path.name
        assert volume.notes == ()


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, CancelledError])
def test_archive_leaves_nothing_behind_also_after_an_error_or_ctrl_c(series, temporary, tmp_path, error):
    archive, seen = shutil.make_archive(str(tmp_path / "study"), "zip", series), []

    def progress(_stage, _done, _total):
        seen.extend(temporary.iterdir())
        if error is not None:
            raise error

    with contextlib.nullcontext() if error is None else pytest.raises(error):
        read_ct(archive, progress=progress)
    assert {path.stat().st_mode & 0o077 for path in seen if path.exists()} <= {0}
    assert seen
    assert list(temporary.iterdir()) == []


def test_faulty_file_is_named_as_in_the_archive(series, temporary, tmp_path):
    file = series / "007.dcm"
    file.write_bytes(file.read_bytes()[:1500])
    assert refused(shutil.make_archive(str(tmp_path / "study"), "zip", series)).startswith(
        "study.zip: 007.dcm is cut short: "
    )
    assert list(temporary.iterdir()) == []


def test_damaged_archive_is_refused_by_its_name(tmp_path, series):
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for file in sorted(series.iterdir()):
            target.write(file, file.name)
    content = bytearray(archive.read_bytes())
    content[600:700] = bytes(100)
    archive.write_bytes(content)
    assert refused(archive) == "study.zip cannot be unpacked: it is damaged or cut short"


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [(6, 1, "is encrypted; unpack it first"), (6, 64, "is encrypted; unpack it first"), (8, 99, "pack it with defl")],
)
def test_archive_that_python_does_not_unpack_is_refused_with_what_to_do(tmp_path, series, at, value, said):
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.write(series / "000.dcm", "000.dcm")
    content = bytearray(archive.read_bytes())
    directory = content.index(b"PK\x01\x02")
    content[at] = content[directory + at + 2] = value  # flags or method, in the local header and in the directory
    archive.write_bytes(content)
    assert said in refused(archive)


def test_disk_that_fills_up_is_not_called_a_damaged_archive(tmp_path, series, monkeypatch):
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", series)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "extract", full)
    assert refused(archive) == "study.zip cannot be read: No space left on device"


def test_archive_larger_than_the_disk_is_refused_before_it_is_unpacked(tmp_path, series, monkeypatch):
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", series)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1024))
    assert re.match(r"study\.zip unpacks to \d+\.\d [KM]B; 1\.0 KB on the disk are free for it", refused(archive))


def test_archive_without_a_ct_is_refused_by_its_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "texts.zip", "w") as target:
        target.writestr("a.txt", "hello")
    assert "the archive texts.zip holds no DICOM images" in refused(tmp_path / "texts.zip")


@pytest.mark.parametrize("folder", ["study\\series 1\\", "./study//./", "Etüde 1/\u53f3/"])
def test_archive_of_any_system_is_read(packed, chest_hu, folder):
    np.testing.assert_array_equal(read_ct(packed(lambda name: folder + name)).hu, chest_hu)


@pytest.mark.parametrize(
    "folder", ["../", "a/../../", "/etc/", "C:\\scans\\", "C:", "a/D:", "..\\..\\", "\\\\server\\share\\"]
)
def test_archive_with_a_path_that_leaves_it_is_refused(packed, temporary, folder):
    assert refused(packed(lambda name: folder + name)) == (
        f"study.zip holds a path that leads out of it ({folder}000.dcm); pack the CT's folder anew"
    )
    assert sorted(temporary.parent.rglob("00?.dcm")) == sorted((temporary.parent / "series").glob("00?.dcm"))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "a/../../../outside"])
def test_archive_with_a_link_out_of_it_is_refused(packed, target):
    sentence = refused(packed(more=[(a_link("study/link"), target)]))
    assert (
        sentence
        == f"study.zip holds a path that leads out of it (study/link, a link to {target}); pack the CT's folder anew"
    )


def test_archive_with_a_link_inside_is_read_once(packed, chest_hu):
    volume = read_ct(packed(more=[(a_link("study/link"), "../000.dcm"), (a_link("all"), ".")]))
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.notes == ()


def test_archive_with_characters_of_a_terminal_in_a_name_is_refused_without_them(packed):
    assert "(../?[31m" in refused(packed(lambda name: f"../\x1b[31m{name}"))


def test_archive_with_one_name_twice_is_refused(packed, series):
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = packed(more=[("000.dcm", (series / "001.dcm").read_bytes())])
    assert refused(archive) == "study.zip holds the file 000.dcm twice; each name is needed once"


def test_archive_of_macos_is_read_without_its_hidden_files(packed, chest_hu):
    volume = read_ct(packed(more=[("__MACOSX/._000.dcm", "\0" * 200), (".DS_Store", "x"), ("__MACOSX/000.dcm", "")]))
    np.testing.assert_array_equal(volume.hu, chest_hu)
    assert volume.notes == ()


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nrrd", "ct.mha"])
def test_archive_of_one_image_is_that_image(tmp_path, chest_hu, name):
    sitk.WriteImage(sitk.GetImageFromArray(chest_hu), str(tmp_path / name))
    with zipfile.ZipFile(tmp_path / "ct.zip", "w") as target:
        target.write(tmp_path / name, f"export/{name}")
        target.writestr("readme.txt", "hello")
    np.testing.assert_array_equal(read_ct(tmp_path / "ct.zip").hu, read_ct(tmp_path / name).hu)


def test_archive_of_several_images_is_refused_with_their_names(tmp_path, chest_hu):
    sitk.WriteImage(sitk.GetImageFromArray(chest_hu), str(tmp_path / "ct.nrrd"))
    with zipfile.ZipFile(tmp_path / "ct.zip", "w") as target:
        target.write(tmp_path / "ct.nrrd", "a/one.nrrd")
        target.write(tmp_path / "ct.nrrd", "b/two.nrrd")
    assert refused(tmp_path / "ct.zip") == (
        "the archive ct.zip holds 2 images (one.nrrd, two.nrrd); name the one that is the CT"
    )


def test_archive_of_several_series_lets_the_caller_choose(tmp_path, series, write_series, chest_hu):
    write_series(series / "other", chest_hu[:, :, ::-1], uid="2.25.7")
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", series)
    assert [note.code for note in read_ct(archive).notes] == ["series_chosen"]
    np.testing.assert_array_equal(read_ct(archive, series_uid="2.25.7").hu, chest_hu[:, :, ::-1])


def test_archive_of_an_archive_is_refused(tmp_path, packed):
    packed().rename(tmp_path / "inner.zip")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as target:
        target.write(tmp_path / "inner.zip", "data/inner.zip")
        target.writestr("readme.txt", "hello")
    assert refused(tmp_path / "outer.zip") == (
        "the archive outer.zip holds another one (inner.zip); unpack it, and name the CT in it"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "study.zip is empty (0 bytes)"),
        (b"<html>Please log in</html>", "study.zip is not a .zip archive; unpack it, or name the CT itself"),
    ],
)
def test_archive_that_is_none_is_refused(tmp_path, content, said):
    (tmp_path / "study.zip").write_bytes(content)
    assert refused(tmp_path / "study.zip") == said


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_archive_whose_transfer_was_cut_short_is_refused(packed, part):
    archive = packed()
    content = archive.read_bytes()
    archive.write_bytes(content[: int(part * len(content))])
    assert refused(archive) == "study.zip cannot be unpacked: it is damaged or cut short"


def test_archive_with_a_damaged_name_is_refused(packed):
    archive = packed()
    content = bytearray(archive.read_bytes())
    directory = content.index(b"PK\x01\x02")
    content[directory + 9] |= 8  # the name is UTF-8
    content[directory + 46] = 0xFF
    archive.write_bytes(content)
    assert refused(archive) == "study.zip cannot be unpacked: it is damaged or cut short"


def with_size(archive: Path, size: int) -> Path:
    """``archive``, whose directory states ``size`` bytes for its first file."""
    content = bytearray(archive.read_bytes())
    struct.pack_into("<L", content, content.index(b"PK\x01\x02") + UNPACKED_SIZE_AT, size)
    archive.write_bytes(content)
    return archive


def test_archive_that_is_a_bomb_is_refused_before_it_is_unpacked(packed, temporary):
    sentence = refused(with_size(packed(), 0xFFFFFFF0))
    assert sentence.startswith("study.zip unpacks to 4.0 GB, ")
    assert sentence.endswith(" times its size; no CT packs so well (at most 200 times is allowed)")
    assert list(temporary.iterdir()) == []


def test_archive_whose_directory_lies_gets_no_more_room_than_it_states(packed, temporary):
    assert refused(with_size(packed(), 10)) == "study.zip cannot be unpacked: it is damaged or cut short"
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("limits", [{"always_allowed_bytes": 1000}, {"highest_ratio": 1.0}])
def test_archive_that_packs_well_is_no_bomb_within_either_limit(packed, limits):
    archive = packed(more=[("zeros.txt", bytes(100_000))])
    with unpacked(archive, ArchiveConfig(**limits)) as folder:
        assert (folder / "zeros.txt").stat().st_size == 100_000


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"most_files": 11}, "study.zip holds 13 files; 11 are allowed"),
        ({"most_bytes": 1024}, "B; 1.0 KB are allowed"),
        ({"always_allowed_bytes": 1000, "highest_ratio": 1.0}, "no CT packs so well (at most 1 times is allowed)"),
    ],
)
def test_archive_over_a_limit_is_refused(packed, limits, said):
    archive = packed(more=[("zeros.txt", bytes(100_000))])
    with pytest.raises(InputError) as caught, unpacked(archive, ArchiveConfig(**limits)):
        pass
    assert said in str(caught.value)


def test_limits_check_themselves():
    with pytest.raises(ConfigurationError, match="most_files is 0"):
        ArchiveConfig(most_files=0)


def test_archive_larger_than_the_memory_that_holds_temporary_files_is_refused(packed, monkeypatch):
    shared = Path("/dev/shm")
    if not archives._is_in_memory(shared):
        pytest.skip("no file system in memory is mounted at /dev/shm")
    monkeypatch.setattr("tempfile.tempdir", str(shared))
    monkeypatch.setattr(archives, "usable_memory", lambda: Memory(total=2048, free=1024))
    assert "1.0 KB in memory are free for it (TMPDIR names another place)" in refused(packed())


def test_archive_of_a_case_is_told_from_other_archives(packed, tmp_path):
    assert may_hold_ct(packed(lambda name: f"study/{name}"))
    with zipfile.ZipFile(tmp_path / "masks.zip", "w") as target:
        for name in ("a.nii.gz", "b.nii.gz"):
            target.writestr(name, "hello")
    assert not may_hold_ct(tmp_path / "masks.zip")
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as target:
        target.writestr("scan/a.nii.gz", "hello")
    assert may_hold_ct(tmp_path / "one.zip")
    (tmp_path / "one.zip").write_bytes(b"PK")
    assert may_hold_ct(tmp_path / "one.zip")


def test_notes_and_hidden_files_may_precede_the_ct(tmp_path, series):
    with zipfile.ZipFile(tmp_path / "disc.zip", "w") as target:
        target.writestr("README.txt", "hello")
        target.writestr("study/.DS_Store", "x")
        target.write(series / "000.dcm", "study/000.dcm")
    assert may_hold_ct(tmp_path / "disc.zip")
    with unpacked(tmp_path / "disc.zip") as folder:
        assert sorted(path.name for path in folder.rglob("*.*")) == ["000.dcm", "README.txt"]
