"""The table of ``covid-severity models list``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from CovidSeverityLib.classification.store.catalogue import CLASSIFIER, ModelEntry
from CovidSeverityLib.classification.store.download import kept_bytes
from CovidSeverityLib.classification.store.folder import consent_sentence
from CovidSeverityLib.classification.store.installed import installed_models

if TYPE_CHECKING:
    from rich.console import Console

UNKNOWN = "not known"

INSTALLED, DAMAGED, TO_DOWNLOAD, FROM_FILE = "installed", "damaged", "to download", "from a file"

ASKS = "after consent"
"""What the table says instead of from a file, if the authors have a public folder."""

WIDE_COLUMNS = 200
"""Width of the table without a terminal: for a file or a pipe no line is wrapped."""


@dataclass(frozen=True)
class ModelRow:
    """A model, whether it is installed, and how to get it.

    Parameters
    ----------
    name : str
        Name of the model.
    status : str
        One of installed, damaged, to download and from a file.
    entry : ModelEntry or None
        None if the installed model is damaged.
    path : Path or None
        Path of the installed file of weights.
    problem : str or None
        What is wrong with a damaged model, in words.
    kept_bytes : int
        Bytes of an interrupted download.
    """

    name: str
    status: str
    entry: ModelEntry | None = None
    path: Path | None = None
    problem: str | None = None
    kept_bytes: int = 0

    @property
    def consent(self) -> str | None:
        """What a user agrees to before the file can be fetched; None if nobody has to be asked."""
        entry = self.entry
        return None if entry is None or entry.folder is None or entry.downloadable else consent_sentence(entry)

    def as_dict(self) -> dict[str, Any]:
        """Values for JSON, including those of the entry."""
        return {
            "name": self.name,
            "status": self.status,
            "path": None if self.path is None else str(self.path),
            "problem": self.problem,
            **({} if self.entry is None else {**self.entry.as_dict(), "consent": self.consent}),
        }


def model_rows(known: Sequence[ModelEntry]) -> list[ModelRow]:
    """The installed models by name, then the other models of ``known`` in their order."""
    sound, damaged = installed_models()
    rows = [ModelRow(name, INSTALLED, model.entry, model.path) for name, model in sound.items()]
    rows += [ModelRow(name, DAMAGED, problem=problem) for name, problem in damaged.items()]
    there = {row.name.lower() for row in rows}
    for entry in known:
        if entry.name.lower() not in there:
            status = TO_DOWNLOAD if entry.downloadable else FROM_FILE
            kept = kept_bytes(entry) if entry.downloadable else 0
            rows.append(ModelRow(entry.name, status, entry, kept_bytes=kept))
    return rows


def write_table(rows: Sequence[ModelRow], folder: Path, stream: TextIO) -> None:
    """Write the table, and below it what the user can do for each status."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    free = not stream.isatty() and "COLUMNS" not in os.environ
    console = Console(file=stream, width=WIDE_COLUMNS if free else None, highlight=False, markup=False, emoji=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Model", overflow="fold", no_wrap=False)
    for title in ("Status", "For", "Network", "Licence"):
        table.add_column(title, overflow="fold")
    table.add_column("Size", justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, _cells(row)))
    console.print(table)
    _write_help(rows, folder, console)


def _cells(row: ModelRow) -> tuple[str, ...]:
    from rich.filesize import decimal

    if row.entry is None:
        return row.name, row.status, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN
    network, size = row.entry.network, row.entry.size_bytes
    kept = f" ({100 * row.kept_bytes // size} % are here)" if row.kept_bytes and size else ""
    return (
        row.name,
        (ASKS if row.status == FROM_FILE and row.consent else row.status) + kept,
        "diagnosis" if row.entry.purpose == CLASSIFIER else row.entry.purpose,
        row.entry.title if network is None else f"{network.backbone}, {network.size_px} px",
        row.entry.licence or UNKNOWN,
        UNKNOWN if size is None else decimal(size),
    )


def _write_help(rows: Sequence[ModelRow], folder: Path, console: Console) -> None:
    lines = []
    if any(row.status == TO_DOWNLOAD for row in rows):
        lines.append(f"{TO_DOWNLOAD}: covid-severity models download NAME")
    if any(row.status == FROM_FILE and row.consent for row in rows):
        lines.append(f"{ASKS}: covid-severity models download NAME, from a folder of the authors; asks you first")
        lines.append("  (licence and checksum are not known)")
    if any(row.status == FROM_FILE and not row.consent for row in rows):
        lines.append(f"{FROM_FILE}: covid-severity models add FILE --as NAME")
        lines.append("  (licence, address or checksum is not known, so nothing is downloaded)")
    lines += [f"{DAMAGED}: {row.problem}" for row in rows if row.problem]
    lines += _sources(rows)
    lines.append(f"Folder: {folder}")
    console.print()
    for line in lines:
        console.print(line, soft_wrap=True)


def _sources(rows: Sequence[ModelRow]) -> list[str]:
    """The sources of models that the user has to download; each source once."""
    names: dict[str, list[str]] = {}
    for row in rows:
        if row.status == FROM_FILE and row.entry is not None and row.entry.source:
            names.setdefault(row.entry.source, []).append(row.name)
    return [line for source, of in names.items() for line in (f"Source of {', '.join(of)}:", f"  {source}")]
