"""A real Orthanc with its DICOMweb plugin, on a free port of this machine, for the tests that need a PACS."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
"""As Debian's orthanc-dicomweb has it."""

STARTS_WITHIN_S = 30.0
"""It takes a tenth of a second."""


class Orthanc(NamedTuple):
    """A running Orthanc: the address of its DICOMweb service, and the only user that it knows."""

    url: str
    user: str
    password: str


def missing_orthanc() -> str:
    """What this machine lacks; empty if Orthanc can be started."""
    if shutil.which("Orthanc") is None:
        return "Orthanc is not installed (Debian: orthanc)"
    return "" if PLUGIN.exists() else "Orthanc's DICOMweb plugin is not installed (Debian: orthanc-dicomweb)"


def start(folder: Path, user: str, password: str) -> tuple[Orthanc, subprocess.Popen]:
    """Start Orthanc with everything that it writes in ``folder``; it is ready when this returns."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {user: password},
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/dicom-web"
    try:
        _wait_for(url, process, folder / "orthanc.log")
    except BaseException:
        stop(process)
        raise
    return Orthanc(url, user, password), process


def stop(process: subprocess.Popen) -> None:
    """End Orthanc; an orderly end would take a second, and nobody needs its files."""
    process.kill()
    process.wait()


def _wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    opener = build_opener(ProxyHandler({}))  # that of urlopen keeps the proxies of its first use, in whatever test
    while True:
        try:
            opener.open(f"{url}/studies", timeout=5)
        except HTTPError as error:
            if error.code == 401:  # it is there, and asks who we are
                return
            raise
        except URLError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"Orthanc did not start ({error}):\n{log.read_text()}") from None
            time.sleep(0.02)
