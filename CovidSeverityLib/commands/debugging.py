"""The option that every command has."""

from __future__ import annotations

import argparse


def add_debug(parser: argparse.ArgumentParser, default: object) -> None:
    """Add ``--debug``; a sub-command's default (argparse.SUPPRESS) must not overwrite what was said before it."""
    parser.add_argument("--debug", action="store_true", default=default, help="show the traceback of an error")
