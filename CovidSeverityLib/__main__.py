"""The command line: ``covid-severity`` and ``python -m CovidSeverityLib``."""

from __future__ import annotations

import argparse
import gc
import io
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any

from .commands.debugging import add_debug
from .errors import CovidSeverityError, InputError
from .version import __version__

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2

COMMANDS = {
    "analyze": "analyse a chest CT and write the results to a folder",
    "batch": "analyse many CTs, on the cores of this computer or on a cluster",
    "classify": "diagnose COVID-19, community-acquired pneumonia or normal",
    "compare": "show what changed between two CTs of one person",
    "corrected": "write the report of masks that a person corrected",
    "evaluate": "compare the results with radiologists' masks, scores or diagnoses",
    "models": "list, add, download and remove weights of classifiers",
    "phantom": "make a synthetic chest CT and its true masks",
    "train": "train a classifier on CTs with known diagnoses",
}
"""What each command does; its module in ``commands`` has its options."""

STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""What asks a program to stop: Ctrl-C, ``kill``, a terminal that closes, and Ctrl-Break on Windows."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0, 2 for bad input, 1 for anything else.

    Parameters
    ----------
    argv : sequence of str, optional
        None for those of the process, which is then expected to end: signals to stop stay handled.
    """
    _prepare_streams()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it reports its font cache on standard error
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reports processor and missing GPU there
    own_process = argv is None
    if own_process:  # modules stay until it ends: looking for garbage among them would take 0.3 s in all
        gc.disable()
    arguments = _parser().parse_args(argv)
    if own_process:
        gc.freeze()
        gc.enable()
    with _stoppable(put_back=not own_process):
        try:
            arguments.run(arguments)
            sys.stdout.flush()
        except (Exception, KeyboardInterrupt) as error:
            if arguments.debug:
                traceback.print_exc()
            return _explain(error)
        finally:
            if own_process:  # the end of the interpreter looks once more
                gc.freeze()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="covid-severity",
        description="Lungs, lobes, opacities and CT severity score from a chest CT. Research use only, not a medical "
        "device.",
        epilog="Exit status: 0 success, 2 bad input, 1 any other error. COMMAND --help explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"covid-severity {__version__}")
    add_debug(parser, default=False)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_CommandParser)
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text, module=name)
    return parser


class _CommandParser(argparse.ArgumentParser):
    """The parser of a command. Its module, and with it half the library, is loaded when the command is chosen."""

    def __init__(self, *, module: str = "", **options: Any) -> None:  # noqa: ANN401 (those of argparse)
        super().__init__(**options)
        self._module = module

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 (as argparse has it)
        """Add the options of the command, then parse."""
        if self._module:
            import_module(f".commands.{self._module}", __package__).add_options(self)
            add_debug(self, default=argparse.SUPPRESS)
            self._module = ""
        return super().parse_known_args(args, namespace)


def _prepare_streams() -> None:
    """Let no path or character end a run: there may be no streams at all, or ones that know no Unicode."""
    sys.stdout = sys.stdout or io.StringIO()
    sys.stderr = sys.stderr or io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _stoppable(put_back: bool) -> Iterator[None]:
    """Turn the first signal to stop into KeyboardInterrupt and ignore more of them, so that nothing stops the clean-up.

    Runners such as ``uv run`` pass on a Ctrl-C that the terminal has already sent to the whole group: there are two.
    A signal that was ignored from the start (``nohup``, a job in the background) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in STOP_SIGNALS if hasattr(signal, name)]
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) not in (signal.SIG_IGN, None)}

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items() if put_back else ():
            signal.signal(number, handler)


def _explain(error: BaseException) -> int:
    """Say in one sentence what went wrong; return the exit status."""
    if BrokenPipeError in (type(error), type(error.__cause__)):  # the reader of standard output has gone: tell nobody
        _drop_output()
        return EXIT_FAILED
    sys.stderr.write(f"covid-severity: {' '.join(_sentence(error).split())}\n")
    return EXIT_BAD_INPUT if isinstance(error, InputError) else EXIT_FAILED


def _sentence(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "stopped; no results were written"
    if isinstance(error, CovidSeverityError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory for this volume"
    return f"unexpected {type(error).__name__}: {error} (--debug shows where)"


def _drop_output() -> None:
    """Send what is still in the buffer of standard output nowhere, or the interpreter would complain at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):  # a stream without a file
        pass
    finally:
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
