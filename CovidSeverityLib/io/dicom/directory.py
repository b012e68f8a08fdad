"""A DICOMDIR: the files of a disc that its records name (DICOM PS3.10, 8)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.inner_paths import inner_parts, shown_name
from CovidSeverityLib.types import NoteSeverity, QualityNote

from .files import files_under

if TYPE_CHECKING:
    from pydicom import Dataset

DIRECTORY_NAME = "DICOMDIR"
DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
"""SOP class of a DICOMDIR, which its meta information has."""

META_BYTES = 1024
"""The meta information is within so many bytes."""

VERSION = re.compile(r"\.?(;\d+)?$")
"""End of a name as ISO 9660 stores it."""

INACTIVE = 0
"""RecordInUseFlag of a record that was deleted."""

FIRST_RECORD = "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity"
NEXT_RECORD = "OffsetOfTheNextDirectoryRecord"
LOWER_RECORD = "OffsetOfReferencedLowerLevelDirectoryEntity"
"""Links of records: bytes from the beginning of the file, 0 for none (PS3.3, F.3.2.2)."""

UNDEFINED_LENGTH = 0xFFFFFFFF


def is_directory(path: Path) -> bool:
    """Whether a file is a DICOMDIR by its name, or by its class under another name (``DICOMDIR;1``, ``index.dcm``)."""
    if path.name.upper() == DIRECTORY_NAME:
        return True
    with path.open("rb") as file:
        return DIRECTORY_CLASS.encode() in file.read(META_BYTES)


def directory_files(path: Path) -> tuple[tuple[Path, ...], tuple[QualityNote, ...]]:
    """The files that a DICOMDIR names and that exist, and a note on those that do not.

    Upper and lower case, and what ISO 9660 adds to names, make no difference. If the DICOMDIR is damaged or names no
    file, the files are all those of its folder.

    Parameters
    ----------
    path : Path
        The DICOMDIR.

    Returns
    -------
    tuple of Path
        The files, sorted.
    tuple of QualityNote
        A warning if files are missing (``files_missing``), or if the folder was read (``directory_unreadable``).

    Raises
    ------
    InputError
        A file is outside the folder of the DICOMDIR, or none exists.
    """
    named = _named_files(path)
    if not named:
        message = f"{DIRECTORY_NAME} is damaged or names no file; all files of its folder were read instead."
        files = tuple(file for file in files_under(path.parent) if file != path)
        return files, (_warning("directory_unreadable", message),)
    there = {path_key(file.relative_to(path.parent)): file for file in files_under(path.parent)}
    found = tuple(sorted({there[key] for key in map(path_key, named) if key in there}))
    missing = sum(path_key(name) not in there for name in named)
    if not found:
        raise InputError(
            f"{path.name} names {missing} file{'s' if missing > 1 else ''}, of which none is there; name the folder "
            "with the images"
        )
    if not missing:
        return found, ()
    message = f"{DIRECTORY_NAME} names {missing} file{'s that are' if missing > 1 else ' that is'} not there."
    return found, (_warning("files_missing", message),)


def study_folders(directory: BinaryIO) -> tuple[frozenset[tuple[str, ...]], ...]:
    """The folders with the files of each study that a DICOMDIR names.

    Parameters
    ----------
    directory : binary file
        The DICOMDIR.

    Returns
    -------
    tuple of frozenset of tuple of str
        For each study with files, the folders relative to that of the DICOMDIR, in the form of :func:`path_key`. Empty
        if the DICOMDIR is damaged, names no file or names one outside its folder.
    """
    from .values import UNREADABLE, damage_as_such

    try:
        with warnings.catch_warnings(), damage_as_such():
            warnings.simplefilter("ignore")  # about harmless deviations from the standard
            return _study_folders(directory)
    except UNREADABLE:
        return ()


def _study_folders(directory: BinaryIO) -> tuple[frozenset[tuple[str, ...]], ...]:
    from pydicom import dcmread

    from .values import values_of

    dataset = dcmread(directory)
    if not _is_whole(dataset):
        return ()
    reached = list(_records_with_study(dataset))
    if len(reached) < len(dataset.get("DirectoryRecordSequence") or ()):  # links that lead nowhere
        return ()
    studies: dict[int, set[tuple[str, ...]]] = {}
    for study, record in reached:
        if "ReferencedFileID" in record and record.get("RecordInUseFlag") != INACTIVE:
            parts = inner_parts("/".join(map(str, values_of(record, "ReferencedFileID"))))
            if not parts:
                return ()
            studies.setdefault(study, set()).add(path_key(PurePath(*parts).parent))
    return tuple(map(frozenset, studies.values()))


def _records_with_study(directory: Dataset) -> Iterator[tuple[int, Dataset]]:
    """Every record with the place of its study's record, which its links lead to; 0 for records above a study."""
    records = {
        getattr(record, "seq_item_tell", -1): record for record in directory.get("DirectoryRecordSequence") or ()
    }
    waiting = [(int(directory.get(FIRST_RECORD) or 0), 0)]
    while waiting:
        place, study = waiting.pop()
        record = records.pop(place, None)  # once, also if links lead in a circle
        if record is None:
            continue
        waiting.append((int(record.get(NEXT_RECORD) or 0), study))
        own = place if record.get("DirectoryRecordType") == "STUDY" else study
        waiting.append((int(record.get(LOWER_RECORD) or 0), own))
        yield own, record


def _warning(code: str, message: str) -> QualityNote:
    return QualityNote(code, NoteSeverity.WARNING, message)


def path_key(path: PurePath) -> tuple[str, ...]:
    """The parts of a relative path, equal for all forms that a disc and its DICOMDIR may give to them.

    Examples
    --------
    >>> path_key(PurePath("ST0/IM1.;1")) == path_key(PurePath("st0/im1"))
    True
    """
    return tuple(VERSION.sub("", part.casefold()) for part in path.parts)


def _named_files(path: Path) -> list[Path]:
    """The files by their paths in the folder; none if the DICOMDIR is damaged."""
    from .values import UNREADABLE, damage_as_such

    try:
        with warnings.catch_warnings(), damage_as_such():
            warnings.simplefilter("ignore")  # about harmless deviations from the standard
            names = list(_names(path))
    except UNREADABLE:
        return []
    return [_inside(path, name) for name in names]


def _names(path: Path) -> Iterator[Sequence[object]]:
    from pydicom import dcmread

    from .values import values_of

    directory = dcmread(path)
    if not _is_whole(directory):
        return
    for record in directory.get("DirectoryRecordSequence") or ():
        if "ReferencedFileID" in record and record.get("RecordInUseFlag") != INACTIVE:
            yield values_of(record, "ReferencedFileID")


def _is_whole(directory: Dataset) -> bool:
    """Whether the records are complete; pydicom reads the complete ones of a file that is cut short.

    It refuses records of undefined length without their end.
    """
    records = directory.get_item("DirectoryRecordSequence")
    length = getattr(records, "length", UNDEFINED_LENGTH)
    return length == UNDEFINED_LENGTH or len(records.value or b"") == length


def _inside(path: Path, values: Sequence[object]) -> Path:
    name = "/".join(map(str, values))
    parts = inner_parts(name)
    if parts is None:
        raise InputError(
            f"{path.name} names a file outside its folder ({shown_name(name)}); name the folder with the images"
        )
    return Path(*parts)
