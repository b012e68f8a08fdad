"""Results at an address."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from CovidSeverityLib.errors import OutputError
from CovidSeverityLib.reporting.files import SEAL_NAME
from CovidSeverityLib.reporting.output_folder import FileWriter, write_together

from .addresses import protocol_of, shown_address
from .places import CASES, TRIAL_NAME, checked_name, checked_path
from .remote import remote, with_connection
from .remote_files import below, content_of, files_below, is_folder

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

WRITING, READING = "cannot be written to", "cannot be read"

OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "memory"})
"""Protocols without folders; asked for one, some make a bucket."""

ARCHIVES = frozenset({"zip", "tar", "libarchive"})


@dataclass(frozen=True, repr=False)
class RemoteDestination:
    """An fsspec address. It has no lock: nobody may start two batches into it at once.

    Results are written to a temporary local folder and sent when they are complete. Each file is sent whole, but
    not all at once: a case is whole where its :data:`SEAL_NAME` is, which is removed first and sent last.

    Parameters
    ----------
    address : str
        The folder; it is created if it does not exist, a bucket is not.
    """

    address: str

    def __repr__(self) -> str:
        return f"RemoteDestination({self.shown!r})"

    @property
    def shown(self) -> str:
        """The address without credentials."""
        return shown_address(self.address)

    def check(self, names: Iterable[str] = ()) -> None:
        """Write a file, look at its size and remove it."""
        if protocol_of(self.address) in ARCHIVES:
            raise OutputError(
                f"{self.shown} is in an archive, which cannot be written to bit by bit; name a folder, and pack it "
                "afterwards"
            )
        with _temporary_folder(self.shown) as temporary:
            trial = temporary / TRIAL_NAME
            trial.write_bytes(b"trial")
            with remote(self.address, WRITING, OutputError) as (system, root):
                folder = below(root, CASES)
                _send(system, temporary, folder, [TRIAL_NAME], self.shown)
                system.rm_file(below(folder, TRIAL_NAME))
                taken = [name for name in names if _is_folder_there(system, below(root, name))]
        if taken:
            raise OutputError(f"cannot write results to {self.shown}: a folder has the name of a result ({taken[0]})")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Do nothing: addresses have no locks that go with their process."""
        yield

    @contextmanager
    def case_folder(self, name: str) -> Iterator[Path]:
        """A temporary folder, whose files are sent at the end; after an error in the ``with`` block nothing is sent.

        Files of an earlier result that are not written again are removed.
        """
        with _temporary_folder(self.shown) as temporary:
            local = temporary / checked_name(name)
            local.mkdir()
            yield local
            names = sorted(path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file())
            if not names:
                return
            names.sort(key=lambda name: name == SEAL_NAME)
            with remote(self.address, WRITING, OutputError) as (system, root):
                folder = below(below(root, CASES), local.name)
                old = _names_there(system, folder)
                for stale in [name for name in old if name == SEAL_NAME] + sorted(old - {*names, SEAL_NAME}):
                    system.rm_file(below(folder, stale))
                _send(system, local, folder, names, self.shown)

    def read(self, relative: str) -> bytes:
        """As :meth:`Destination.read`."""
        inner = "/".join(checked_path(relative))
        try:
            return with_connection(
                self.address, READING, OutputError, lambda system, root: content_of(system, below(root, inner))
            )
        except FileNotFoundError as error:
            raise FileNotFoundError(relative) from error

    def size(self, relative: str) -> int | None:
        """As :meth:`Destination.size`."""
        inner = "/".join(checked_path(relative))
        try:
            info = with_connection(
                self.address, READING, OutputError, lambda system, root: system.info(below(root, inner))
            )
        except FileNotFoundError:
            return None
        return None if is_folder(info) else int(info["size"])

    def publish(self, files: Mapping[str, FileWriter], obsolete: Iterable[str] = ()) -> None:
        """Send the files one after the other; the last one is removed first, so that it means that all are there."""
        with _temporary_folder(self.shown) as temporary:
            write_together(temporary, files)
            names = list(files)
            with remote(self.address, WRITING, OutputError) as (system, root):
                old = _names_there(system, root, {*names[-1:], *obsolete})
                for name in sorted(old):
                    system.rm_file(below(root, name))
                _send(system, temporary, root, names, self.shown)


@contextmanager
def _temporary_folder(shown: str) -> Iterator[Path]:
    try:
        temporary = tempfile.TemporaryDirectory(prefix="covid-severity-")
    except OSError as error:
        reason = f"no temporary folder can be made ({error.strerror or type(error).__name__})"
        raise OutputError(f"cannot write results to {shown}: {reason}; TMPDIR names another place") from error
    with temporary as folder:
        yield Path(folder)


def _send(system: AbstractFileSystem, local: Path, folder: str, names: Iterable[str], shown: str) -> None:
    """Send files in their order; each must have its size there before the next one is sent."""
    made: set[str] = set()
    for name in names:
        target = below(folder, name)
        parent = target.rpartition("/")[0]
        if parent not in made and _protocol(system) not in OBJECT_STORES:
            system.makedirs(parent, exist_ok=True)
        made.add(parent)
        system.put_file(str(local / name), target)
        system.invalidate_cache()
        size, wanted = system.info(target)["size"], (local / name).stat().st_size
        if size != wanted:
            raise OutputError(f"cannot write results to {shown}: of {name}, {size:,} of {wanted:,} bytes have arrived")


def _protocol(system: AbstractFileSystem) -> str:
    return system.protocol if isinstance(system.protocol, str) else system.protocol[0]


def _names_there(system: AbstractFileSystem, folder: str, wanted: Iterable[str] | None = None) -> set[str]:
    """The paths of files below a folder; of those wanted, if any are named."""
    if wanted is not None:
        return {name for name in wanted if system.exists(below(folder, name))}
    try:
        return {name for name, _ in files_below(system, folder)}
    except FileNotFoundError:
        return set()


def _is_folder_there(system: AbstractFileSystem, path: str) -> bool:
    try:
        return is_folder(system.info(path))
    except FileNotFoundError:
        return False
