"""Libraries that only an evaluation needs."""

from __future__ import annotations

from importlib.util import find_spec

from CovidSeverityLib.errors import InputError

INSTALL = 'pip install "covid-severity[evaluate]"'


def require(*modules: str) -> None:
    """Check before the work that modules are installed.

    Raises
    ------
    InputError
        If one is missing; the message gives the command that installs it.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise InputError(
            f"this needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} missing: {INSTALL}"
        )
