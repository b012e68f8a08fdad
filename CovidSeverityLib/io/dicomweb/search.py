"""What a PACS has of a study (QIDO-RS)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pydicom.tag import Tag

from CovidSeverityLib.errors import InputError, PacsError
from CovidSeverityLib.io.dicom.headers import CT

from .address import PacsStudy
from .connection import Connection

MAX_LISTED = 6
"""Number of series that a message lists."""

WANTED = ("Modality", "SeriesDescription", "NumberOfSeriesRelatedInstances")

Found = list[dict[str, dict]]
"""Data sets in DICOM JSON (DICOM PS3.18, F.2)."""


@dataclass(frozen=True)
class PacsSeries:
    """A series of a study.

    Parameters
    ----------
    uid : str
        SeriesInstanceUID.
    modality : str
        ``"CT"``, or empty if the PACS does not tell.
    description : str
        For messages to the user.
    count : int
        Number of its instances.
    """

    uid: str
    modality: str
    description: str
    count: int


def series_to_read(connection: Connection, study: PacsStudy) -> tuple[PacsSeries, ...]:
    """The series that the user names, or every CT series of the study.

    Raises
    ------
    InputError
        There is no such study, no such series, or no CT.
    PacsError
        The PACS cannot be asked.
    """
    found = _series_of(connection, study)
    if not found:
        raise InputError(f"{study.address} shows no study {study.study_uid} with a series")
    if study.series_uid is None:
        chosen = tuple(series for series in found if series.modality in (CT, ""))
        if not chosen:
            raise InputError(f"the study has no CT series; there is {_listing(found)}")
        return chosen
    named = next((series for series in found if series.uid == study.series_uid), None)
    if named is None:
        raise InputError(f"the study has no series {study.series_uid}; there is {_listing(found)}")
    if named.modality not in (CT, ""):
        raise InputError(f"the series {named.uid} is {named.modality}; a chest CT is needed")
    return (named,)


def has_instance(connection: Connection, study_uid: str, sop_uid: str) -> bool:
    """Whether the PACS has an instance of a study.

    Raises
    ------
    InputError, PacsError
        The PACS cannot be asked.
    """
    client = connection.client()
    found = connection.ask(
        lambda: client.search_for_instances(study_uid or None, search_filters={"SOPInstanceUID": sop_uid})
    )
    return any(_value(item, "SOPInstanceUID") == sop_uid for item in found)


def _series_of(connection: Connection, study: PacsStudy) -> tuple[PacsSeries, ...]:
    client = connection.client()

    def page(offset: int) -> Found:
        return client.search_for_series(study.study_uid, fields=WANTED, offset=offset or None)

    found = _all_pages(connection, page, "SeriesInstanceUID")
    return tuple(
        PacsSeries(
            uid=uid,
            modality=_value(item, "Modality").upper(),
            description=_value(item, "SeriesDescription"),
            count=_count(connection, study, uid, item),
        )
        for uid, item in found.items()
    )


def _count(connection: Connection, study: PacsStudy, series_uid: str, item: dict[str, dict]) -> int:
    """The number that the PACS tells with the series; if it tells none, the number of instances that it lists."""
    told = _value(item, "NumberOfSeriesRelatedInstances")
    if told.isascii() and told.isdigit():
        return int(told)
    client = connection.client()

    def page(offset: int) -> Found:
        return client.search_for_instances(study.study_uid, series_uid, offset=offset or None)

    return len(_all_pages(connection, page, "SOPInstanceUID"))


def _all_pages(connection: Connection, page: Callable[[int], Found], key: str) -> dict[str, dict[str, dict]]:
    """What all pages hold, by UID, until one has nothing new: a server that knows no pages sends the first again."""
    found: dict[str, dict[str, dict]] = {}
    while True:
        listed = connection.ask(partial(page, len(found)))
        if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
            raise PacsError(f"{connection.address} answers no list of DICOM JSON; is it a DICOMweb service?")
        new = {_value(item, key): item for item in listed}
        new.pop("", None)
        if new.keys() <= found.keys():
            return found
        found |= new


def _value(item: dict[str, dict], keyword: str) -> str:
    """The first value of an attribute as a text; empty if there is none."""
    element = item.get(f"{int(Tag(keyword)):08X}")
    values = element.get("Value") if isinstance(element, dict) else None
    return str(values[0]).strip() if isinstance(values, list) and values else ""


def _listing(found: Sequence[PacsSeries]) -> str:
    listed = "; ".join(_described(series) for series in found[:MAX_LISTED])
    return listed + ("; ..." if len(found) > MAX_LISTED else "")


def _described(series: PacsSeries) -> str:
    count = f"{series.count} instance{'' if series.count == 1 else 's'}"
    about = ", ".join(filter(None, (series.modality, series.description, count)))
    return f"{series.uid} ({about})"
