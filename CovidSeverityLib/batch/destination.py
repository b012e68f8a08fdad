"""Where the results of a batch go: a folder on this computer, or an address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from CovidSeverityLib.reporting.output_folder import FileWriter

from .addresses import is_address
from .local_destination import LocalDestination
from .remote_destination import RemoteDestination


class Destination(Protocol):
    """Where the results of a batch go. It can be sent to other processes."""

    @property
    def shown(self) -> str:
        """Its place for messages, without credentials."""
        ...

    def check(self, names: Iterable[str] = ()) -> None:
        """Check before any analysis that results can be written; ``names`` are those of files beside the cases.

        Raises
        ------
        OutputError
            If nothing can be written, with the reason.
        """
        ...

    def lock(self) -> AbstractContextManager[None]:
        """Keep other batches out until the end of the ``with`` block.

        Raises
        ------
        OutputError
            If another batch is writing there.
        """
        ...

    def case_folder(self, name: str) -> AbstractContextManager[Path]:
        """A local folder to write the case ``name`` into, with ``case.json`` last.

        Raises
        ------
        OutputError
            If it cannot be made, or its files cannot be sent.
        """
        ...

    def read(self, relative: str) -> bytes:
        """The content of a file of the results.

        Raises
        ------
        FileNotFoundError
            If it is not there.
        OutputError
            If it cannot be read.
        """
        ...

    def size(self, relative: str) -> int | None:
        """The size of a file of the results in bytes; None if there is no such file."""
        ...

    def publish(self, files: Mapping[str, FileWriter], obsolete: Iterable[str] = ()) -> None:
        """Write the files beside the cases together, and remove those that an earlier run wrote in vain.

        Raises
        ------
        OutputError
            If a file cannot be written.
        """
        ...


def destination_of(out: str) -> Destination:
    """The destination at a path or an fsspec address.

    Examples
    --------
    >>> destination_of("results").shown, destination_of("sftp://jane:secret@host/results").shown
    ('results', 'sftp://host/results')
    """
    return RemoteDestination(out) if is_address(out) else LocalDestination(Path(out))
