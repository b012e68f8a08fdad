"""A checksum of an input, by which a later run knows whether a result is of the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from CovidSeverityLib.checksums import sha256_of
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io.dicom.files import files_under
from CovidSeverityLib.io.image_parts import names_of_parts
from CovidSeverityLib.io.sources import check_can_be_read_twice

from .trees import is_directory_name


def input_digest(path: Path) -> str:
    """The SHA-256 of what an input holds.

    Of one file it is that of its bytes, as ``sha256sum`` prints it; its name makes no difference. Of a folder it is
    that of the list that ``sha256sum`` prints for its files: a line for each file in the order of their paths (by code
    points), with the file's checksum, two spaces and its path below the folder. Hidden files, which reading passes
    over (``.DS_Store``, ``._1.dcm``), do not count. A header with its data files, or a pair of files, is such a list
    too, with the names as the header has them; a DICOMDIR stands for its folder.

    Parameters
    ----------
    path : Path
        A file or a folder that is read as a CT or a mask.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    InputError
        If it is not there or cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("a.nii").write_bytes(b"abc")
    >>> input_digest(Path("a.nii"))[:16]
    'ba7816bf8f01cfea'
    """
    try:
        files = _files(path)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror or type(error).__name__}") from error
    if list(files.values()) == [path]:
        return sha256_of(path)
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{sha256_of(files[name])}  {name}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _files(path: Path) -> Mapping[str, Path]:
    """The files that an input consists of, by their names in the list."""
    if is_directory_name(path.name) and path.is_file():
        path = path.parent
    if path.is_dir():
        return {file.relative_to(path).as_posix(): file for file in files_under(path)}
    if not path.exists():
        raise InputError(f"no such file or folder: {path.name}")
    check_can_be_read_twice(path)
    parts = {name: path.parent / name for name in names_of_parts(path)}
    parts = {name: part for name, part in parts.items() if part.is_file() and not part.samefile(path)}
    return {path.name: path, **parts}
