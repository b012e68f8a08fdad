"""Results in a folder on this computer."""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from CovidSeverityLib.errors import InputError, OutputError
from CovidSeverityLib.reporting.output_folder import (
    TEMPORARY_PREFIX,
    FileWriter,
    check_output_folder,
    reason_in_words,
    write_together,
)

from .places import CASES, LOCK_NAME, checked_name, checked_path
from .remote import INSTALL

READING = "cannot be read"

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""Errors of file systems without locks."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LocalDestination:
    """A folder on this computer or on a disk that all workers share.

    Parameters
    ----------
    folder : Path
        It is created if it does not exist.
    """

    folder: Path

    @property
    def shown(self) -> str:
        """The folder as it was given."""
        return str(self.folder)

    def check(self, names: Iterable[str] = ()) -> None:
        """As :meth:`Destination.check`."""
        check_output_folder(self.folder, names)
        check_output_folder(self.folder / CASES)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold :data:`LOCK_NAME`, which the system frees when the process ends, however it ends.

        What killed processes have left is removed before and after. Where the file system knows no locks, a warning is
        logged.
        """
        lock = self._acquired()
        try:
            self._clean()
            try:
                yield
            finally:
                with suppress(OutputError):  # of what went wrong, the first is told
                    self._clean()
        finally:
            if lock is not None:
                lock.release()

    def _clean(self) -> None:
        with self._told(self.folder):
            _remove_leftovers(self.folder)
            for left in list(self.folder.glob(f"{CASES}/*/{TEMPORARY_PREFIX}*")):
                _remove_leftovers(left.parent)
                with suppress(OSError):  # it is not empty
                    left.parent.rmdir()

    def _acquired(self) -> Any:  # noqa: ANN401 # locket has no types
        try:
            import locket
        except ImportError as error:
            raise InputError(f"a batch needs the package locket, which comes with distributed: {INSTALL}") from error
        with self._told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = locket.lock_file(str(self.folder.resolve() / LOCK_NAME), timeout=0)
            try:
                lock.acquire()
            except locket.LockError as error:
                raise OutputError(
                    f"another batch is writing to {self.folder}; wait for its end, or name another folder"
                ) from error
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                logger.warning("%s is on a disk without locks: start no second batch into it", self.folder)
                return None
        return lock

    @contextmanager
    def case_folder(self, name: str) -> Iterator[Path]:
        """The case's own folder, without what a killed writer has left; an empty one is removed afterwards."""
        folder = self.folder / CASES / checked_name(name)
        with self._told(folder):
            folder.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(folder)
        try:
            yield folder
        finally:
            with suppress(OSError):  # it is not empty
                folder.rmdir()

    def read(self, relative: str) -> bytes:
        """As :meth:`Destination.read`."""
        try:
            return self._path(relative).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise FileNotFoundError(relative) from error
        except OSError as error:
            raise OutputError(f"{self.folder / relative} {READING}: {error.strerror or error}") from error

    def size(self, relative: str) -> int | None:
        """As :meth:`Destination.size`."""
        try:
            path = self._path(relative)
            return path.stat().st_size if path.is_file() else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise OutputError(f"{self.folder / relative} {READING}: {error.strerror or error}") from error

    def publish(self, files: Mapping[str, FileWriter], obsolete: Iterable[str] = ()) -> None:
        """As :meth:`Destination.publish`."""
        with self._told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_together(self.folder, files, obsolete=obsolete)

    def _path(self, relative: str) -> Path:
        return self.folder.joinpath(*checked_path(relative))

    @staticmethod
    @contextmanager
    def _told(folder: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"cannot write results to {folder}: {reason_in_words(error, folder)}") from error


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary folders that a killed process has left."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
