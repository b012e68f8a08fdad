"""Read a CT from a PACS: its instances go to a private folder, which is read like any other and then removed."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from CovidSeverityLib.errors import InputError, OutputError, PacsError
from CovidSeverityLib.io.reading import read_ct_and_source
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.types import Progress

from .address import NO_EXTRA, PacsAddress, PacsStudy, has_pacs_extra
from .config import PacsConfig

if TYPE_CHECKING:
    from pydicom import Dataset

    from CovidSeverityLib.io.dicom.source import DicomSource

    from .connection import Connection
    from .search import PacsSeries

RECEIVE_STAGE = "receive"
"""Name of this stage in progress calls, which count instances."""

AS_STORED = (("application/dicom", "*"),)
"""In the transfer syntax that the PACS has: nothing is decoded twice, and a compressed series stays small."""


def read_ct_from_pacs(
    url: str,
    study_uid: str,
    *,
    series_uid: str | None = None,
    volume: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> CtVolume:
    """Read a chest CT from a PACS through DICOMweb, with the checks of a folder.

    The instances are kept in a private temporary folder while they are read. Credentials come from the environment
    (``COVID_SEVERITY_DICOMWEB_USER`` and ``COVID_SEVERITY_DICOMWEB_PASSWORD``, or ``COVID_SEVERITY_DICOMWEB_TOKEN``)
    or from a .netrc file. It needs dicomweb-client (``pip install "covid-severity[pacs]"``).

    Parameters
    ----------
    url : str
        Address of the DICOMweb service, as in ``"https://pacs.example.org/dicom-web"``.
    study_uid : str
        StudyInstanceUID of the study.
    series_uid : str or None
        SeriesInstanceUID of the series to read. None receives every CT series of the study, and reads the best volume
        for the lungs.
    volume : int or None
        Number of the volume to read instead, as for :func:`read_ct`.
    force : bool
        Interpolate missing slices instead of refusing the series.
    progress : callable or None
        Called as ``progress("receive", done, total)`` with numbers of instances, then as for :func:`read_ct`.

    Returns
    -------
    CtVolume
        As :func:`read_ct` returns it. Its name holds no identifier.

    Raises
    ------
    PacsError
        The PACS cannot be reached, is busy, or sends fewer instances than it lists.
    NoLungsError
        The volume contains only air.
    InputError
        The PACS refuses, there is no such study or CT series, an address or a UID is none, or the CT cannot be used.

    Examples
    --------
    >>> from CovidSeverityLib import read_ct_from_pacs
    >>> read_ct_from_pacs("https://me:secret@pacs.example.org/dicom-web", "1.2.840.1")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    CovidSeverityLib.errors.InputError: the address of the PACS holds a user name or a password, which other ...
    """
    study = PacsStudy(PacsAddress(url), study_uid, series_uid)
    return read_study_and_source(study, volume=volume, force=force, progress=progress, keep_headers=False)[0]


def read_study_and_source(
    study: PacsStudy,
    *,
    volume: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    keep_headers: bool = True,
    config: PacsConfig = PacsConfig(),
) -> tuple[CtVolume, DicomSource | None]:
    """As :func:`read_ct_from_pacs`, with the images (:func:`~CovidSeverityLib.io.reading.read_ct_and_source`).

    Parameters
    ----------
    study : PacsStudy
        The study, and its series if one is chosen.
    volume, force, progress
        As for :func:`read_ct_from_pacs`.
    keep_headers : bool
        Whether objects will refer to the images.
    config : PacsConfig
        Time-outs and repetitions.

    Raises
    ------
    PacsError, NoLungsError, InputError
        As :func:`read_ct_from_pacs`.
    """
    with received(study, progress, config) as folder:
        return read_ct_and_source(
            folder,
            series_uid=study.series_uid,
            volume=volume,
            force=force,
            progress=progress,
            keep_headers=keep_headers,
        )


@contextmanager
def received(study: PacsStudy, progress: Progress | None = None, config: PacsConfig = PacsConfig()) -> Iterator[Path]:
    """A private folder with the instances, named after the study; it exists until the end of the ``with`` block.

    Raises
    ------
    PacsError, InputError
        As :func:`read_ct_from_pacs`.
    OutputError
        The temporary folder cannot be written.
    """
    if not has_pacs_extra():
        raise InputError(NO_EXTRA)
    from .connection import Connection
    from .search import series_to_read

    with tempfile.TemporaryDirectory(prefix="covid-severity-") as temporary:
        folder = Path(temporary) / study.name
        folder.mkdir()
        with Connection.to(study.address, config) as connection:
            found = series_to_read(connection, study)
            count = _Count(progress, sum(series.count for series in found))
            for number, series in enumerate(found, start=1):
                _receive(connection, study, series, _Files(folder, f"{number}-"), count)
        yield folder


@dataclass
class _Count:
    """How many instances are there, over all series."""

    progress: Progress | None
    total: int
    before: int = 0

    def tell(self, done: int) -> None:
        if self.progress is not None:
            self.progress(RECEIVE_STAGE, min(self.before + done, self.total), self.total)


@dataclass(frozen=True)
class _Files:
    """The files of one series; another try replaces them."""

    folder: Path
    prefix: str

    def add(self, dataset: Dataset, number: int) -> None:
        try:
            content = BytesIO()  # pydicom hides why a file cannot be written
            dataset.save_as(content)
            (self.folder / f"{self.prefix}{number:04d}.dcm").write_bytes(content.getvalue())
        except OSError as error:
            where, reason = tempfile.gettempdir(), error.strerror or type(error).__name__
            raise OutputError(f"what the PACS sends cannot be kept in {where}: {reason}") from error


def _receive(connection: Connection, study: PacsStudy, series: PacsSeries, files: _Files, count: _Count) -> None:
    """All instances of a series; after a broken connection from the first one on."""
    client, most = connection.client(), 0

    def work() -> int:
        nonlocal most
        seen: set[str] = set()
        for dataset in client.iter_series(study.study_uid, series.uid, AS_STORED):
            if dataset.get("SeriesInstanceUID") != series.uid:
                raise PacsError(f"{study.address} sends another series than {series.uid}, which was asked for")
            uid = str(dataset.get("SOPInstanceUID"))
            if uid in seen:
                continue
            seen.add(uid)
            if len(seen) > series.count:
                break
            files.add(dataset, len(seen))
            most = max(most, len(seen))
            count.tell(len(seen))
        return len(seen)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about harmless deviations from the standard
        try:
            done = connection.ask(work)
        except PacsError as error:
            raise PacsError(f"{error}; it sent {most} of the {_instances(series)}") from error
    if done > series.count:
        raise PacsError(f"{study.address} sends more than the {_instances(series)}; is it still receiving them?")
    if done < series.count:
        raise PacsError(f"{study.address} sent {done} of the {_instances(series)}; the whole series is needed")
    count.before += done


def _instances(series: PacsSeries) -> str:
    return f"{series.count} instances that it lists for the series {series.uid}"
