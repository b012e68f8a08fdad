"""The kinds of input: a file, a folder with subfolders and links, a DICOMDIR, a .zip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import QualityNote

from .archives import is_archive, may_hold_ct, unpacked
from .dicom.directory import directory_files, is_directory
from .dicom.files import files_under, is_dicom
from .images import FORMATS, has_image_content, is_image_name, is_second_half

MAX_LISTED = 6
"""Number of file names that a message lists."""


@dataclass(frozen=True)
class Source:
    """An image file, or files some of which are DICOM; ``notes`` say what was missing.

    ``archive`` is the folder of an unpacked archive, which its images must not leave.
    """

    image: Path | None = None
    files: tuple[Path, ...] = ()
    notes: tuple[QualityNote, ...] = ()
    archive: Path | None = None


def check_can_be_read_twice(path: Path, what: str = "file or folder") -> None:
    """Refuse what is neither a file nor a folder: reading a pipe twice would wait for ever, a device may have no end.

    Parameters
    ----------
    path : Path
        An existing path.
    what : str
        Name of the path in the message.

    Raises
    ------
    InputError
        It is a pipe, a socket or a device.
    """
    kinds = {
        "a pipe": path.is_fifo,
        "a socket": path.is_socket,
        "a device": lambda: not (path.is_file() or path.is_dir()),
    }
    kind = next((kind for kind, is_one in kinds.items() if is_one()), None)
    if kind is not None:
        raise InputError(f"the {what} {path.name} is {kind}; a file that can be read twice is needed")


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Find the images in ``path``; the content of a .zip exists until the end of the ``with`` block.

    Raises
    ------
    InputError
        It contains nothing that can be read, several image files, or an archive that is damaged or not safe.
    """
    found = _in_folder(path) if path.is_dir() else _of_file(path)
    if isinstance(found, Source):
        yield found
        return
    with unpacked(found) as folder:
        yield replace(_in_archive(folder, found.name), archive=folder)


def _of_file(path: Path) -> Source | Path:
    """The images of a file; the file itself if it is an archive."""
    if is_image_name(path):
        return Source(image=path)
    if is_directory(path):
        files, notes = directory_files(path)
        return Source(files=files, notes=notes)
    if is_dicom(path):
        return Source(files=(path,))
    if is_archive(path):
        return path
    if has_image_content(path):
        return Source(image=path)
    raise InputError(f"{path.name} is neither DICOM nor one of {', '.join(FORMATS)}, .zip")


def _in_folder(folder: Path) -> Source | Path:
    """The images in a folder; its only archive if it holds none."""
    files, place = files_under(folder), f"the folder {folder.name}"
    if not files:
        raise InputError(f"{place} is empty; DICOM files of a chest CT are needed")
    found = _among(files, place)
    if found:
        return found
    archives = _archives(files)
    if len(archives) > 1:
        raise InputError(f"{place} holds {len(archives)} archives ({_listed(archives)}); name the one with the CT")
    if not archives:
        raise InputError(f"{place} holds no DICOM images; those of a chest CT are needed")
    return archives[0]


def _in_archive(folder: Path, name: str) -> Source:
    """The images of an unpacked archive."""
    files = files_under(folder)
    if not files:
        raise InputError(f"the archive {name} is empty; DICOM files of a chest CT are needed")
    found = _among(files, f"the archive {name}")
    if found:
        return found
    inner = _archives(files)
    if inner:
        raise InputError(f"the archive {name} holds another one ({_listed(inner)}); unpack it, and name the CT in it")
    raise InputError(f"the archive {name} holds no DICOM images; those of a chest CT are needed")


def _among(files: Sequence[Path], place: str) -> Source | None:
    """DICOM files, otherwise the only image, by its name or else by its content."""
    if any(map(_looks_dicom, files)):
        return Source(files=tuple(files))
    images = [path for path in files if is_image_name(path) and not is_second_half(path)]
    images = images or [path for path in files if has_image_content(path)]
    if len(images) > 1:
        raise InputError(f"{place} holds {len(images)} images ({_listed(images)}); name the one that is the CT")
    return Source(image=images[0]) if images else None


def _archives(files: Sequence[Path]) -> list[Path]:
    """The archives that may hold a CT: documents of offices are archives too."""
    return [path for path in files if is_archive(path) and may_hold_ct(path)]


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(sorted(path.name for path in files)[:MAX_LISTED])


def _looks_dicom(path: Path) -> bool:
    try:
        return is_dicom(path)
    except InputError:  # an empty file that is DICOM by its name
        return True
