"""Where the cases of a batch come from: a folder, a CT, a table, or one of these at an address."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.archives import ARCHIVE_ENDING
from CovidSeverityLib.io.case_names import without_ending
from CovidSeverityLib.io.images import FORMATS

from .addresses import is_address, last_name, parent_of, shown_address
from .fetching import fetched
from .remote import remote
from .remote_files import is_folder
from .search import cases_in
from .tables import COLUMNS, TABLE_ENDINGS, cases_of_table, place_beside
from .trees import LocalTree, RemoteTree, Tree, is_directory_name
from .values import BatchCase, CaseFailure


@dataclass(frozen=True)
class BatchSource:
    """The cases of a batch.

    Parameters
    ----------
    name : str
        Name of the source, for a heading: without its folders and without credentials.
    cases : tuple of BatchCase
        What to analyse; ids are unique.
    failures : tuple of CaseFailure
        What the source names or holds and cannot be a case.
    remarks : tuple of str
        Sentences that its user should read.
    """

    name: str
    cases: tuple[BatchCase, ...]
    failures: tuple[CaseFailure, ...] = ()
    remarks: tuple[str, ...] = ()


def list_cases(source: str) -> BatchSource:
    """Find the cases of a batch.

    Parameters
    ----------
    source : str
        One of

        * a folder with anything that ``analyze`` reads, however nested (:mod:`.search` says what is one case);
        * a CT: one case;
        * a table, .csv or .tsv, with a row for each case (:func:`.tables.cases_of_table`);
        * an fsspec address of one of these, as ``s3://bucket/cts``, ``sftp://host/cts`` or
          ``zip://cts::/data/archive.zip``. Its files are known by their names (:class:`.trees.RemoteTree`).

    Returns
    -------
    BatchSource
        The cases in natural order of their ids, or in the order of the table.

    Raises
    ------
    InputError
        If there is no such place, it cannot be read, or it holds no case.

    Examples
    --------
    >>> found = list_cases("ct.nii.gz")
    >>> found.name, [case.case for case in found.cases]
    ('ct.nii.gz', ['ct'])
    """
    found = _at_address(source) if is_address(source) else _local(Path(source))
    if not found.cases and not found.failures:
        raise InputError(
            f"{found.name} holds no CT; folders of DICOM files, or {', '.join((ARCHIVE_ENDING, *FORMATS))} files are "
            "needed"
        )
    return found


def _local(path: Path) -> BatchSource:
    try:
        if path.is_dir():
            return _searched(LocalTree(path))
        if not path.exists():
            raise InputError(f"no such file or folder: {path}")
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if path.suffix.lower() in TABLE_ENDINGS:
        return _of_table(path.name, *cases_of_table(path))
    if is_directory_name(path.name):
        return _searched(LocalTree(path.resolve().parent))
    return BatchSource(path.name, (BatchCase(without_ending(path.name), str(path)),))


def _at_address(address: str) -> BatchSource:
    name = last_name(address)
    with remote(address, "cannot be read") as (system, path):
        folder = is_folder(system.info(path))
    if folder or is_directory_name(name):
        with closing(RemoteTree(address if folder else parent_of(address))) as tree:
            return _searched(tree)
    if name.lower().endswith(TABLE_ENDINGS):
        with tempfile.TemporaryDirectory(prefix="covid-severity-") as temporary:
            table = fetched(address, Path(temporary))
            return _of_table(name, *cases_of_table(table, place_beside(address)))
    return BatchSource(name, (BatchCase(without_ending(name), address),))


def _searched(tree: Tree) -> BatchSource:
    return BatchSource(tree.name, *cases_in(tree))


def _of_table(
    name: str, cases: tuple[BatchCase, ...], failures: tuple[CaseFailure, ...], unused: tuple[str, ...]
) -> BatchSource:
    remarks = ()
    if unused:
        listed = f"the column{'s' if len(unused) > 1 else ''} {', '.join(unused)}"
        remarks = (f"{name}: {listed} {'are' if len(unused) > 1 else 'is'} not used; known are {', '.join(COLUMNS)}.",)
    return BatchSource(shown_address(name), cases, failures, remarks)
