"""Identifiers, dates and equipment of the objects. The same input and version give the same ones."""

from __future__ import annotations

import copy
import datetime
import hashlib
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydicom import Dataset

from CovidSeverityLib.findings import Findings
from CovidSeverityLib.io.dicom.source import DicomSource
from CovidSeverityLib.plain import plain

EQUIPMENT = "CovidSeverity"
"""Manufacturer and model of the objects."""

SEGMENTATION, MEASUREMENTS, PDF = "segmentation", "measurements", "report"
SERIES_NUMBERS = {SEGMENTATION: 9101, MEASUREMENTS: 9102, PDF: 9103}
"""Series numbers that scanners do not use."""

EMPTY_IF_MISSING = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("AccessionNumber", "StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
"""Attributes that every object has, if only empty ones (type 2 in DICOM PS3.3)."""

DATES = (("StudyDate", "StudyTime"), ("SeriesDate", "SeriesTime"), ("AcquisitionDate", "AcquisitionTime"))
"""Where the date of the objects is looked for, in this order."""


@dataclass(frozen=True, eq=False)
class Identity:
    """What the objects of one result have in common.

    Parameters
    ----------
    images : tuple of Dataset
        Headers of the source images; the first has empty attributes for those that every object must have.
    version : str
        Of the program.
    made : datetime
        Date and time of the content: of the study, so that the same input gives the same bytes.
    seed : str
        From what the UIDs are derived: source images, version, configuration, masks.
    """

    images: tuple[Dataset, ...]
    version: str
    made: datetime.datetime
    seed: str

    @property
    def first(self) -> Dataset:
        """The image whose header stands for patient and study."""
        return self.images[0]

    def uid(self, name: str) -> str:
        """A UID for ``name``: always the same for the same seed (DICOM PS3.5, B.2: a UUID as an integer)."""
        return uid_of(f"{self.seed}/{name}")

    def series(self, kind: str, content: str = "") -> dict[str, Any]:
        """Series, instance, dates and equipment of an object, as highdicom names them.

        ``content`` stands for what the seed does not have: with another one the object has other UIDs.
        """
        return {
            "series_instance_uid": self.uid(f"{kind} series{content}"),
            "series_number": SERIES_NUMBERS[kind],
            "sop_instance_uid": self.uid(f"{kind}{content}"),
            "instance_number": 1,
            "series_description": f"{EQUIPMENT} {kind} (research use only)",
            "manufacturer": EQUIPMENT,
            "manufacturer_model_name": EQUIPMENT,
            "software_versions": self.version,
            "device_serial_number": self.version,
            "content_date": self.made.date(),
            "content_time": self.made.time(),
        }


def without_time_of_day(found: Dataset) -> None:
    """Take the time at which highdicom made an object out of it: the same input gives the same bytes."""
    for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
        if keyword in found:
            delattr(found, keyword)
    for equipment in found.get("ContributingEquipmentSequence") or ():
        if "ContributionDateTime" in equipment:
            del equipment.ContributionDateTime


def uid_of(text: str) -> str:
    """The UID of a text.

    Examples
    --------
    >>> uid_of("a") == uid_of("a") != uid_of("b")
    True
    >>> len(uid_of("a")) <= 64
    True
    """
    return f"2.25.{uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4).int}"


def identify(
    analysis: Findings, source: DicomSource, masks: Iterable[bytes], made: datetime.datetime | None
) -> Identity:
    """Identify the objects of ``analysis``.

    Parameters
    ----------
    analysis : Findings
        The result.
    source : DicomSource
        The images, without a problem.
    masks : iterable of bytes
        The masks. They count because they may come from files of the user.
    made : datetime or None
        Date and time of the content; None takes that of the study, or the present where the images tell none.
    """
    digest = hashlib.sha256()
    provenance = analysis.provenance
    made_how = [provenance.version, provenance.profile, plain(provenance.configuration), plain(provenance.lobes_from)]
    digest.update(json.dumps(made_how, sort_keys=True).encode())
    for image in source.images:
        digest.update(f"{image.SOPInstanceUID}\n".encode())
    for mask in masks:
        digest.update(mask)
    images = (_completed(source.images[0]), *source.images[1:])
    when = made or _date_of(images[0]) or datetime.datetime.now().replace(microsecond=0)
    return Identity(images, provenance.version, when, digest.hexdigest())


def _completed(image: Dataset) -> Dataset:
    """The same header with every attribute of :data:`EMPTY_IF_MISSING`."""
    missing = [keyword for keyword in EMPTY_IF_MISSING if keyword not in image]
    if not missing:
        return image
    image = copy.deepcopy(image)  # a shallow copy shares its elements
    for keyword in missing:
        setattr(image, keyword, "")
    return image


def _date_of(image: Dataset) -> datetime.datetime | None:
    for date_keyword, time_keyword in DATES:
        date = str(image.get(date_keyword) or "")
        clock = str(image.get(time_keyword) or "")[:6].ljust(6, "0")
        try:
            return datetime.datetime.strptime(date + clock, "%Y%m%d%H%M%S")
        except ValueError:
            continue
    return None
