"""The cases of an evaluation: images in a folder, and the masks and table rows that belong to them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.archives import ARCHIVE_ENDING, may_hold_ct
from CovidSeverityLib.io.dicom.files import DICOM_ENDINGS, is_dicom
from CovidSeverityLib.io.images import FORMATS, is_image_name, is_second_half

from .case_names import NameMatches, match_names, natural_key, without_ending

SEGMENTATION_ENDING = ".seg.nrrd"
"""3D Slicer's ending of a segmentation: a mask, never a CT."""

PROBED_FILES = 8
"""Files of a folder that are opened to see whether it holds DICOM: enough to get past a table or a note beside the
slices, and few for a folder of thousands of pictures."""

DICOM_DIRECTORY = "dicomdir"
"""The table of contents of a DICOM disc: a DICOM file that is not an image."""

LISTED_NAMES = 5
"""A message lists so many names, then the number of further ones."""


@dataclass(frozen=True)
class Case:
    """One CT with its masks. ``image`` is a file, a DICOM folder or a .zip; a missing mask is None."""

    name: str
    image: Path
    mask: Path | None = None
    lungs: Path | None = None


@dataclass(frozen=True)
class Failure:
    """A case that cannot be evaluated, and the reason, in one sentence."""

    case: str
    reason: str


def find_images(folder: Path, pattern: str = "*") -> Mapping[str, Path]:
    """Find every image in a folder and its subfolders.

    Parameters
    ----------
    folder : Path
        Folder to search, with its subfolders and links; names that begin with a dot are ignored.
    pattern : str
        Pattern for the names of files and DICOM folders, with ``*``, ``?`` and ``[]`` as in a shell.

    Returns
    -------
    mapping of str to Path
        Path by name, in natural order: .nii, .nii.gz, .nrrd, .nhdr, .mha and .mhd files (no .seg.nrrd, which is a
        segmentation), .zip archives with DICOM or one such file, and folders that directly contain DICOM files. The
        name is that of the file, without its ending, or that of the folder. If several have the same name, each is
        named by its path below ``folder``, with ``/``.

    Raises
    ------
    InputError
        If ``folder`` is not a folder, cannot be read or contains no image.
    """
    return _find(folder, pattern, _is_ct)


def find_masks(folder: Path, pattern: str = "*") -> Mapping[str, Path]:
    """Find every mask in a folder and its subfolders: as :func:`find_images`, with .seg.nrrd files, without .zip."""
    return _find(folder, pattern, _is_image)


def pair_with(
    images: Mapping[str, Path], others: Mapping[str, Path], what: str
) -> tuple[Mapping[str, Path], tuple[Failure, ...]]:
    """Match masks to images by their names.

    Parameters
    ----------
    images : mapping of str to Path
        Result of :func:`find_images`.
    others : mapping of str to Path
        Masks, result of :func:`find_masks`. If one of the two folders is inside the other, its files do not count as
        the other kind.
    what : str
        Kind of the others ("mask", "lung mask"), for messages.

    Returns
    -------
    (mapping of str to Path, tuple of Failure)
        Pairs Path of the other by the name of the image, in the order of ``images``. A single image and a single other
        are a pair, whatever their names are. Otherwise they have the same name, possibly without words that data sets
        add (:mod:`.case_names`). failures Every image without a partner, or with several possible partners.

    Raises
    ------
    InputError
        If images and others are the same files.
    """
    images, others = _apart(images, others, what)
    if len(images) == len(others) == 1:
        return MappingProxyType(dict(zip(images, others.values(), strict=True))), ()
    matches = match_names(images, others)
    pairs = {name: others[matches.pairs[name]] for name in images if name in matches.pairs}
    missing = f"no {what} is there for it; a {what} has the name of its image, words such as mask or seg apart"
    failures = tuple(_failure(name, matches, what, missing) for name in images if name not in pairs)
    return MappingProxyType(pairs), failures


def cases_named(
    images: Mapping[str, Path], names: Iterable[str]
) -> tuple[tuple[Case, ...], tuple[Failure, ...], tuple[str, ...]]:
    """Find the images of the cases in a table.

    Parameters
    ----------
    images : mapping of str to Path
        Result of :func:`find_images`.
    names : iterable of str
        Names of the cases in a table, also file names with their ending, or paths.

    Returns
    -------
    (tuple of Case, tuple of Failure, tuple of str)
        Cases Cases in the order of ``names``, with the names in the table. failures Names without an image, or with
        several possible images. unnamed Images that are not in the table.
    """
    names = tuple(dict.fromkeys(names))
    matches = match_names(names, images)
    cases = tuple(Case(name, images[matches.pairs[name]]) for name in names if name in matches.pairs)
    missing = "no image has this name"
    failures = tuple(_failure(name, matches, "image", missing) for name in names if name not in matches.pairs)
    used = {*matches.pairs.values(), *(name for found in matches.unclear.values() for name in found)}
    return cases, failures, tuple(name for name in images if name not in used)


def _failure(name: str, matches: NameMatches, what: str, missing: str) -> Failure:
    found = matches.unclear.get(name, ())
    if not found:
        return Failure(name, missing)
    first, *others = found
    if others:
        return Failure(name, f"more than one {what} may belong to it: {_listing(found)}; one is needed")
    rivals = [other for other, unclear in matches.unclear.items() if first in unclear and other != name]
    return Failure(name, f"the {what} {first} may belong to {_listing(rivals)} as well; one for each is needed")


