"""The images below a folder: files of every format, archives with a CT, and folders of DICOM files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

from CovidSeverityLib.errors import InputError

from .archives import ARCHIVE_ENDING, may_hold_ct
from .case_names import natural_key, without_ending
from .dicom.files import DICOM_ENDINGS, is_dicom
from .images import FORMATS, is_image_name, is_second_half

SEGMENTATION_ENDING = ".seg.nrrd"
"""3D Slicer's ending of a segmentation: a mask, never a CT."""

PROBED_FILES = 8
"""Files of a folder that are opened to see whether it holds DICOM: enough to get past a table or a note beside the
slices, and few for a folder of thousands of pictures."""

DICOM_DIRECTORY = "dicomdir"
"""The table of contents of a DICOM disc: a DICOM file that is not an image."""


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
    return _find(folder, pattern, is_ct_file)


def find_masks(folder: Path, pattern: str = "*") -> Mapping[str, Path]:
    """Find every mask in a folder and its subfolders: as :func:`find_images`, with .seg.nrrd files, without .zip."""
    return _find(folder, pattern, _is_image)


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
    for parent, names in folders_under(folder):
        yield from (parent / name for name in names if wanted(parent / name))
        if holds_dicom(parent, names):
            yield parent


def folders_under(
    folder: Path, on_error: Callable[[OSError], object] | None = None
) -> Iterator[tuple[Path, list[str]]]:
    """Go through a folder and its subfolders.

    Parameters
    ----------
    folder : Path
        The folder. Links are followed; each folder is visited once, so a circle of links ends.
    on_error : callable or None
        Called with the error of a folder that cannot be listed, which is then passed over; None raises it.

    Yields
    ------
    (Path, list of str)
        A folder, and the names in it that are not those of folders, in natural order. Names that begin with a dot are
        ignored.

    Raises
    ------
    OSError
        If a folder cannot be listed and there is no ``on_error``.
    """
    seen = {os.path.realpath(folder)}
    for parent, folders, files in os.walk(folder, onerror=on_error or _raise, followlinks=True):
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


def is_ct_file(path: Path) -> bool:
    """Whether a file may be a CT by its name: an image that is no segmentation, or an archive that may hold a CT."""
    if path.suffix.lower() == ARCHIVE_ENDING:
        return path.is_file() and may_hold_ct(path)
    return _is_image(path) and not path.name.lower().endswith(SEGMENTATION_ENDING)


def _is_image(path: Path) -> bool:
    return is_image_name(path) and not is_second_half(path) and path.is_file()


def holds_dicom(folder: Path, names: Sequence[str]) -> bool:
    """Whether one of the first files ``names`` of a folder is DICOM; those with names like DICOM files come first."""
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
