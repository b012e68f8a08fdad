"""Options of a PACS: as input (``dicomweb:URL --study UID``), and to send DICOM objects to (``--store URL``)."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from CovidSeverityLib.errors import CancelledError, InputError, PacsError
from CovidSeverityLib.io.dicomweb.address import (
    NO_EXTRA,
    PASSWORD_VARIABLE,
    PREFIX,
    TOKEN_VARIABLE,
    USER_VARIABLE,
    PacsAddress,
    PacsStudy,
    has_pacs_extra,
)
from CovidSeverityLib.io.dicomweb.credentials import credentials_for
from CovidSeverityLib.io.dicomweb.sending import send_files
from CovidSeverityLib.reporting.dicom import NO_EXTRA as NO_HIGHDICOM
from CovidSeverityLib.reporting.dicom import SEGMENTATION_NAME, has_dicom_extra

from .paths import existing_path
from .progress import progress_for, progress_kind

DICOM_FOLDER = Path(SEGMENTATION_NAME).parent
"""The folder of DICOM objects in that of a result."""

WEB = ("https:", "http:")
"""Beginnings of addresses that lack the prefix."""


def add_study(parser: argparse.ArgumentParser) -> None:
    """Add ``--study``."""
    parser.add_argument(
        "--study",
        metavar="UID",
        help=f"StudyInstanceUID of the CT, if INPUT is {PREFIX}URL; credentials for it are read from {USER_VARIABLE} "
        f"and {PASSWORD_VARIABLE}, {TOKEN_VARIABLE} or .netrc",
    )


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add ``--store``."""
    parser.add_argument(
        "--store",
        metavar="URL",
        help="send the DICOM objects to this PACS (DICOMweb, STOW-RS); needs the package dicomweb-client",
    )


def chosen_input(arguments: argparse.Namespace) -> Path | PacsStudy:
    """The input: an existing file or folder, or a study of a PACS.

    Raises
    ------
    InputError
        The input does not exist, the address is none, ``--study`` lacks or has nothing to do with it, dicomweb-client
        is not installed, or credentials would be shown or sent without encryption.
    """
    text: str = arguments.input
    if text.lower().startswith(PREFIX):
        text = PREFIX + text[len(PREFIX) :]
    if text.lower().startswith(WEB):
        raise InputError(f"an address of a PACS begins with {PREFIX}, as in {PREFIX}https://pacs.example.org/dicom-web")
    if not text.startswith(PREFIX):
        if arguments.study is not None:
            raise InputError(f"--study chooses a study of a PACS; INPUT is then {PREFIX}URL")
        return existing_path(text, "file or folder")
    address = _usable(text)
    if arguments.study is None:
        raise InputError("a CT of a PACS needs --study UID, its StudyInstanceUID")
    return PacsStudy(address, arguments.study, arguments.series)


def store_address(arguments: argparse.Namespace) -> PacsAddress | None:
    """The address of ``--store``, if it is given.

    Raises
    ------
    InputError
        It is none, there will be no objects to send, dicomweb-client is not installed, or credentials would be shown or
        sent without encryption.
    """
    if arguments.store is None:
        return None
    if arguments.no_dicom:
        raise InputError("--store sends DICOM objects, which --no-dicom leaves out")
    if not has_dicom_extra():
        raise InputError(f"--store sends DICOM objects, which cannot be made: {NO_HIGHDICOM}")
    return _usable(arguments.store)


def store_objects(
    arguments: argparse.Namespace, address: PacsAddress, written: Iterable[Path], folder: Path, lacking: str
) -> None:
    """Send the DICOM objects of a result, and say so.

    Parameters
    ----------
    arguments : Namespace
        The options for what is printed.
    address : PacsAddress
        The PACS.
    written : iterable of Path
        The files of the result; those in its folder ``dicom`` are sent.
    folder : Path
        Where they stay.
    lacking : str
        Why there are no objects, as a sentence; empty if there are some or the input is not DICOM.

    Raises
    ------
    PacsError
        The PACS did not take all of them, or there are none.
    InputError
        It refuses, for a reason that the user can put right.
    CancelledError
        The user stopped it.
    """
    files = [path for path in written if path.parent == folder / DICOM_FOLDER]
    if not files:
        reason = lacking or "There are no DICOM objects, for the input is not DICOM."
        reason = f"{reason[0].lower()}{reason[1:].rstrip('.')}"
        raise PacsError(f"nothing was sent to {address}: {reason}; the results are in {folder}")
    stream = sys.stderr if arguments.json else sys.stdout
    try:
        with progress_for(progress_kind(arguments), stream) as progress:
            sent = send_files(files, address, progress)
    except KeyboardInterrupt as error:
        raise CancelledError(
            f"stopped while DICOM objects were sent to {address}, which may have some of them; all are in {folder}"
        ) from error
    except (PacsError, InputError) as error:
        raise type(error)(f"{error}; all files are in {folder}") from error
    if not arguments.quiet and arguments.progress != "json":
        stream.write(f"Sent to {address}: {', '.join(sent)}\n")


def _usable(text: str) -> PacsAddress:
    address = PacsAddress(text)
    if not has_pacs_extra():
        raise InputError(NO_EXTRA)
    credentials_for(address)  # refuses now what it would refuse after the analysis
    return address
