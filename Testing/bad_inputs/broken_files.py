"""Files that are damaged, cut short, of another kind than their name says, or no files at all."""

from __future__ import annotations

import gzip
import os
import socket
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .entry import BadInput, UnavailableError, hu, series, write_image

SPARSE_BYTES = 2**36
"""Size of a file that is all hole: it takes no room, and reading it whole takes a minute."""

KINDS = {
    "nii": r"is not a NIfTI file",
    "nii.gz": r"is not a NIfTI file",
    "hdr": r"is not a NIfTI or Analyze file",
    "img": r"is half of a pair",
    "nrrd": r"is not an NRRD file",
    "nhdr": r"is not an NRRD file",
    "mha": r"is not a MetaImage file",
    "mhd": r"is not a MetaImage file",
    "dcm": r"is neither DICOM nor one of",
    "zip": r"is not a \.zip archive",
    "bin": r"is neither DICOM nor one of",
}
"""Endings, and the sentence for content that does not fit them."""

TORN = r"is cut short|is damaged or cut short|is not an? \w+ file|^the header of ct\.nrrd names no dimension"
"""Sentences for a file whose end is missing."""


GONE = r"is a broken link|^no such file or folder: ct\.nii\.gz$"


def _file(content: bytes, name: str, folder: Path) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def _whole(folder: Path, ending: str) -> Path:
    if ending == "dcm":
        return series(folder / "slices", hu()[:1])[0]
    return write_image(folder / f"ct.{ending}", compress=ending in ("nii.gz", "nrrd", "mha"))


def _cut(ending: str, part: float, folder: Path) -> Path:
    """The first ``part`` of a file, in bytes or as a share of it."""
    whole = _whole(folder, ending)
    content = whole.read_bytes()
    whole.write_bytes(content[: int(part if part > 1 else part * len(content))])
    return whole


def _picture(ending: str, name: str, folder: Path) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((64, 64), np.uint8)), str(folder / f"picture.{ending}"))
    return (folder / f"picture.{ending}").rename(folder / name)


def _folder(folder: Path, files: dict[str, bytes]) -> Path:
    (folder / "study").mkdir()
    for name, content in files.items():
        (folder / "study" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "study" / name).write_bytes(content)
    return folder / "study"


def _broken_link(folder: Path) -> Path:
    (folder / "ct.nii.gz").symlink_to(folder / "gone.nii.gz")
    return folder / "ct.nii.gz"


def _link_to_itself(folder: Path) -> Path:
    (folder / "ct.nii.gz").symlink_to(folder / "ct.nii.gz")
    return folder / "ct.nii.gz"


def _folder_of_itself(folder: Path) -> Path:
    (folder / "study").mkdir()
    (folder / "study" / "again").symlink_to(folder / "study")
    return folder / "study"


def _pipe(folder: Path, name: str = "ct.nii.gz") -> Path:
    if not hasattr(os, "mkfifo"):
        raise UnavailableError("this system has no pipes among files")
    os.mkfifo(folder / name)
    return folder / name


def _pipe_in_a_folder(folder: Path) -> Path:
    (folder / "study").mkdir()
    _pipe(folder / "study")
    return folder / "study"


def _socket(folder: Path) -> Path:
    if not hasattr(socket, "AF_UNIX"):
        raise UnavailableError("this system has no sockets among files")
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as listening:
        try:
            os.chdir(folder)  # the path of a socket has at most 107 bytes
            listening.bind("ct.nii.gz")
        finally:
            os.chdir(here)
    return folder / "ct.nii.gz"


def _device(name: str, folder: Path) -> Path:
    if not Path("/dev/zero").exists():
        raise UnavailableError("this system has no devices among files")
    (folder / name).symlink_to("/dev/zero")
    return folder / name


