from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from CovidSeverityLib.reporting.output_folder import check_output_folder, write_together


@dataclass(frozen=True)
class LocalDestination:
    folder: Path
    is_remote = False

    @property
    def name(self):
        return str(self.folder)

    @contextmanager
    def case_folder(self, name):
        p = self.folder / name
        p.mkdir(parents=True, exist_ok=True)
        yield p

    def read(self, rel):
        return (self.folder / rel).read_bytes()

    def size(self, rel):
        try:
            return (self.folder / rel).stat().st_size
        except FileNotFoundError:
            return None

    def publish(self, files):
        write_together(self.folder, files)

    @contextmanager
    def lock(self):
        import locket

        with locket.lock_file(str(self.folder / ".lock"), timeout=0):
            yield

    def check(self):
        check_output_folder(self.folder)


Destination = LocalDestination


def destination_for(text):
    return LocalDestination(Path(text))
