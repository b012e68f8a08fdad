"""Send DICOM objects to a PACS (STOW-RS), one after the other, so that it is known of each whether it arrived."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from CovidSeverityLib.errors import CovidSeverityError, InputError, PacsError
from CovidSeverityLib.types import Progress

from .address import NO_EXTRA, PacsAddress, has_pacs_extra
from .config import PacsConfig

if TYPE_CHECKING:
    from pydicom import Dataset

    from .connection import Connection

SEND_STAGE = "send"
"""Name of this stage in progress calls, which count objects."""

DUPLICATE = 0x0111
"""The PACS has the instance already (DICOM PS3.7, C.5.4); the same result has the same identifiers and content."""

REASONS = {
    0x0110: "processing failure",
    0x0122: "it does not store objects of this class",
    0x0124: "not allowed",
    0xA700: "it is out of resources",
    0xA900: "the object does not match its class",
    0xC000: "it cannot understand the object",
    0xC122: "it does not accept this transfer syntax",
}
"""Reasons for a failure (DICOM PS3.18, I.2.2, and PS3.4, B.2.3)."""


def send_to_pacs(
    files: Iterable[str | os.PathLike[str]], url: str, *, progress: Progress | None = None
) -> tuple[str, ...]:
    """Send DICOM files, such as those in ``dicom/`` of a result, to a PACS through DICOMweb.

    Credentials come from where :func:`read_ct_from_pacs` has them. To send an object again does no harm: it has the
    same identifiers and content.

    Parameters
    ----------
    files : iterable of str or path-like
        The files, in the order of sending.
    url : str
        Address of the DICOMweb service.
    progress : callable or None
        Called as ``progress("send", done, total)`` with numbers of files.

    Returns
    -------
    tuple of str
        Names of the files, all of which the PACS has.

    Raises
    ------
    PacsError
        The PACS did not take all of them; the message says which it has and which not.
    InputError
        There is no file, one is not DICOM, an address is none, or credentials would travel without encryption.

    Examples
    --------
    >>> from CovidSeverityLib import send_to_pacs
    >>> send_to_pacs(["ct.nii.gz"], "https://pacs.example.org/dicom-web")
    Traceback (most recent call last):
    ...
    CovidSeverityLib.errors.InputError: ct.nii.gz is not a DICOM file
    """
    return send_files([Path(file) for file in files], PacsAddress(url), progress)


def send_files(
    files: Sequence[Path],
    address: PacsAddress,
    progress: Progress | None = None,
    config: PacsConfig = PacsConfig(),
) -> tuple[str, ...]:
    """As :func:`send_to_pacs`.

    Parameters
    ----------
    files : sequence of Path
        The files.
    address : PacsAddress
        The PACS.
    progress : callable or None
        As for :func:`send_to_pacs`.
    config : PacsConfig
        Time-outs and repetitions.

    Raises
    ------
    PacsError, InputError
        As :func:`send_to_pacs`.
    """
    if not has_pacs_extra():
        raise InputError(NO_EXTRA)
    if not files:
        raise InputError("there is no DICOM object to send")
    from .connection import Connection

    objects = [(path.name, _read(path)) for path in files]
    with Connection.to(address, config) as connection:
        failed = _send_all(connection, objects, progress)
    names = [name for name, _ in objects]
    if failed:
        raise PacsError(_told(address, names, failed))
    if progress is not None:
        progress(SEND_STAGE, len(objects), len(objects))
    return tuple(names)


def _send_all(
    connection: Connection, objects: Sequence[tuple[str, Dataset]], progress: Progress | None
) -> dict[int, str]:
    """Why objects did not arrive, by their number; empty for those that were not tried."""
    failed: dict[int, str] = {}
    for number, (_, dataset) in enumerate(objects):
        if progress is not None:
            progress(SEND_STAGE, number, len(objects))
        reason, goes_on = _send(connection, dataset)
        if reason:
            failed[number] = reason
        if not goes_on:
            return failed | dict.fromkeys(range(number + 1, len(objects)), "")
    return failed


def _read(path: Path) -> Dataset:
    from pydicom import dcmread

    from CovidSeverityLib.io.dicom.values import UNREADABLE, damage_as_such

    try:
        with warnings.catch_warnings(), damage_as_such():
            warnings.simplefilter("ignore")
            dataset = dcmread(path)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror or type(error).__name__}") from error
    except UNREADABLE as error:
        raise InputError(f"{path.name} is not a DICOM file") from error
    if not dataset.get("SOPInstanceUID"):
        raise InputError(f"{path.name} has no SOPInstanceUID, without which no PACS stores it")
    return dataset


def _send(connection: Connection, dataset: Dataset) -> tuple[str, bool]:
    """Why the PACS did not take the object, empty if it did; and whether it is worth sending the next one."""
    from .trouble import NOT_DICOMWEB, may_have_arrived, refusal_of_one, told

    client = connection.client(whole=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = connection.persist(lambda: client.store_instances([dataset]))
    except InputError as error:
        return str(error), False
    except NOT_DICOMWEB:
        return _looked_up(connection, dataset, "its answer is not DICOM"), True
    except Exception as error:
        refused = refusal_of_one(error)
        if refused is not None:
            return _refused(*refused, dataset), True
        sentence = told(error, connection.address, connection.config, bool(connection.credentials.header))
        if sentence is None:
            raise
        reason = _looked_up(connection, dataset, str(sentence)) if may_have_arrived(error) else str(sentence)
        return reason, not reason
    return _taken(connection, dataset, answer), True


def _refused(status: str, content: bytes, dataset: Dataset) -> str:
    """Why the object was not taken, from the answer of a PACS that reports an error."""
    reason = _failure(_parsed(content), dataset.SOPInstanceUID)
    if reason is None:
        return status
    return "" if reason == DUPLICATE else _worded(reason)


def _taken(connection: Connection, dataset: Dataset, answer: Dataset) -> str:
    """Why the object was not taken, from the answer of a PACS that reports success."""
    uid = dataset.SOPInstanceUID
    reason = _failure(answer, uid)
    if reason is not None:
        return "" if reason == DUPLICATE else _worded(reason)
    if any(item.get("ReferencedSOPInstanceUID") == uid for item in answer.get("ReferencedSOPSequence") or ()):
        return ""
    return _looked_up(connection, dataset, "its answer does not name the object")


def _looked_up(connection: Connection, dataset: Dataset, otherwise: str) -> str:
    """Empty if the PACS finds the object, else why it is not there."""
    from .search import has_instance

    try:
        there = has_instance(connection, str(dataset.get("StudyInstanceUID", "")), str(dataset.SOPInstanceUID))
    except CovidSeverityError:
        return otherwise
    return "" if there else f"{otherwise}, and it does not find the object"


def _failure(answer: Dataset | None, uid: str) -> int | None:
    """The reason for the failure of an object; None if the answer has none."""
    for item in (answer.get("FailedSOPSequence") if answer is not None else None) or ():
        if item.get("ReferencedSOPInstanceUID", uid) == uid:
            return int(item.get("FailureReason") or 0)
    return None


def _worded(reason: int) -> str:
    """The reason in words; codes of one meaning differ in their last two or three digits."""
    groups = (reason, reason & 0xFF00, reason & 0xF000)
    text = next((REASONS[group] for group in groups if group in REASONS), "refused")
    return f"{text}, reason {reason:04X}" if reason else text


def _parsed(content: bytes) -> Dataset | None:
    """A DICOM JSON answer; None for anything else."""
    import json

    from pydicom import Dataset

    from .trouble import NOT_DICOMWEB

    try:
        return Dataset.from_json(json.loads(content))
    except NOT_DICOMWEB:
        return None


def _told(address: PacsAddress, names: Sequence[str], failed: dict[int, str]) -> str:
    reasons = "; ".join(f"{names[number]} ({reason})" for number, reason in failed.items() if reason)
    untried = ", ".join(names[number] for number, reason in failed.items() if not reason)
    sent = ", ".join(name for number, name in enumerate(names) if number not in failed)
    rest = f"; not tried: {untried}" if untried else ""
    return f"{address} did not take {reasons}{rest}; it has {sent or 'none of the others'}"