def _device_node(folder: Path) -> Path:
    try:
        os.mknod(folder / "ct.nii", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except (AttributeError, OSError) as error:
        raise UnavailableError("only root can make devices, on some file systems") from error
    return folder / "ct.nii"


def _locked(make: Callable[[Path], Path], folder: Path) -> Path:
    if getattr(os, "geteuid", lambda: 0)() == 0:
        raise UnavailableError("root may read everything")
    locked = make(folder)
    locked.chmod(0)
    return locked


def _hole(name: str, beginning: bytes, folder: Path) -> Path:
    """A file that is nothing but a beginning, and then a hole."""
    with (folder / name).open("wb") as file:
        file.write(beginning)
        try:
            file.truncate(SPARSE_BYTES)
        except OSError as error:
            raise UnavailableError("this file system has no room for holes") from error
    if (folder / name).stat().st_blocks * 512 > SPARSE_BYTES // 2:
        raise UnavailableError("this file system has no holes")
    return folder / name


def _nrrd_hole(encoding: str, folder: Path, skip: str = "") -> Path:
    """An NRRD file whose header is right, and whose voxels are a hole."""
    header = write_image(folder / "whole.nrrd").read_bytes().partition(b"\n\n")[0]
    header = header.replace(b"encoding: raw", f"encoding: {encoding}\n{skip}".encode().strip())
    return _hole("ct.nrrd", header + b"\n\n", folder)


def _dicom_hole(group: int, folder: Path) -> Path:
    """A slice whose file was given its size, and lost its connection before the first element of a group."""
    (file,) = series(folder / "slices", hu()[:1])
    content = file.read_bytes()
    return _hole("ct.dcm", content[: content.index(group.to_bytes(2, "little"), 132)], folder)


GARBAGE = np.random.default_rng(19).bytes(3000)
PAGE = b"<!DOCTYPE html><html><body>Your session has expired. Please log in.</body></html>" * 20

ENTRIES = (
    *(
        BadInput(f"garbage-{ending}", f"random bytes as .{ending}", partial(_file, GARBAGE, f"ct.{ending}"), sentence)
        for ending, sentence in KINDS.items()
    ),
    *(
        BadInput(f"empty-{ending}", f"0 bytes as .{ending}", partial(_file, b"", f"ct.{ending}"), r"is empty")
        for ending in ("nii", "nii.gz", "nrrd", "mha", "dcm", "zip")
    ),
    *(
        BadInput(f"cut-{ending}-{where}", f".{ending} that ends in its {where}", partial(_cut, ending, part), TORN)
        for ending in ("nii", "nii.gz", "nrrd", "mha", "dcm")
        for where, part in (("header", 60 if ending != "dcm" else 400), ("data", 0.7))
    ),
    BadInput("page-as-nii.gz", "a web page", partial(_file, PAGE, "ct.nii.gz"), r"is not a NIfTI file"),
    BadInput("page-packed", "a web page in gzip", partial(_file, gzip.compress(PAGE), "ct.nii.gz"), r"is not a NIfTI"),
    BadInput("page-as-dcm", "a web page as .dcm", partial(_file, PAGE, "ct.dcm"), r"is neither DICOM nor one of"),
    BadInput("jpeg-as-dcm", "a JPEG as .dcm", partial(_picture, "jpg", "ct.dcm"), r"is neither DICOM nor one of"),
    BadInput("png-as-nrrd", "a PNG as .nrrd", partial(_picture, "png", "ct.nrrd"), r"is not an NRRD file"),
    BadInput("tar", "a .tar.gz", partial(_file, gzip.compress(GARBAGE), "ct.tar.gz"), r"is neither DICOM nor one of"),
    BadInput("folder-empty", "an empty folder", partial(_folder, files={}), r"^the folder study is empty"),
    BadInput("folder-texts", "texts only", partial(_folder, files={"a.txt": b"hello"}), r"holds no DICOM images"),
    BadInput("folder-hidden", "hidden files only", partial(_folder, files={".DS_Store": b"hello"}), r"is empty"),
    BadInput("folder-pictures", "JPEGs", partial(_folder, files={"a.jpg": b"\xff\xd8\xff" * 99}), r"no DICOM images"),
    BadInput("folder-of-itself", "a link to itself", _folder_of_itself, r"^the folder study is empty"),
    BadInput("broken-link", "a link to nothing", _broken_link, GONE),
    BadInput("link-to-itself", "a link to itself", _link_to_itself, GONE),
    BadInput("pipe", "a pipe", _pipe, r"is a pipe"),
    BadInput("pipe-in-folder", "a folder with a pipe", _pipe_in_a_folder, r"^the folder study is empty"),
    BadInput("socket", "a socket", _socket, r"is a socket; a file"),
    BadInput("device-link", "/dev/zero as .nii", partial(_device, "ct.nii"), r"is a device; a file"),
    BadInput("device-text", "/dev/zero as .nrrd", partial(_device, "ct.nrrd"), r"is a device; a file"),
    BadInput("device", "a device", _device_node, r"is a device; a file"),
    BadInput("locked-file", "no permission", partial(_locked, partial(_whole, ending="nii")), r"cannot"),
    BadInput("hole-nii", "64 GB of zeros as .nii", partial(_hole, "ct.nii", b""), r"is not a NIfTI file"),
    BadInput("hole-dcm", "64 GB of zeros as .dcm", partial(_hole, "ct.dcm", b""), r"is neither DICOM nor one of"),
    BadInput("hole-text", "64 GB that are no text", partial(_nrrd_hole, "text"), r"holds text that is no number"),
    BadInput("hole-hex", "64 GB that are no digits", partial(_nrrd_hole, "hex"), r"do not decompress"),
    BadInput("hole-gzip", "64 GB that are no gzip", partial(_nrrd_hole, "gzip"), r"do not decompress"),
    BadInput("hole-lines", "a line of 64 GB", partial(_nrrd_hole, "raw", skip="line skip: 1"), r"has a line of over"),
    BadInput("hole-raw", "64 GB of voxels", partial(_nrrd_hole, "raw"), r"bytes more than an image of"),
    BadInput("hole-zip", "64 GB as .zip", partial(_hole, "ct.zip", b"PK\x03\x04"), r"cannot be unpacked"),
    BadInput("hole-dicom-start", "zeros after DICM", partial(_dicom_hole, 2), r"is damaged or cut short"),
    BadInput("hole-dicom-meta", "zeros after its first group", partial(_dicom_hole, 8), r"is damaged or cut short"),
    BadInput("hole-dicom", "zeros after some elements", partial(_dicom_hole, 0x28), r"is damaged or cut short"),
    BadInput("hole-nrrd", "an NRRD header without end", partial(_hole, "ct.nrrd", b"NRRD0004\ntype: "), r"has no end"),
    BadInput("hole-mha", "a MetaImage header without end", partial(_hole, "ct.mha", b"ObjectType = "), r"has no end"),
)
