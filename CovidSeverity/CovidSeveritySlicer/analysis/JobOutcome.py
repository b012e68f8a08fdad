"""How a job ended, and the message for the user."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from slicer.i18n import tr as _

EXIT_REFUSED = 2
"""Exit status of the library's command for input that cannot be used."""

SENTENCE = re.compile(r"covid-severity(?: [a-z]+)*: (?:error: )?(?P<sentence>\S.*)")
"""The line in which the library's command, or its argument parser, gives the reason for its end."""

GIVE_FORCE, RESUME = "give --force", "--resume"
"""Advice of the library's command. The panel has a check box for it."""

LAUNCHER_CRASH = "exit abnormally - Report the problem"
"""Slicer's launcher prints this when a signal ended its child, and exits with status 1."""

INTERPRETER_CRASH = ("Fatal Python error", "Windows fatal exception")
"""Python's fault handler prints this after a crash, but not after SIGKILL."""

NO_MEMORY = ("not enough memory", "MemoryError", "std::bad_alloc", "Failed to allocate memory")
"""Messages of the library, Python, C++ and ITK when memory runs out."""

NO_MEMORY_CODES = (0xC0000017, 0xC000012D)
"""Windows: STATUS_NO_MEMORY and STATUS_COMMITMENT_LIMIT."""

SHELL_SIGNALS_FROM = 128
"""A shell script as launcher exits with this plus the number of the signal that ended its child."""


class JobStatus(Enum):
    """How a job ended."""

    SUCCEEDED = auto()
    CANCELLED = auto()
    REFUSED = auto()
    """The input cannot be used. The message says why."""
    CRASHED = auto()
    OUT_OF_MEMORY = auto()
    NOT_STARTED = auto()


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended.

    Parameters
    ----------
    status : JobStatus
        What happened.
    message : str
        One sentence for the user.
    log : str
        Output of the child without progress lines. The middle of a long log is left out.
    exitCode : int or None
        Exit code of the child, negative for a signal; None if there was no child.
    """

    status: JobStatus
    message: str
    log: str
    exitCode: int | None


def judge(exitCode: int, errors: Sequence[str], work: str) -> tuple[JobStatus, str]:
    """Status and message of a child that ended by itself.

    Parameters
    ----------
    exitCode : int
        Exit code of the child, negative for a signal.
    errors : sequence of str
        Last lines of its standard error.
    work : str
        What it did, at the beginning of a sentence.
    """
    if exitCode == 0:
        return JobStatus.SUCCEEDED, _("{work} is finished.").format(work=work)
    sentence = _lastSentence(errors)
    if exitCode == EXIT_REFUSED and sentence:
        sentence = sentence.replace(GIVE_FORCE, _("choose Analyze upside-down CTs under Advanced"))
        return JobStatus.REFUSED, sentence.replace(RESUME, _("a run with Go on with an earlier batch"))
    number = _signalNumber(exitCode)
    if exitCode in NO_MEMORY_CODES or any(words in line for line in errors for words in NO_MEMORY):
        return JobStatus.OUT_OF_MEMORY, _(
            "{work} ran out of memory; close other data and programs, or use a computer with more."
        ).format(work=work)
    if (number is not None and number == signal.SIGKILL) or _killedBehindLauncher(exitCode, errors):
        return JobStatus.OUT_OF_MEMORY, _(
            "{work} was ended by the system, most likely because memory ran out; close other data and programs, or use "
            "a computer with more memory."
        ).format(work=work)
    return JobStatus.CRASHED, sentence or _crashMessage(exitCode, number, work)


def _lastSentence(errors: Sequence[str]) -> str | None:
    found = (SENTENCE.fullmatch(line.strip()) for line in reversed(errors))
    return next((match["sentence"] for match in found if match), None)


def _signalNumber(exitCode: int) -> int | None:
    number = -exitCode if exitCode < 0 else exitCode - SHELL_SIGNALS_FROM
    return number if sys.platform != "win32" and number in {known.value for known in signal.Signals} else None


def _killedBehindLauncher(exitCode: int, errors: Sequence[str]) -> bool:
    """Whether the launcher reports a signal and the fault handler printed nothing, as after SIGKILL."""
    crashed = exitCode == 1 and any(LAUNCHER_CRASH in line for line in errors)
    reported = any(words in line for line in errors for words in INTERPRETER_CRASH)
    return sys.platform != "win32" and crashed and not reported


def _crashMessage(exitCode: int, number: int | None, work: str) -> str:
    if number is not None:
        name = signal.Signals(number).name
        return _("{work} crashed (signal {name}); the log tells more.").format(work=work, name=name)
    return _("{work} ended unexpectedly (exit status {code}); the log tells more.").format(work=work, code=exitCode)
