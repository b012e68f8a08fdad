"""Which classifiers can be chosen in Slicer, and what each of them needs."""

from __future__ import annotations

from importlib.util import find_spec

from slicer.i18n import tr as _

from .Models import missingModels
from .Readiness import Readiness, missingSentence

NO_CLASSIFIER = "none"
"""The command line's name for no classifier."""


def installedClassifiers() -> tuple[str, ...]:
    """Names of the models that are installed for this user, also of damaged ones.

    Empty until the package that locates the model folder is installed, which happens before the first analysis.
    """
    try:
        import platformdirs  # noqa: F401 (the store asks it for its folder)
    except ModuleNotFoundError:
        return ()
    from CovidSeverityLib.classification.store.installed import installed_classifiers

    return installed_classifiers()


def offeredClassifiers() -> tuple[str, ...]:
    """Names of the classifiers that are not installed and can be downloaded."""
    from CovidSeverityLib.classification.store.catalogue import CLASSIFIER, known_models

    names = [entry.name for entry in known_models() if entry.purpose == CLASSIFIER]
    return tuple(offer.name for offer in missingModels(names))


def classifierReadiness(classifier: str) -> Readiness:
    """What ``classifier`` needs that is not there.

    Parameters
    ----------
    classifier : str
        "" for the installed model, "none", the name of a model, or a file of weights.
    """
    if classifier == NO_CLASSIFIER:
        return Readiness()
    if not classifier and not installedClassifiers():
        return Readiness(_("No model is installed, so there is no diagnosis. Choose a model to get it."))
    models = missingModels((classifier,))
    packages = {"classifier": _("TensorFlow (a Python package of about 2 GB)")}
    modules = {"classifier": "tensorflow"}
    if any(model.fromFolder for model in models):
        packages["download"], modules["download"] = _("gdown (a small Python package)"), "gdown"
    extras = tuple(extra for extra, module in modules.items() if find_spec(module) is None)
    if not extras and not models:
        return Readiness()
    return Readiness(missingSentence(tuple(packages[extra] for extra in extras), models), extras, models)
