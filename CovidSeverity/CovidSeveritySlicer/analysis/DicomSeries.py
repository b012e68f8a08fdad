"""CT series of Slicer's DICOM database, as cases of a batch that say nothing of the patient."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import slicer
from slicer.i18n import tr as _

from .InputFiles import UnusableInput

MODALITY, IMAGE_TYPE = "0008,0060", "0008,0008"
PATIENT_NAME, PATIENT_ID = "0010,0010", "0010,0020"
"""Tags as ``ctkDICOMDatabase.fileValue`` takes them."""

LOCALIZER = "LOCALIZER"
"""Value of Image Type of a scout image, PS3.3 C.8.2.1.1.1. It has no slices."""

CODE_LENGTH = 12
"""Hexadecimal digits of a code. In a million series, the chance that two have the same one is 1 in 500."""

CASES_FILE = "cases.csv"


class SeriesDatabase(Protocol):
    """What is asked of a ``ctkDICOMDatabase``."""

    def patients(self) -> Sequence[str]:
        """Keys of all patients."""

    def studiesForPatient(self, patient: str) -> Sequence[str]:
        """UIDs of the studies of a patient."""

    def seriesForStudy(self, study: str) -> Sequence[str]:
        """UIDs of the series of a study."""

    def filesForSeries(self, series: str) -> Sequence[str]:
        """Paths of the images of a series."""

    def fileValue(self, file: str, tag: str) -> str:
        """Value of a tag such as "0008,0060" of an image; empty if it has none."""


@dataclass(frozen=True)
class CtSeries:
    """A CT series of the database.

    Parameters
    ----------
    uid : str
        SeriesInstanceUID.
    patient : str
        Key of its patient in the database.
    files : tuple of str
        Its images.
    name : str
        Name and ID of the patient. For the screen of the user only.
    """

    uid: str
    patient: str
    files: tuple[str, ...]
    name: str

    @property
    def code(self) -> str:
        """Its name as a case: always the same for this series, and without anything that the patient is known by."""
        return f"ct-{hashlib.sha256(self.uid.encode()).hexdigest()[:CODE_LENGTH]}"


@dataclass(frozen=True)
class DatabaseSource:
    """Patients of the database as the source of a batch.

    Parameters
    ----------
    database : SeriesDatabase
        Slicer's DICOM database.
    patients : tuple of str
        Keys of the patients. Empty: all of them.
    named : bool
        Whether results may name the patients: cases are called by name and ID, too, and DICOM objects are written.
    """

    database: SeriesDatabase
    patients: tuple[str, ...] = ()
    named: bool = False

    def caseName(self, series: CtSeries) -> str:
        """How the batch calls a series."""
        return f"{series.name} {series.code}" if self.named and series.name else series.code


@dataclass
class FoundSeries:
    """What was found so far.

    Attributes
    ----------
    series : list of CtSeries
        CT series, in the order of the database.
    localizers, missing : int
        Number of series that are scout images, and of series without a file that can be read.
    """

    series: list[CtSeries] = field(default_factory=list)
    localizers: int = 0
    missing: int = 0


def openDatabase() -> SeriesDatabase:
    """Slicer's DICOM database.

    Raises
    ------
    UnusableInput
        There is none, or it is not open.
    """
    database = getattr(slicer, "dicomDatabase", None)
    if database is None or not database.isOpen:
        raise UnusableInput(
            _("Slicer's DICOM database is not open. Open the DICOM module once, or choose a folder as source.")
        )
    return database


def findSeries(
    database: SeriesDatabase, patients: Collection[str], found: FoundSeries, onPatient: Callable[[int, int], None]
) -> Iterator[None]:
    """Look for CT series, one at each step. A ``ctkDICOMDatabase`` may be asked only by the thread that opened it.

    Parameters
    ----------
    database : SeriesDatabase
        Slicer's DICOM database.
    patients : collection of str
        Keys of the patients. Empty: all of them.
    found : FoundSeries
        Filled step by step.
    onPatient : callable
        Called with the number of patients that are done, and of all.
    """
    chosen = [patient for patient in database.patients() if not patients or patient in patients]
    seen: set[str] = set()
    for n, patient in enumerate(chosen):
        onPatient(n, len(chosen))
        for study in database.studiesForPatient(patient):
            for uid in database.seriesForStudy(study):
                if uid not in seen:
                    seen.add(uid)
                    _look(database, patient, uid, found)
                yield
    onPatient(len(chosen), len(chosen))


def findByCase(source: DatabaseSource, case: str, found: list[CtSeries]) -> Iterator[None]:
    """Look for the series that a batch calls ``case``, one at each step, until it is there."""
    everything = FoundSeries()
    for _step in findSeries(source.database, (), everything, lambda _done, _total: None):
        last = everything.series[-1] if everything.series else None
        if last is not None and case in (last.code, f"{last.name} {last.code}"):
            found.append(last)
            return
        yield


def patientLabels(database: SeriesDatabase, labels: list[tuple[str, str]]) -> Iterator[None]:
    """Key and label (name and ID) of every patient with images, one at each step, for a list on the screen."""
    for patient in database.patients():
        file = next(_files(database, patient), None)
        if file is not None:
            labels.append((patient, _nameOf(database, file) or _("patient without a name")))
        yield


def placeSeries(series: Sequence[CtSeries], source: DatabaseSource, folder: Path, stopped: Callable[[], bool]) -> Path:
    """Give every series a folder of its own with a neutral name, and list them for the command. Any thread may call it.

    Images are linked, and copied only where that is not possible.

    Parameters
    ----------
    series : sequence of CtSeries
        The series.
    source : DatabaseSource
        Names the cases.
    folder : Path
        Existing folder for the links and the list.
    stopped : callable
        Asked again and again whether to stop.

    Returns
    -------
    Path
        A table with the columns ``path``, ``id`` and ``series``.

    Raises
    ------
    OSError
        A link or copy cannot be made.
    """
    table = folder / CASES_FILE
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "id", "series"))
        for one in series:
            if stopped():
                break
            writer.writerow((placeImages(one, folder), source.caseName(one), one.uid))
    return table


def placeImages(series: CtSeries, folder: Path) -> Path:
    """A folder called by the code of the series, with its images and no others. Any thread may call this.

    Raises
    ------
    OSError
        A link or copy cannot be made.
    """
    place = folder / series.code
    home = _ownFolder(series.files)
    if home is not None:
        with suppress(OSError, NotImplementedError):  # Windows allows links of folders to some users only
            place.symlink_to(home, target_is_directory=True)
            return place
    place.mkdir()
    there = [file for file in map(Path, series.files) if file.is_file()]  # the analysis says what is missing
    for n, file in enumerate(sorted(there)):  # in the same order each time: the bytes of a case are the same then
        _link(file, place / f"{n + 1:05}.dcm")
    return place


def _look(database: SeriesDatabase, patient: str, uid: str, found: FoundSeries) -> None:
    files = tuple(database.filesForSeries(uid))
    first = next((file for file in files if Path(file).is_file()), None)
    if first is None:
        found.missing += 1
    elif database.fileValue(first, MODALITY) == "CT":
        if LOCALIZER in database.fileValue(first, IMAGE_TYPE).upper():
            found.localizers += 1
        else:
            found.series.append(CtSeries(uid, patient, files, _nameOf(database, first)))


def _files(database: SeriesDatabase, patient: str) -> Iterator[str]:
    for study in database.studiesForPatient(patient):
        for uid in database.seriesForStudy(study):
            yield from database.filesForSeries(uid)


def _nameOf(database: SeriesDatabase, file: str) -> str:
    parts = (database.fileValue(file, tag) for tag in (PATIENT_NAME, PATIENT_ID))
    return " ".join(" ".join(parts).replace("^", " ").split())


def _ownFolder(files: Sequence[str]) -> Path | None:
    """The folder that has these files and nothing else; None if there is none."""
    folders = {Path(file).parent for file in files}
    if len(folders) != 1:
        return None
    (folder,) = folders
    try:
        names = {path.name for path in folder.iterdir()}
        return folder.resolve() if names == {Path(file).name for file in files} else None
    except OSError:
        return None


def _link(file: Path, link: Path) -> None:
    for make in (os.link, os.symlink):
        with suppress(OSError, NotImplementedError, AttributeError):
            make(file.resolve(), link)
            return
    shutil.copyfile(file, link)
