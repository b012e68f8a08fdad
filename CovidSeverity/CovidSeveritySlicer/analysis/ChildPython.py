"""The library's command in a Python of its own: which interpreter, in which surroundings."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _

LIBRARY = "CovidSeverityLib"

KEPT_FROM_CHILD = ("PYTHONINSPECT", "PYTHONSAFEPATH", "PYTHONWARNINGS", "PYTHONSTARTUP", "PYTHONPROFILEIMPORTTIME")
"""Variables that a developer may have set for Slicer: the first turns every exit status of a child into 0, the second
hides the library, the third lets a warning end an analysis, the others put noise into the log."""


def pythonCommand() -> list[str]:
    """The program that runs Python as Slicer does; this Python where there is no installed application.

    Raises
    ------
    FileNotFoundError
        The application has no ``PythonSlicer``.
    """
    home = getattr(getattr(slicer, "app", None), "slicerHome", None)
    if not home:
        return [sys.executable]
    found = shutil.which("PythonSlicer") or shutil.which("PythonSlicer", path=str(Path(home) / "bin"))
    if not found:
        raise FileNotFoundError(_("PythonSlicer was found neither on the path nor in {folder}.").format(folder=home))
    return [found]


def libraryRoot() -> Path:
    """The folder that holds the library: beside the module where it is installed, the repository in its source.

    Raises
    ------
    FileNotFoundError
        The library is in neither.
    """
    module = Path(__file__).resolve().parents[2]
    for folder in (module, module.parent):
        if (folder / LIBRARY / "__main__.py").is_file():
            return folder
    raise FileNotFoundError(
        _("{library} is neither in {folder} nor beside it; install the extension again.").format(
            library=LIBRARY, folder=module
        )
    )


def libraryCommand() -> list[str]:
    """The library's command line, without its arguments; to be run in :func:`libraryRoot`.

    There ``-m`` finds this library before any other on Slicer's path, which the launcher puts before ``PYTHONPATH``,
    and no file of the folder that Slicer was started in.
    """
    return [*pythonCommand(), "-m", LIBRARY]


def childEnvironment() -> dict[str, str]:
    """Slicer's variables, which its launcher, certificates and proxies need, with what a child of it needs besides."""
    environment = {name: value for name, value in os.environ.items() if name not in KEPT_FROM_CHILD}
    paths = [str(libraryRoot()), *filter(None, [environment.get("PYTHONPATH")])]
    return environment | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUTF8": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",  # a crash leaves a trace in the log
        "MPLBACKEND": "Agg",  # another one, of a notebook kernel in Slicer for instance, does not work in a child
    }
