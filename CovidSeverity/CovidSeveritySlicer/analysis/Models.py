"""Models of the library: which are installed, and which can be got. Nothing is loaded or fetched."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from .Readiness import ModelOffer

if TYPE_CHECKING:
    from CovidSeverityLib.classification.store.catalogue import ModelEntry


def missingModels(names: Sequence[str]) -> tuple[ModelOffer, ...]:
    """Those of the models that are not installed and that the library's command can download, in their order.

    Parameters
    ----------
    names : sequence of str
        Names of models. What the library does not know is left out.
    """
    from CovidSeverityLib.classification.store.catalogue import known_models

    known = {entry.name: entry for entry in known_models()}
    entries = [known[name] for name in names if name in known and not _installed(name)]
    return tuple(_offer(entry) for entry in entries if entry.downloadable or entry.folder is not None)


def _offer(entry: ModelEntry) -> ModelOffer:
    if entry.downloadable:
        return ModelOffer(entry.name, entry.size_bytes, entry.licence, entry.url or "")
    from CovidSeverityLib.classification.store.folder import consent_sentence

    return ModelOffer(entry.name, entry.size_bytes, entry.licence, entry.folder or "", consent_sentence(entry), True)


def _installed(name: str) -> bool:
    """Whether a model is installed. Without the package that locates the models' folder, none is."""
    if find_spec("platformdirs") is None:
        return False
    from CovidSeverityLib.classification.store.installed import taken_name

    return taken_name(name) is not None
