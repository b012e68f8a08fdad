"""A .zip archive as the folder that it stands for: checked before a byte is unpacked, and removed after use.

Nothing in an archive is believed. Its files go to a private temporary folder under the names that they have in the
archive, and only as many bytes as its directory states.
"""

from __future__ import annotations

import errno
import lzma
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from CovidSeverityLib.checked import Checked, Count, Range
from CovidSeverityLib.errors import InputError

from .cost import GB, usable_memory
from .dicom.files import FIRST_DICOM_BYTES, begins_as_dicom
from .images import FORMATS
from .inflation import ALWAYS_ALLOWED_BYTES, HIGHEST_RATIO
from .inner_paths import inner_parts, shown_name

ARCHIVE_ENDING = ".zip"
FIRST_BYTES = (b"PK\x03\x04", b"PK\x05\x06")
"""An archive begins with its first file or, if it is empty, with its end (APPNOTE.TXT, 4.3)."""

ENCRYPTED = 0x41
"""Flags of a file that is encrypted, also strongly (4.4.4)."""

UNIX = 3
"""The system that stores the kind of a file with its attributes (4.4.2)."""

SIZE_UNITS = ((GB, "GB"), (GB >> 10, "MB"), (GB >> 20, "KB"))

LONGEST_LINK = 4096
"""Bytes of the target of a link (PATH_MAX of Linux)."""

RESOURCE_FORK = "__MACOSX"
"""Folder that macOS adds to archives: colours and comments of the Finder."""

MEMORY_DISKS = ("tmpfs", "ramfs")
"""File systems whose files are in memory."""

PROBED_MEMBERS = 20
"""Files of an archive that are looked at to see whether it holds DICOM: notes and tables may precede it."""

DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    IndexError,
    OverflowError,
    struct.error,
)
"""What Python raises for damaged archives, directories and names."""


@dataclass(frozen=True)
class ArchiveConfig(Checked):
    """What an archive may hold: more than any study, less than harms the computer.

    Parameters
    ----------
    most_files : int, files
        A study of the whole body in slices of 0.5 mm has 4,000 files, a disc with its viewer 20,000. Python needs 0.5
        KB of memory for each.
    most_bytes : int, bytes
        100,000 slices of 512 x 512 pixels have 52 GB.
    highest_ratio : float, ratio
        Of unpacked to packed bytes. Measured, without compression inside: real CTs 1.6, with blank surroundings 4.3,
        with the lungs alone 20, a smooth made-up CT 24. A bomb reaches 1,032, the limit of deflate, or more.
    always_allowed_bytes : int, bytes
        An archive that unpacks to less is no bomb, whatever its ratio is: an analysis needs as much memory.
    """

    most_files: Count = 100_000
    most_bytes: Count = 64 * GB
    highest_ratio: Annotated[float, Range(1)] = HIGHEST_RATIO
    always_allowed_bytes: Count = ALWAYS_ALLOWED_BYTES


LIMITS = ArchiveConfig()


def is_archive(path: Path) -> bool:
    """Whether a file is a .zip by its first bytes or by its ending, be it whole or damaged."""
    if path.suffix.lower() == ARCHIVE_ENDING:
        return True
    with path.open("rb") as file:
        return file.read(4) in FIRST_BYTES


@contextmanager
def unpacked(path: Path, limits: ArchiveConfig = LIMITS) -> Iterator[Path]:
    """Unpack an archive into a private temporary folder, which exists until the end of the ``with`` block.

    Parameters
    ----------
    path : Path
        The archive.
    limits : ArchiveConfig
        What it may hold.

    Yields
    ------
    Path
        The folder with its files, without hidden ones and without links.

    Raises
    ------
    InputError
        The archive is damaged, encrypted or packed by an unknown method; a path in it leads outside; it holds a file
        twice; or it is larger than ``limits`` or than the free space.
    """
    with tempfile.TemporaryDirectory(prefix="covid-severity-") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                members = _checked(archive, path, limits)
                check_room(sum(member.file_size for member in members), Path(folder), path.name)
                _unpack(archive, members, Path(folder), path.name)
        except DAMAGED as error:
            raise InputError(_unreadable(path)) from error
        except OSError as error:
            if error.errno != errno.EINVAL:  # a place before the beginning of the file
                raise
            raise InputError(_unreadable(path)) from error
        except NotImplementedError as error:
            raise InputError(f"{path.name} is packed in a way that is not known; pack it with deflate") from error
        yield Path(folder)


