"""The command line: ``covid-severity`` and ``python -m CovidSeverityLib``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from CovidSeverityLib.commands import analyze, phantom
from CovidSeverityLib.errors import CovidSeverityError, InputError
from CovidSeverityLib.version import __version__

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0, 2 for bad input, 1 for anything else."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _stop)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        if arguments.debug:
            traceback.print_exc()
        return _explain(error)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="covid-severity",
        description="Lungs, lobes, infection and CT severity score from a chest CT. Research use, no medical device.",
    )
    parser.add_argument("--version", action="version", version=f"covid-severity {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    analyze.add_parser(commands)
    phantom.add_parser(commands)
    return parser


def _explain(error: BaseException) -> int:
    """Say in one sentence what went wrong; return the exit status."""
    if isinstance(error, BrokenPipeError):  # the reader of standard output has gone: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    if isinstance(error, KeyboardInterrupt):
        sentence = "stopped; no results were written"
    elif isinstance(error, CovidSeverityError):
        sentence = str(error)
    elif isinstance(error, MemoryError):
        sentence = "not enough memory for this volume"
    else:
        sentence = f"unexpected {type(error).__name__}: {error} (--debug before the command shows where)"
    sys.stderr.write(f"covid-severity: {' '.join(sentence.split())}\n")
    return EXIT_BAD_INPUT if isinstance(error, InputError) else EXIT_FAILED


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
