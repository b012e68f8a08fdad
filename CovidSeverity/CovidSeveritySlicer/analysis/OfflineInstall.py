"""Commands that install packages on a computer without network, from a folder that was downloaded elsewhere."""

from __future__ import annotations

import platform
import sys
import sysconfig
from collections.abc import Sequence
from importlib import metadata

from slicer.i18n import tr as _

from .ChildPython import pythonCommand

WHEEL_FOLDER = "covid-severity-wheels"

MANYLINUX_MINORS = (17, 27, 28, 34)
"""Minor versions of glibc 2 that wheels for Linux are built for."""


def offlineAdvice(missing: Sequence[str]) -> str:
    """How to install packages on this computer if it has no network.

    Parameters
    ----------
    missing : sequence of str
        Requirements, such as ``"slicerio>=1.4"``.
    """
    return _(
        "Without access to the internet: on a computer that has it, best with the same operating system, run\n\n"
        "{download}\n\n"
        "copy the folder {folder} to this computer, and run in a terminal (a Command Prompt on Windows), from where "
        "that folder is,\n\n{install}"
    ).format(download=downloadCommand(missing), folder=WHEEL_FOLDER, install=wheelFolderCommand(missing))


def downloadCommand(missing: Sequence[str]) -> str:
    """Command for a computer with network. It downloads wheels for this Slicer's Python and this computer."""
    options = [f"--dest {WHEEL_FOLDER} --only-binary=:all: --implementation cp"]
    options.append(f"--python-version {sys.version_info.major}.{sys.version_info.minor}")
    options += [f"--platform {name}" for name in wheelPlatforms()]
    return f"python -m pip download {' '.join([*options, *_quoted(missing)])}"


def wheelFolderCommand(missing: Sequence[str]) -> str:
    """Command for this computer. It installs from the folder only, and never another NumPy."""
    options = f"--no-index --find-links {WHEEL_FOLDER}"
    return f'"{pythonCommand()[0]}" -m pip install {options} {" ".join(_quoted(missing))}'


def wheelPlatforms() -> tuple[str, ...]:
    """Platform tags of wheels that fit this computer."""
    if sys.platform == "darwin":
        return (f"macosx_{platform.mac_ver()[0].split('.')[0]}_0_{platform.machine()}",)
    if not sys.platform.startswith("linux"):
        return (sysconfig.get_platform().replace("-", "_").replace(".", "_"),)
    machine, library = platform.machine(), platform.libc_ver()[1].split(".")
    minor = int(library[1]) if len(library) > 1 else MANYLINUX_MINORS[0]
    fitting = [f"manylinux_2_{built}_{machine}" for built in MANYLINUX_MINORS if built <= minor]
    return (*reversed(fitting), f"manylinux2014_{machine}")


def _quoted(missing: Sequence[str]) -> list[str]:
    """Requirements in double quotes, which every shell knows, with the NumPy of this Slicer."""
    return [f'"{wanted}"' for wanted in (*missing, f"numpy=={metadata.version('numpy')}")]
