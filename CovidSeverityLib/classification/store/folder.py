"""Weights from the public Google Drive folder of their authors, for a user who agreed to it.

The package ``gdown`` (extra ``download``) speaks to Google. The authors state neither a licence nor a checksum, so
nothing here runs unless the caller says that the user has agreed to :func:`consent_sentence`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from CovidSeverityLib.errors import DownloadError, InputError, OutputError
from CovidSeverityLib.types import Progress

from .adding import add_model
from .catalogue import WEIGHT_ENDINGS, ModelEntry
from .download import STAGE, TIMEOUT_S, TRIES
from .installed import InstalledModel
from .placement import check_free, gathering_folder

INSTALL = 'pip install "covid-severity[download]"'


@dataclass(frozen=True)
class FolderFile:
    """A file of weights in a folder of the authors.

    Parameters
    ----------
    path : str
        Its path in the folder, with ``/``.
    identifier : str
        What Google Drive calls it.
    """

    path: str
    identifier: str


def consent_sentence(entry: ModelEntry) -> str:
    """What a user agrees to before files are fetched from the authors' folder, in two sentences.

    Raises
    ------
    InputError
        If no folder of the model is known.
    """
    if entry.folder is None:
        raise InputError(f"no public folder with the model {entry.name} is known")
    return (
        f"The weights of {entry.name} are in a public Google Drive folder of their authors ({entry.folder}), to which "
        f"{entry.source or 'their page'} links; neither a licence nor a checksum is stated. Whether you may use them "
        "is between you and the authors."
    )


def folder_files(entry: ModelEntry, *, agreed: bool) -> tuple[FolderFile, ...]:
    """The files of weights in the folder of ``entry``, sorted by their paths.

    Parameters
    ----------
    entry : ModelEntry
        With a folder.
    agreed : bool
        Whether the user has agreed to :func:`consent_sentence`.

    Raises
    ------
    InputError
        If the user has not agreed, or gdown is not installed, or the folder has no file of weights.
    DownloadError
        If Google cannot be reached or does not show the folder.
    """
    drive = _drive(entry, agreed)
    with _explained(entry):
        listed = drive.download_folder(
            entry.folder, output="folder", quiet=True, skip_download=True, use_cookies=False, timeout=TIMEOUT_S
        )
    files = (FolderFile(PurePath(found.path).as_posix(), found.id) for found in listed if not isinstance(found, str))
    weights = sorted((file for file in files if file.path.lower().endswith(WEIGHT_ENDINGS)), key=lambda f: f.path)
    if not weights:
        raise InputError(
            f"{entry.folder} shows no file of weights ({', '.join(WEIGHT_ENDINGS)}); the authors may have moved it"
        )
    return tuple(weights)


def chosen_file(files: Sequence[FolderFile], asked: str | None) -> FolderFile:
    """The file whose path or name is ``asked``; for None the only one.

    Raises
    ------
    InputError
        If no file or several are it; the message lists them.
    """
    likely = [file for file in files if asked in (None, file.path)]
    likely = likely or [file for file in files if PurePath(file.path).name == asked]
    if len(likely) == 1:
        return likely[0]
    listed = ", ".join(file.path for file in likely or files)
    problem = f"{'no' if not likely else 'more than one'} file of the folder is {asked!r}" if asked else "choose one"
    raise InputError(f"{problem}; --file names one of {listed}")


def download_from_folder(
    entry: ModelEntry,
    file: FolderFile,
    replace: bool = False,
    progress: Progress | None = None,
    *,
    agreed: bool,
) -> InstalledModel:
    """Fetch a file of the authors' folder and add it as :func:`~.adding.add_model` does.

    What has come is kept if the connection breaks, and the next call goes on from there.

    Parameters
    ----------
    entry : ModelEntry
        The model that the file is to be.
    file : FolderFile
        One of :func:`folder_files`.
    replace : bool
        Whether to replace an installed model of that name.
    progress : Progress, optional
        Called with stage "download", then "copy", and bytes.
    agreed : bool
        Whether the user has agreed to :func:`consent_sentence`.

    Raises
    ------
    InputError
        If the user has not agreed, the name is taken, gdown or TensorFlow is not installed, or the file is not a
        network that the program can use.
    DownloadError
        If the network or Google fails.
    OutputError
        If the disk cannot be written.
    """
    drive = _drive(entry, agreed)
    check_free(entry.name, replace)
    kept = gathering_folder(entry.name)
    path = kept / PurePath(file.path).name
    with _explained(entry):
        kept.mkdir(parents=True, exist_ok=True)
        drive.download(
            id=file.identifier,
            output=str(path),
            quiet=True,
            use_cookies=False,
            resume=True,
            timeout=TIMEOUT_S,
            retries=TRIES - 1,
            progress=None if progress is None else lambda done, total: progress(STAGE, done, max(done, total or 0)),
        )
    try:
        return add_model(path, entry.name, [entry], replace=replace, progress=progress)
    finally:
        shutil.rmtree(kept, ignore_errors=True)


def _drive(entry: ModelEntry, agreed: bool) -> Any:  # noqa: ANN401 - a module of an optional package
    sentence = consent_sentence(entry)
    if not agreed:
        raise InputError(f"nothing was downloaded, because nobody agreed: {sentence}")
    try:
        import gdown  # pyright: ignore[reportMissingImports] (an extra)
    except ModuleNotFoundError as error:
        raise InputError(
            f"gdown, which fetches files from Google Drive, is not installed; {INSTALL} does it"
        ) from error
    return gdown


@contextmanager
def _explained(entry: ModelEntry) -> Iterator[None]:
    """Errors of gdown, of requests and of the disk as sentences."""
    from gdown.exceptions import DownloadError as GdownError  # pyright: ignore[reportMissingImports] (an extra)
    from requests.exceptions import RequestException

    try:
        yield
    except GdownError as error:
        first = str(error).strip().split("\n")[0].rstrip(".:")
        raise DownloadError(f"Google Drive does not give the files of {entry.name}: {first}") from error
    except RequestException as error:
        raise DownloadError(f"Google Drive cannot be reached ({type(error).__name__})") from error
    except OSError as error:
        raise OutputError(f"cannot write the model {entry.name}: {error.strerror or error}") from error
