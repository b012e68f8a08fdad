"""A child process that analyses one path after another: what crashes it, or hangs, takes no test with it."""

from __future__ import annotations

import contextlib
import io
import json
import sys


def main() -> None:
    """Read a path and an output folder a line; write the exit status and standard error as JSON."""
    from CovidSeverityLib.__main__ import main as program

    answers = sys.stdout
    for line in sys.stdin:
        source, folder = json.loads(line)
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = program(["analyze", source, "-o", folder, "--quiet"])
            except SystemExit as left:
                status = left.code
        answers.write(json.dumps([status, err.getvalue()]) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
