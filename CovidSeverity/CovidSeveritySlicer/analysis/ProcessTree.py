"""A child process and its descendants. Slicer's Python is a launcher; its own child does the work."""

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
"""On Linux, when memory runs out, the child is killed before Slicer, unless Slicer uses half of all memory more."""


class ProcessTree:
    """A process in its own process group (POSIX) or without a console window (Windows), with an empty standard input.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    environment : Mapping or None
        Environment variables of the child. None: those of this process.
    folder : Path or None
        Working folder of the child. None: the current folder.

    Raises
    ------
    OSError
        The program is missing or cannot be executed.
    ValueError
        An argument or a variable is not allowed, for example because of a null character.
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
        with contextlib.suppress(OSError):  # not Linux, or a container forbids it
            Path(f"/proc/{self._process.pid}/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")

    @property
    def processId(self) -> int:
        """ID of the first process; on POSIX also of its group."""
        return self._process.pid

    @property
    def exitCode(self) -> int | None:
        """Exit code of the first process, negative for a signal; None while it runs. Its descendants may outlive it."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask all processes to end. On Windows, where that needs a window, kill them."""
        if ON_WINDOWS:
            self.kill()
        else:
            self._signalGroup(signal.SIGTERM)

    def kill(self) -> None:
        """Kill all processes. It is no error if they have ended already."""
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
