"""Lungs, lobes, infection, CT severity score and diagnosis from a chest CT, without Slicer.

>>> from CovidSeverityLib import analyze
>>> analyze("ct.nii.gz").ctss
10

Every public name is in :mod:`CovidSeverityLib.api`, which is loaded when the first one is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .api import *  # noqa: F403


def __getattr__(name: str) -> Any:  # noqa: ANN401 (any public name)
    """A public name, or the list of them (PEP 562)."""
    if not name.startswith("_") or name == "__all__":
        api = import_module(".api", __name__)
        if name == "__all__" or name in api.__all__:
            return getattr(api, name)
        if name in globals():  # a module that was loaded with the others
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *import_module(".api", __name__).__all__})
