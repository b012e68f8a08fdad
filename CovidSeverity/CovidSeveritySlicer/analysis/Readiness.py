"""Whether a choice in the panel can be used now, and what has to be got first."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _


@dataclass(frozen=True)
class ModelOffer:
    """A model that the library's command downloads when it is asked to.

    Parameters
    ----------
    name : str
        Its name there.
    sizeBytes : int or None
        Size of its file. None: not known.
    licence : str or None
        Its licence. None: none is stated.
    source : str
        Address or sentence.
    conditions : str
        What a user has to agree to besides. Empty: nothing.
    fromFolder : bool
        Whether the file has to be chosen in a folder of its authors.
    """

    name: str
    sizeBytes: int | None
    licence: str | None
    source: str
    conditions: str = ""
    fromFolder: bool = False

    @property
    def sizeText(self) -> str:
        """Its size for the user."""
        return _("size not known") if self.sizeBytes is None else f"{self.sizeBytes / 1e6:.0f} MB"

    @property
    def licenceText(self) -> str:
        """Its licence for the user."""
        return self.licence or _("no licence is stated")


@dataclass(frozen=True)
class Readiness:
    """What a choice needs.

    Parameters
    ----------
    sentence : str
        What the choice does, or what is missing. Empty: nothing to say.
    extras : tuple of str
        Keywords of :func:`~.Install.ensurePackages` for its missing packages.
    models : tuple of ModelOffer
        Models that are missing.
    extension : str
        Extension of Slicer that is missing.
    """

    sentence: str = ""
    extras: tuple[str, ...] = ()
    models: tuple[ModelOffer, ...] = ()
    extension: str = ""

    @property
    def ready(self) -> bool:
        """Whether nothing is missing."""
        return not (self.extras or self.models or self.extension)


def missingSentence(packages: tuple[str, ...], models: tuple[ModelOffer, ...]) -> str:
    """What is missing, in a sentence.

    Parameters
    ----------
    packages : tuple of str
        Python packages, in words.
    models : tuple of ModelOffer
        Models that are missing.
    """
    files = [f"{model.name} ({model.sizeText}, {model.licenceText})" for model in models]
    weights = [_("the weights {names}").format(names=", ".join(files))] if files else []
    return _("Missing: {things}.").format(things=_(" and ").join([*packages, *weights]))
