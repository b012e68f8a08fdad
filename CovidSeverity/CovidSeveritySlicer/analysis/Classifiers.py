"""Which classifiers can be chosen in Slicer."""

from __future__ import annotations

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
