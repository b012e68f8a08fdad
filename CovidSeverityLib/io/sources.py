"""The kinds of input: a file, a folder with subfolders and links, a DICOMDIR, a .zip."""

from __future__ import annotations

import lzma
import shutil
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.types import NoteSeverity, QualityNote

from .dicom.files import files_under, is_dicom
from .images import FORMATS, is_image_name, is_second_half

DIRECTORY_NAME = "DICOMDIR"
MAX_LISTED = 6
"""Number of file names that a message lists."""


@dataclass(frozen=True)
class Source:
    """An image file, or files some of which are DICOM; ``notes`` say what was missing."""

    image: Path | None = None
    files: tuple[Path, ...] = ()
    notes: tuple[QualityNote, ...] = ()


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Find the images in ``path``; the content of a .zip exists until the end of the ``with`` block.

    Raises
    ------
    InputError
        It contains nothing that can be read, several image files, or a damaged archive.
    """
    if path.is_dir():
        files = files_under(path)
        if len(files) == 1 and zipfile.is_zipfile(files[0]):
            with opened(files[0]) as found:
                yield found
        else:
            yield _in_folder(files, path.name)
    elif not is_image_name(path) and zipfile.is_zipfile(path):
        with tempfile.TemporaryDirectory(prefix="covid-severity-") as folder:
            _unpack(path, Path(folder))
            yield _in_folder(files_under(Path(folder)), path.name)
    elif path.name.upper() == DIRECTORY_NAME:
        yield _of_directory(path)
    elif is_image_name(path):
        yield Source(image=path)
    elif is_dicom(path):
        yield Source(files=(path,))
    else:
        raise InputError(f"{path.name} is neither DICOM nor one of {', '.join(FORMATS)}, .zip")


def _in_folder(files: Sequence[Path], name: str) -> Source:
    if not files:
        raise InputError(f"the folder {name} is empty; DICOM files of a chest CT are needed")
    if any(_looks_dicom(path) for path in files):
        return Source(files=tuple(files))
    images = [path for path in files if is_image_name(path) and not is_second_half(path)]
    if len(images) == 1:
        return Source(image=images[0])
    if images:
        listed = ", ".join(sorted(path.name for path in images)[:MAX_LISTED])
        raise InputError(f"the folder {name} holds {len(images)} images ({listed}); name the one that is the CT")
    raise InputError(f"the folder {name} holds no DICOM images; those of a chest CT are needed")


def _looks_dicom(path: Path) -> bool:
    try:
        return is_dicom(path)
    except InputError:  # an empty file that is DICOM by its name
        return True


def _of_directory(path: Path) -> Source:
    """The files of a DICOMDIR, with a note on missing files; if it lists none, all files in its folder."""
    named = _named_files(path)
    there = tuple(sorted(file for file in named if file.is_file()))
    if not there:
        return _in_folder(files_under(path.parent), path.name)
    missing = len(named) - len(there)
    message = f"{DIRECTORY_NAME} names {missing} file{'s that are' if missing > 1 else ' that is'} not there."
    return Source(files=there, notes=(QualityNote("files_missing", NoteSeverity.WARNING, message),) if missing else ())


def _named_files(path: Path) -> list[Path]:
    from pydicom import dcmread

    from .dicom.values import UNREADABLE, values_of

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about harmless deviations from the standard
            records = dcmread(path).get("DirectoryRecordSequence") or []
            return [Path(path.parent, *values_of(r, "ReferencedFileID")) for r in records if "ReferencedFileID" in r]
    except UNREADABLE:
        return []


def _unpack(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            needed, free = sum(member.file_size for member in archive.infolist()), shutil.disk_usage(folder).free
            if needed > free:
                raise InputError(
                    f"{path.name} unpacks to {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free on this disk"
                )
            archive.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise InputError(f"{path.name} cannot be unpacked: it is damaged or cut short") from error
    except NotImplementedError as error:
        raise InputError(f"{path.name} is packed in a way that is not known; pack it with deflate") from error
    except RuntimeError as error:
        raise InputError(f"{path.name} is encrypted; unpack it first") from error
