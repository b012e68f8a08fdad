"""Python packages that Slicer lacks. They are installed before their first use, if the user agrees."""

from __future__ import annotations

import importlib
import logging
import tempfile
from importlib import metadata
from pathlib import Path
from subprocess import CalledProcessError
from typing import TYPE_CHECKING

import slicer
import slicer.util
from slicer.i18n import tr as _

from .OfflineInstall import offlineAdvice

if TYPE_CHECKING:
    from packaging.requirements import Requirement

RESOURCES = Path(__file__).resolve().parents[2] / "Resources"

REQUIREMENTS = "requirements.txt"
EXTRAS = {
    "classifier": "requirements-classify.txt",
    "batch": "requirements-batch.txt",
    "lungmask": "requirements-lungmask.txt",
    "download": "requirements-download.txt",
}
"""Files with the packages that some choices need besides, by the keyword for them."""

SHIPPED = (
    *("numpy", "scipy", "SimpleITK", "vtk", "pydicom", "highdicom", "dicomweb-client", "pillow"),
    *("requests", "certifi", "charset-normalizer", "idna", "urllib3", "packaging", "pyparsing", "six", "retrying"),
    *("pip", "setuptools", "wheel", "cryptography", "cffi", "pycparser", "PyJWT", "PyNaCl", "PyGithub", "wrapt"),
    *("Deprecated", "chardet", "CouchDB", "GitPython", "gitdb", "smmap"),
)
"""Packages that come with some Slicer since 5.10: other versions of them break it, so they stay as they are."""

REQUESTER = "CovidSeverity"


class InstallDeclined(RuntimeError):  # noqa: N818 (an answer, no error)
    """The user declined the packages. The message names them."""


class InstallFailed(RuntimeError):  # noqa: N818 (its fellow)
    """The packages could not be installed. The message names them and says how to install them without network."""


def missingPackages(**extras: bool) -> tuple[str, ...]:
    """Requirements that are not met, such as ``"slicerio>=1.4"``.

    Parameters
    ----------
    **extras : bool
        Whether to include the packages of each of :data:`EXTRAS`; those that are left out are not included.
    """
    importlib.invalidate_caches()  # pip ran in another process: the folder may have changed without a new time stamp
    return tuple(str(wanted) for wanted in _requirements(**extras) if not _isMet(wanted))


def ensurePackages(**extras: bool) -> None:
    """Install missing packages if the user agrees. Return when nothing is missing.

    Parameters
    ----------
    **extras : bool
        Whether to include the packages of each of :data:`EXTRAS`; those that are left out are not included.

    Raises
    ------
    InstallDeclined
        The user declined.
    InstallFailed
        The installation failed, or Slicer is in its testing mode, in which nothing is installed.
    """
    missing = missingPackages(**extras)
    if not missing:
        return
    with tempfile.TemporaryDirectory(prefix="covid-severity-") as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("".join(f"{pin}\n" for pin in shippedPins()), encoding="utf-8")
        try:
            _install(list(missing), str(constraints))
        except InstallDeclined:
            raise
        except (CalledProcessError, RuntimeError, OSError) as error:
            logging.exception("pip could not install %s", ", ".join(missing))
            raise InstallFailed(_failure(missingPackages(**extras) or missing, error)) from error
    left = missingPackages(**extras)
    if left:
        raise InstallFailed(_failure(left, None))


def shippedPins() -> tuple[str, ...]:
    """Versions of the packages that Slicer ships, such as ``"numpy==2.4.6"``: lines of a constraints file for pip."""
    from packaging.version import InvalidVersion, Version

    pins = []
    for name in SHIPPED:
        try:
            pins.append(f"{name}=={Version(metadata.version(name))}")
        except (metadata.PackageNotFoundError, InvalidVersion, TypeError):  # the last: metadata without a version
            continue
    return tuple(pins)


def _requirements(**extras: bool) -> list[Requirement]:
    from packaging.requirements import Requirement

    files = (REQUIREMENTS, *(EXTRAS[name] for name, wanted in extras.items() if wanted))
    lines = [line.strip() for name in files for line in (RESOURCES / name).read_text(encoding="utf-8").splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def _isMet(wanted: Requirement) -> bool:
    if wanted.marker is not None and not wanted.marker.evaluate():
        return True
    try:
        version = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        return False
    return version is not None and wanted.specifier.contains(version, prereleases=True)


def _install(missing: list[str], constraints: str) -> None:
    try:
        from slicer.packaging import pip_ensure
    except ModuleNotFoundError:  # Slicer 5.10
        _installAfterAsking(missing, constraints)
        return
    try:
        pip_ensure(missing, constraints=constraints, requester=REQUESTER)
    except RuntimeError as error:
        if "declined" not in str(error):
            raise
        raise InstallDeclined(_declined(missing)) from error


def _installAfterAsking(missing: list[str], constraints: str) -> None:
    if slicer.app.testingEnabled():
        logging.info("Testing mode: %s are not installed", ", ".join(missing))
        return
    question = _(
        "CovidSeverity needs {count} Python packages that Slicer does not have: {packages}. They will be downloaded "
        "from the Python Package Index and installed in Slicer's Python. Continue?"
    ).format(count=len(missing), packages=", ".join(missing))
    if not slicer.util.confirmOkCancelDisplay(question, _("CovidSeverity - Install Python Packages")):
        raise InstallDeclined(_declined(missing))
    slicer.util.pip_install([*missing, "-c", constraints])


def _declined(missing: list[str]) -> str:
    return _("CovidSeverity cannot work without these Python packages, which were not installed: {packages}.").format(
        packages=", ".join(missing)
    )


def _failure(missing: tuple[str, ...], error: Exception | None) -> str:
    packages = ", ".join(missing)
    if error is not None:
        reason = _("These Python packages could not be installed: {packages} ({error}); the Python console tells more.")
        reason = reason.format(packages=packages, error=_short(error))
    elif slicer.app.testingEnabled():
        reason = _("These Python packages are missing, and Slicer installs none in its testing mode: {packages}.")
        reason = reason.format(packages=packages)
    else:
        reason = _("These Python packages are still missing after their installation: {packages}; restart Slicer.")
        reason = reason.format(packages=packages)
    return f"{reason}\n\n{offlineAdvice(missing)}"


def _short(error: Exception) -> str:
    if isinstance(error, CalledProcessError):
        return _("pip ended with exit status {code}").format(code=error.returncode)
    return str(error).rstrip(".")
