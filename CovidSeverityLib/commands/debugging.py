"""The option that every command has."""

from __future__ import annotations

import argparse


def add_debug(parser: argparse.ArgumentParser, default: object) -> None:
    """Add ``--debug``; the default of a command (argparse.SUPPRESS) does not overwrite an option given before it."""
    parser.add_argument("--debug", action="store_true", default=default, help="show the traceback of an error")
