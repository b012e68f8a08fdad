"""Set the address of the repository, which ``CovidSeverity.json`` and ``CMakeLists.txt`` have to spell out.

Run from the root of the repository, before the first release or when the repository moves::

    python docs/set_address.py https://github.com/NAME/SlicerCovidSeverity

The Extensions Index reads the addresses of the pictures as plain text, so that CMake cannot put them together. Its name
for a repository begins with "Slicer".
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENTRY, BUILD = ROOT / "CovidSeverity.json", ROOT / "CMakeLists.txt"

UNSET_HOST = "example.org"
"""Of an address that is still to be set: nobody can own it (RFC 2606)."""

ADDRESS = re.compile(r"https://(?P<host>[\w.-]+)/(?:[\w.-]+/)*Slicer\w+")


def address() -> str:
    """The address, from the entry of the extension in the index: its one place."""
    return json.loads(ENTRY.read_bytes())["scm_url"].removesuffix(".git")


def with_address(text: str, old: str, new: str) -> str:
    """``text`` with another address of the repository, and of the files in it."""
    return re.sub(rf"{re.escape(old)}(?=[/\".])", new, text)


def set_address(new: str) -> None:
    """Write another address into both files."""
    old = address()
    for path in (ENTRY, BUILD):
        path.write_bytes(with_address(path.read_text(encoding="utf-8"), old, new).encode())


def main(arguments: list[str]) -> int:
    """Check the address, then set it."""
    if len(arguments) != 1 or not ADDRESS.fullmatch(arguments[0]):
        print(
            f"got {' '.join(arguments) or 'no address'}; needed is one like https://github.com/NAME/SlicerCovidSeverity"
        )
        return 2
    set_address(arguments[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