def may_hold_ct(path: Path) -> bool:
    """Whether an archive may be a CT: one of its first files is DICOM, or it holds one image; else it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = [member for member in archive.infolist() if not member.is_dir()]
            images = sum(member.filename.lower().endswith(tuple(FORMATS)) for member in files)
            return images == 1 or any(_is_dicom(archive, member) for member in files[:PROBED_MEMBERS])
    except (*DAMAGED, NotImplementedError, RuntimeError):  # reading it gives the reason
        return True


def _is_dicom(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    with archive.open(member) as file:
        return begins_as_dicom(file.read(FIRST_DICOM_BYTES))


def _unreadable(path: Path) -> str:
    if path.stat().st_size == 0:
        return f"{path.name} is empty (0 bytes)"
    with path.open("rb") as file:
        begins = file.read(4) in FIRST_BYTES
    if not begins and not zipfile.is_zipfile(path):
        return f"{path.name} is not a .zip archive; unpack it, or name the CT itself"
    return f"{path.name} cannot be unpacked: it is damaged or cut short"


def _checked(archive: zipfile.ZipFile, path: Path, limits: ArchiveConfig) -> list[zipfile.ZipInfo]:
    """The files to unpack, under names that are safe on every system."""
    everything = archive.infolist()
    if len(everything) > limits.most_files:
        raise InputError(f"{path.name} holds {len(everything):,} files; {limits.most_files:,} are allowed")
    if any(member.flag_bits & ENCRYPTED for member in everything):
        raise InputError(f"{path.name} is encrypted; unpack it first")
    members = [member for member in everything if _is_wanted(archive, member, path.name)]
    total, packed = sum(member.file_size for member in members), path.stat().st_size
    if total > limits.most_bytes:
        raise InputError(f"{path.name} unpacks to {told_bytes(total)}; {told_bytes(limits.most_bytes)} are allowed")
    if total > max(limits.always_allowed_bytes, limits.highest_ratio * packed):
        raise InputError(
            f"{path.name} unpacks to {told_bytes(total)}, {total / packed:,.0f} times its size; no CT packs so well "
            f"(at most {limits.highest_ratio:g} times is allowed)"
        )
    return members


def _is_wanted(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> bool:
    """Whether a member is a file that is not hidden; its name becomes a relative path with ``/``."""
    parts = inner_parts(member.filename)
    if parts is None:
        raise _outside(name, member.filename)
    if member.is_dir() or member.filename.endswith("\\") or not parts:
        return False
    if any(part.startswith(".") or part == RESOURCE_FORK for part in parts):
        return False
    if member.create_system == UNIX and stat.S_ISLNK(member.external_attr >> 16):
        _check_link(archive, member, parts, name)
        return False  # what it leads to is in the archive under its own name
    member.filename = "/".join(parts)
    return True


def _check_link(archive: zipfile.ZipFile, member: zipfile.ZipInfo, parts: Sequence[str], name: str) -> None:
    with archive.open(member) as file:
        target = file.read(LONGEST_LINK).decode(errors="replace")
    depth = len(parts) - 1
    for step in target.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(step, 1)
        if depth < 0:
            break
    if depth < 0 or target.startswith("/"):
        raise _outside(name, f"{member.filename}, a link to {target}")


def _outside(archive: str, name: str) -> InputError:
    return InputError(f"{archive} holds a path that leads out of it ({shown_name(name)}); pack the CT's folder anew")


def check_room(needed: int, folder: Path, name: str, verb: str = "unpacks to") -> None:
    """Check that so many bytes fit into a temporary folder.

    Parameters
    ----------
    needed : int
        Bytes that will be written.
    folder : Path
        The folder, on a disk or in memory.
    name, verb : str
        What needs the room and how, for the message.

    Raises
    ------
    InputError
        They do not fit.
    """
    free, place = shutil.disk_usage(folder).free, "on the disk"
    if _is_in_memory(folder):
        memory = usable_memory()
        free, place = min(free, memory.total if memory.free is None else memory.free), "in memory"
    if needed > free:
        raise InputError(
            f"{name} {verb} {told_bytes(needed)}; {told_bytes(free)} {place} are free for it (TMPDIR names "
            "another place)"
        )


def _is_in_memory(folder: Path) -> bool:
    """Whether the files of ``folder`` take memory, as those of /tmp do on some systems."""
    import psutil  # loading it takes longer than reading most files

    mounts = [p for p in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(p.mountpoint)]
    return bool(mounts) and max(mounts, key=lambda p: len(p.mountpoint)).fstype in MEMORY_DISKS


def _unpack(archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], folder: Path, name: str) -> None:
    for member in members:
        if Path(folder, member.filename).exists():  # or differs by case alone, where that is no difference
            raise InputError(f"{name} holds the file {shown_name(member.filename)} twice; each name is needed once")
        archive.extract(member, folder)


def told_bytes(count: int) -> str:
    """A number of bytes for a message."""
    size, unit = next(((s, u) for s, u in SIZE_UNITS if count >= s), SIZE_UNITS[-1])
    return f"{count / size:,.1f} {unit}"
