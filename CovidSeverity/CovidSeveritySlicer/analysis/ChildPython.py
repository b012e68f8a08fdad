"""The library's command in a process of its own: interpreter, folder and environment variables."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path

import slicer
from slicer.i18n import tr as _

LIBRARY = "CovidSeverityLib"

KEPT_FROM_CHILD = ("PYTHONINSPECT", "PYTHONSAFEPATH", "PYTHONWARNINGS", "PYTHONSTARTUP", "PYTHONPROFILEIMPORTTIME")
"""Variables that a developer may have set for Slicer. The first turns every exit status of a child into 0, the second
hides the library, the third lets a warning end an analysis. The others add noise to the log."""


def pythonCommand() -> list[str]:
    """The program that runs Python as Slicer does; the current Python if there is no installed application.

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
    """The folder that holds the library: that of the installed module, or the repository.

    Raises
    ------
    FileNotFoundError
        The library is in neither of them.
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
    """The library's command, without arguments. It has to run in :func:`libraryRoot`.

    In that folder ``-m`` finds this library first. In another one it could find another copy on Slicer's path, which
    the launcher puts before ``PYTHONPATH``, or a file in the folder that Slicer was started in.
    """
    return [*pythonCommand(), "-m", LIBRARY]


def childEnvironment() -> dict[str, str]:
    """Slicer's environment variables, with those that the child needs in addition."""
    environment = {name: value for name, value in os.environ.items() if name not in KEPT_FROM_CHILD}
    programs = [*filter(None, [environment.get("PATH")]), sysconfig.get_path("scripts")]
    paths = [str(libraryRoot()), *filter(None, [environment.get("PYTHONPATH")])]
    return environment | {
        "PATH": os.pathsep.join(programs),  # programs of packages in Slicer's Python, such as TotalSegmentator
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUTF8": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",  # a crash leaves a trace in the log
        "MPLBACKEND": "Agg",  # another backend, such as that of a notebook kernel in Slicer, does not work in a child
    }