def _listing(names: Sequence[str]) -> str:
    more = len(names) - LISTED_NAMES
    return ", ".join(names[:LISTED_NAMES]) + (f" and {more} more" if more > 0 else "")


def _apart(
    images: Mapping[str, Path], others: Mapping[str, Path], what: str
) -> tuple[Mapping[str, Path], Mapping[str, Path]]:
    """Both mappings; the files of the smaller one are removed from the larger one."""
    left, right = ({os.path.realpath(path) for path in paths.values()} for paths in (images, others))
    if left.isdisjoint(right):
        return images, others
    if left < right:
        return images, {name: path for name, path in others.items() if os.path.realpath(path) not in left}
    if right < left:
        return {name: path for name, path in images.items() if os.path.realpath(path) not in right}, others
    raise InputError(f"images and {what}s are the same files; a folder of images and one of {what}s are needed")


def _find(folder: Path, pattern: str, wanted: Callable[[Path], bool]) -> Mapping[str, Path]:
    shown = _folder_name(folder)
    try:
        if not folder.is_dir():
            raise InputError(f"{shown} is {'a file' if folder.exists() else 'not there'}; a folder is needed")
        found = [path for path in _images_under(folder, wanted) if fnmatchcase(_entry_name(path), pattern)]
    except OSError as error:
        name = Path(error.filename or folder).name
        raise InputError(f"the folder {name} cannot be read: {error.strerror or type(error).__name__}") from error
    if not found:
        named = "" if pattern == "*" else f" named {pattern}"
        raise InputError(
            f"{shown} holds no image{named}; folders of DICOM files, or {', '.join(FORMATS)} files are needed"
        )
    named = _named(folder, found)
    return MappingProxyType({name: named[name] for name in sorted(named, key=natural_key)})


def _images_under(folder: Path, wanted: Callable[[Path], bool]) -> Iterator[Path]:
    for parent, names in _folders_under(folder):
        yield from (parent / name for name in names if wanted(parent / name))
        if _holds_dicom(parent, names):
            yield parent


def _folders_under(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every folder once, also with circular links, with the names of its visible files."""
    seen = {os.path.realpath(folder)}
    for parent, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        visible = sorted((name for name in folders if not name.startswith(".")), key=natural_key)
        folders[:] = [name for name in visible if _is_new(Path(parent, name), seen)]
        yield Path(parent), sorted((name for name in files if not name.startswith(".")), key=natural_key)


def _raise(error: OSError) -> None:
    raise error


def _is_new(folder: Path, seen: set[str]) -> bool:
    real = os.path.realpath(folder)
    if real in seen:
        return False
    seen.add(real)
    return True


def _is_ct(path: Path) -> bool:
    if path.suffix.lower() == ARCHIVE_ENDING:
        return path.is_file() and may_hold_ct(path)
    return _is_image(path) and not path.name.lower().endswith(SEGMENTATION_ENDING)


def _is_image(path: Path) -> bool:
    return is_image_name(path) and not is_second_half(path) and path.is_file()


def _holds_dicom(folder: Path, names: Sequence[str]) -> bool:
    """Whether one of the first files is DICOM; files with names like DICOM files come first."""
    paths = [folder / name for name in names if name.lower() != DICOM_DIRECTORY]
    paths = [path for path in paths if not is_image_name(path)]
    paths.sort(key=lambda path: path.suffix.lower() not in DICOM_ENDINGS)
    return any(_may_be_dicom(path) for path in paths[:PROBED_FILES])


def _may_be_dicom(path: Path) -> bool:
    """Whether ``path`` is DICOM, or an invalid DICOM file, whose error is reported when its case is read."""
    try:
        return path.is_file() and is_dicom(path)
    except (InputError, OSError):
        return path.suffix.lower() in DICOM_ENDINGS - {""}


def _named(folder: Path, found: Sequence[Path]) -> dict[str, Path]:
    """``found`` by the shortest distinct names."""
    short = {path: _short_name(path) for path in found}
    below = {path: _path_below(folder, path) for path in found}
    named = {path: without_ending(below[path]) if count > 1 else short[path] for path, count in _counts(short)}
    return {below[path] if count > 1 else named[path]: path for path, count in _counts(named)}


def _counts(names: Mapping[Path, str]) -> list[tuple[Path, int]]:
    counts = Counter(names.values())
    return [(path, counts[name]) for path, name in names.items()]


def _short_name(path: Path) -> str:
    return without_ending(path.name) if _is_named_file(path) else _folder_name(path)


def _entry_name(path: Path) -> str:
    """Name of a file or a DICOM folder, with its ending."""
    return path.name if _is_named_file(path) else _folder_name(path)


def _is_named_file(path: Path) -> bool:
    return is_image_name(path) or path.suffix.lower() == ARCHIVE_ENDING


def _folder_name(folder: Path) -> str:
    return (folder.resolve() if folder.name in ("", "..") else folder).name


def _path_below(folder: Path, path: Path) -> str:
    """Path with ``/`` on every system; the folder itself keeps its own name."""
    return path.relative_to(folder).as_posix() if path != folder else _folder_name(folder)
