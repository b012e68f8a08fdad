"""A child process with everything that it starts: Slicer's Python is a launcher whose own child does the work."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ON_WINDOWS = sys.platform == "win32"

OOM_SCORE = "500"
"""Linux: when memory runs out, a child of this score goes before a Slicer that is larger by up to half of it."""


class ProcessTree:
    """Started with its own process group (POSIX), without a console window (Windows), and nothing to read.

    Parameters
    ----------
    command : program and arguments.
    environment : all variables of the child; None for those of this process.
    folder : where the child starts; None for the current folder.

    Raises
    ------
    OSError
        The program is missing or may not be run.
    ValueError
        An argument or a variable that no process can be given, such as one with a null character.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None, folder: Path | None) -> None:
        self._process = subprocess.Popen(
            list(command),
            bufsize=0,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=None if environment is None else dict(environment),
            **_platformOptions(),
        )
        self._killer: subprocess.Popen | None = None
        self.stdout = self._process.stdout
        self.stderr = self._process.stderr
        with contextlib.suppress(OSError):  # no Linux, or a container that forbids it
            Path(f"/proc/{self._process.pid}/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")

    @property
    def processId(self) -> int:
        """Of the first process; on POSIX also that of the group."""
        return self._process.pid

    @property
    def exitCode(self) -> int | None:
        """Of the first process, negative for a signal; None while it runs. The others may outlive it."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask all processes to end; on Windows, where programs without a window cannot be asked, end them."""
        if ON_WINDOWS:
            self.kill()
        else:
            self._signalGroup(signal.SIGTERM)

    def kill(self) -> None:
        """End all processes at once; those that are gone already are no error."""
        if not ON_WINDOWS:
            self._signalGroup(signal.SIGKILL)
        elif self.exitCode is None and self._killer is None:
            self._killer = subprocess.Popen(
                _taskkillCommand(self._process.pid),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                **_platformOptions(),
            )

    def _signalGroup(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS forbids where only zombies are left
            os.killpg(self._process.pid, number)


def _platformOptions() -> dict:
    if not ON_WINDOWS:
        return {"start_new_session": True}
    startup = subprocess.STARTUPINFO()
    startup.dwFlags |= subprocess.STARTF_USESHOWWINDOW
    startup.wShowWindow = subprocess.SW_HIDE
    return {"startupinfo": startup, "creationflags": subprocess.CREATE_NO_WINDOW}


def _taskkillCommand(processId: int) -> list[str]:
    system = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32"
    return [str(system / "taskkill.exe"), "/T", "/F", "/PID", str(processId)]
