"""Which classifiers can be chosen in Slicer."""

from __future__ import annotations

NO_CLASSIFIER = "none"
"""The command line's name for leaving the diagnosis out."""


def installedClassifiers() -> tuple[str, ...]:
    """Names of the models that are installed for this user, damaged ones too.

    None while the packages are missing that tell where models are kept (they come with the first analysis).
    """
    try:
        import platformdirs  # noqa: F401 (the store asks it for its folder)
    except ModuleNotFoundError:
        return ()
    from CovidSeverityLib.classification.store.installed import installed_models

    sound, damaged = installed_models()
    return tuple(sorted([*sound, *damaged], key=str.lower))
