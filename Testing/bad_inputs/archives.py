"""Archives and compressed files that are bombs, traps or riddles."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from .entry import BadInput, hu, series, write_image

CHUNK_BYTES = 1 << 26
"""Zeros that are compressed once; their compressed bytes may be repeated."""


@cache
def _compressed_zeros() -> tuple[bytes, bytes]:
    """64 MiB of zeros as deflate that more may follow, and the end of a stream."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    return stream.compress(bytes(CHUNK_BYTES)) + stream.flush(zlib.Z_FULL_FLUSH), stream.flush(zlib.Z_FINISH)


def zeros_in_gzip(count: int, beginning: bytes = b"") -> bytes:
    """A gzip stream of ``beginning`` and ``count`` times 64 MiB of zeros; its check value is wrong."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = stream.compress(beginning) + stream.flush(zlib.Z_FULL_FLUSH)
    chunk, end = _compressed_zeros()
    return gzip.compress(b"")[:10] + first + chunk * count + end + bytes(8)


def _zip(pack: Callable[[zipfile.ZipFile], None], folder: Path) -> Path:
    with zipfile.ZipFile(folder / "study.zip", "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one name twice
        pack(archive)
    return folder / "study.zip"


def _slice(folder: Path) -> bytes:
    return series(folder / "slices", hu()[:1])[0].read_bytes()


def _named(name: str, folder: Path) -> Path:
    content = _slice(folder)

    def pack(archive: zipfile.ZipFile) -> None:
        entry = zipfile.ZipInfo("any")
        entry.filename = name
        archive.writestr(entry, content)

    return _zip(pack, folder)


def _link(target: str, folder: Path) -> Path:
    def pack(archive: zipfile.ZipFile) -> None:
        entry = zipfile.ZipInfo("study/001.dcm")
        entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, target)

    return _zip(pack, folder)


def _nested(folder: Path) -> Path:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("001.dcm", _slice(folder))
    return _zip(lambda archive: archive.writestr("inner.zip", inner.getvalue()), folder)


def _bomb(folder: Path) -> Path:
    """An archive of one file with 4 GB of zeros in it: its sizes are true."""
    chunk, end = _compressed_zeros()
    count = (1 << 32) // CHUNK_BYTES - 1
    packed = chunk * count + end
    sizes = struct.pack("<LLL", 0, len(packed), count * CHUNK_BYTES)
    fields = struct.pack("<HHHHH", 20, 0, zipfile.ZIP_DEFLATED, 0, 33) + sizes + struct.pack("<HH", 7, 0)
    local = b"PK\x03\x04" + fields + b"001.dcm"
    directory = b"PK\x01\x02" + struct.pack("<H", 20) + fields + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + b"001.dcm"
    at = len(local) + len(packed)
    ending = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(directory), at, 0)
    (folder / "study.zip").write_bytes(local + packed + directory + ending)
    return folder / "study.zip"


def _patched(change: Callable[[bytearray, int], None], folder: Path) -> Path:
    """An archive with one slice, changed by ``change(content, place of the directory)``."""
    path = _named("001.dcm", folder)
    content = bytearray(path.read_bytes())
    change(content, content.index(b"PK\x01\x02"))
    path.write_bytes(content)
    return path


def _encrypted(content: bytearray, directory: int) -> None:
    content[6] = content[directory + 8] = 1


def _unknown_method(content: bytearray, directory: int) -> None:
    content[8] = content[directory + 10] = 99


def _lies(content: bytearray, directory: int) -> None:
    struct.pack_into("<L", content, directory + 24, 10)


def _cut(part: float, folder: Path) -> Path:
    path = _named("001.dcm", folder)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    return path


def _twice(folder: Path) -> Path:
    content = _slice(folder)
    return _zip(lambda archive: [archive.writestr("001.dcm", content) for _ in range(2)], folder)


def _text(folder: Path) -> Path:
    return _zip(lambda archive: archive.writestr("readme.txt", "hello"), folder)


def _header_to_outside(folder: Path) -> Path:
    """An archive with a header whose voxels are a file of this computer."""
    write_image(folder / "secret.mhd")
    header = (folder / "secret.mhd").read_text().replace("secret.raw", str(folder / "secret.raw"))
    return _zip(lambda archive: archive.writestr("ct.mhd", header), folder)


def _swollen(ending: str, count: int, folder: Path) -> Path:
    """An image whose compressed voxels are followed by gigabytes of zeros."""
    path = write_image(folder / f"ct.{ending}")
    content = path.read_bytes()
    if ending == "nii.gz":
        path.write_bytes(zeros_in_gzip(count, gzip.decompress(content)))
        return path
    header, voxels = content.split(b"\n\n", 1)
    path.write_bytes(header.replace(b"encoding: raw", b"encoding: gzip") + b"\n\n" + zeros_in_gzip(count, voxels))
    return path


OUTSIDE = r"holds a path that leads out of it"
DAMAGED = r"cannot be unpacked: it is damaged or cut short"

ENTRIES = (
    BadInput("zip-bomb", "4 GB of zeros in 4 MB", _bomb, r"unpacks to 3\.9 GB, .* no CT packs so well"),
    BadInput("zip-in-zip", "a .zip in a .zip", _nested, r"holds another one \(inner\.zip\)"),
    BadInput("zip-encrypted", "a password", partial(_patched, _encrypted), r"is encrypted; unpack it first"),
    BadInput("zip-method", "an unknown method", partial(_patched, _unknown_method), r"is packed in a way"),
    BadInput("zip-lies", "a size that is too small", partial(_patched, _lies), DAMAGED),
    BadInput("zip-up", "a path with ..", partial(_named, "../../001.dcm"), OUTSIDE),
    BadInput("zip-absolute", "an absolute path", partial(_named, "/tmp/001.dcm"), OUTSIDE),
    BadInput("zip-drive", "a drive", partial(_named, "C:\\001.dcm"), OUTSIDE),
    BadInput("zip-link-out", "a link out of it", partial(_link, "/etc/passwd"), OUTSIDE),
    BadInput("zip-link-itself", "a link to itself", partial(_link, "001.dcm"), r"^the archive study\.zip is empty"),
    BadInput("zip-name-twice", "one name twice", _twice, r"holds the file 001\.dcm twice"),
    BadInput("zip-text", "no image", _text, r"the archive study\.zip holds no DICOM images"),
    BadInput("zip-empty", "no file", partial(_zip, lambda archive: None), r"^the archive study\.zip is empty"),
    BadInput("zip-cut-header", "ends in its first file", partial(_cut, 0.05), DAMAGED),
    BadInput("zip-cut-data", "ends before its directory", partial(_cut, 0.9), DAMAGED),
    BadInput(
        "zip-header-outside",
        "a header of a file outside",
        _header_to_outside,
        r"names the data file secret\.raw outside its archive",
    ),
    BadInput(
        "bomb-nii.gz",
        "12 GB of zeros after the voxels",
        partial(_swollen, "nii.gz", 192),
        r"holds far more than an image of",
    ),
    BadInput(
        "bomb-nrrd",
        "12 GB of zeros after the voxels",
        partial(_swollen, "nrrd", 192),
        r"holds far more than an image of",
    ),
)
