"""The CTs below a folder, on this computer or elsewhere: which files and folders are one case each.

A case is an image file, a .zip, or a folder that itself holds DICOM files. Three things are more than that:

* A disc, which is a folder with a DICOMDIR, is one case if it holds one study. If it holds several, each study is a
  case, namely the folder that all its files are in. A folder that two studies share is a failure, because only one
  of them would be analysed.
* A folder with DICOM files that has further ones with DICOM files below it would be read with them, so that their CTs
  would count twice. If it holds one DICOM file itself, this file is the case; otherwise it is a failure.
* The results of an earlier analysis or batch are no cases, though they hold DICOM files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import PurePosixPath

from CovidSeverityLib.io.case_names import natural_key, without_ending
from CovidSeverityLib.io.dicom.directory import path_key, study_folders
from CovidSeverityLib.reporting.dicom.writing import DOCUMENT_NAME, MEASUREMENTS_NAME, SEGMENTATION_NAME
from CovidSeverityLib.reporting.files import REPORT_NAME

from .trees import Tree, is_directory_name
from .values import INPUT, BatchCase, CaseFailure

RESULTS = frozenset(PurePosixPath(name) for name in (DOCUMENT_NAME, MEASUREMENTS_NAME, SEGMENTATION_NAME))
"""DICOM objects that an analysis writes beside its report."""

RESULTS_FOLDER = PurePosixPath(DOCUMENT_NAME).parent.name


@dataclass
class _Found:
    """What the search has seen so far."""

    files: list[PurePosixPath] = field(default_factory=list)
    folders: dict[PurePosixPath, None] = field(default_factory=dict)
    """Folders with DICOM files, in order."""

    discs: dict[PurePosixPath, str] = field(default_factory=dict)
    """Folders with a DICOMDIR, and its name."""

    merged: set[PurePosixPath] = field(default_factory=set)
    """Folders that are a case with all that is below them."""


def cases_in(tree: Tree) -> tuple[tuple[BatchCase, ...], tuple[CaseFailure, ...]]:
    """Find the cases in a folder and its subfolders.

    Parameters
    ----------
    tree : Tree
        The folder.

    Returns
    -------
    cases : tuple of BatchCase
        In natural order of their ids. The id is the path below the folder, with ``/`` and without the ending of an
        image (``COVID/P001``), so that it does not depend on what else is there. Images in one folder whose ids would
        be the same keep their endings. The folder itself has its own name.
    failures : tuple of CaseFailure
        What could not be searched, and folders that cannot be a case.
    """
    found, failures = _searched(tree), []
    for disc in sorted(found.discs, key=lambda path: -len(path.parts)):
        failures += _settle_disc(tree, found, disc)
    failures += _settle_nested(tree, found)
    places = [*found.files, *found.folders, *found.merged]
    ids = _ids(tree, places, files=set(found.files))
    cases = sorted((BatchCase(ids[path], tree.place(path)) for path in places), key=lambda case: natural_key(case.case))
    return tuple(cases), tuple(sorted((*tree.failures, *failures), key=lambda failure: natural_key(failure.case)))


def _searched(tree: Tree) -> _Found:
    found, analysed = _Found(), set()
    for folder, names in tree.folders():
        if REPORT_NAME in names:
            analysed.add(folder)
        if folder.name == RESULTS_FOLDER and folder.parent in analysed and _are_results(names):
            continue
        found.files += [folder / name for name in names if tree.is_ct_file(folder, name, names)]
        if tree.holds_dicom(folder, names):
            found.folders[folder] = None
        directory = next((name for name in names if is_directory_name(name)), None)
        if directory:
            found.discs[folder] = directory
    return found


def _are_results(names: Iterable[str]) -> bool:
    return all(PurePosixPath(RESULTS_FOLDER, name) in RESULTS for name in names)


def _settle_disc(tree: Tree, found: _Found, disc: PurePosixPath) -> list[CaseFailure]:
    """Take the folders of each study of a disc for one case."""
    studies = study_folders(BytesIO(tree.read(disc / found.discs[disc])))
    inside = {path_key(path.relative_to(disc)): path for path in found.folders if path.is_relative_to(disc)}
    members = [[inside[key] for key in study if key in inside] for study in studies]
    members = [paths for paths in members if paths]
    if len(members) == 1 and len(members[0]) == len(inside):
        _merge(found, disc, members[0])
        return []
    shared = Counter(path for paths in members for path in paths)
    failures = []
    for path in [path for path, count in shared.items() if count > 1]:
        del found.folders[path]
        reason = (
            f"the files of {shared[path]} studies are in this folder, as {found.discs[disc]} says; name each study "
            "with its series in a table (columns path, id, series)"
        )
        failures.append(CaseFailure(_own_id(tree, path), INPUT, reason))
    for paths in members:
        own, common = [path for path in paths if shared[path] == 1], _common(paths)
        below_common = [path for path in inside.values() if path.is_relative_to(common)]
        if len(own) == len(paths) > 1 and set(below_common) <= set(paths):
            _merge(found, common, paths)
    return failures


def _merge(found: _Found, folder: PurePosixPath, members: Iterable[PurePosixPath]) -> None:
    for path in members:
        del found.folders[path]
    found.merged.add(folder)


def _common(paths: Sequence[PurePosixPath]) -> PurePosixPath:
    common = paths[0]
    while not all(path.is_relative_to(common) for path in paths):
        common = common.parent
    return common


def _settle_nested(tree: Tree, found: _Found) -> list[CaseFailure]:
    """Take folders apart that hold DICOM files beside folders with further ones."""
    above = {parent for path in (*found.folders, *found.merged) for parent in path.parents}
    failures = []
    for folder in above & {*found.folders}:
        del found.folders[folder]
        dicom = []
        for name in tree.names(folder):
            if len(dicom) < 2 and not is_directory_name(name) and tree.is_dicom(folder, name):
                dicom.append(folder / name)
        if len(dicom) == 1:
            found.files += dicom
            continue
        reason = (
            "it holds DICOM files beside folders with further ones, which would be read together; move its own files "
            "to a folder of theirs"
        )
        failures.append(CaseFailure(_own_id(tree, folder), INPUT, reason))
    return failures


def _ids(tree: Tree, places: Sequence[PurePosixPath], files: set[PurePosixPath]) -> Mapping[PurePosixPath, str]:
    full = {path: _own_id(tree, path) for path in places}
    short = {path: without_ending(name) if path in files else name for path, name in full.items()}
    counts, taken = Counter(short.values()), Counter(full.values())
    return {
        path: name if counts[name] == 1 and (name == full[path] or name not in taken) else full[path]
        for path, name in short.items()
    }


def _own_id(tree: Tree, path: PurePosixPath) -> str:
    return path.as_posix() if path.parts else tree.name
