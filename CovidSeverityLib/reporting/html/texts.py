"""The texts of the page in the reader's language: gettext, with English where there is no translation."""

from __future__ import annotations

import gettext
from pathlib import Path

from CovidSeverityLib.classification.description import CLASS_NAMES
from CovidSeverityLib.ctss import (
    CTSS_DEFINITION,
    CTSS_REFERENCE_DEFINITION,
    NOT_SCORED,
    SEVERITY_CUTOFFS,
    TSS_DEFINITION,
    severity_for,
)
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.reporting.report_parts import RESEARCH_USE
from CovidSeverityLib.types import DIAGNOSIS_NAMES, LOBE_NAMES, OPACITY_NAMES

DOMAIN, ENGLISH = "report", "en"
FOLDER = Path(__file__).parent / "locale"
"""``LANGUAGE/LC_MESSAGES/report.mo`` holds a translation; ``report.pot`` is what translators begin with."""

LIBRARY_TEXTS = (
    RESEARCH_USE,
    *LOBE_NAMES.values(),
    *OPACITY_NAMES.values(),
    *(word for _, word in SEVERITY_CUTOFFS),
    NOT_SCORED,
    severity_for(0).cutoffs,
    CTSS_DEFINITION,
    CTSS_REFERENCE_DEFINITION,
    TSS_DEFINITION,
    *CLASS_NAMES.values(),
    *DIAGNOSIS_NAMES.values(),
)
"""Texts of the library that the page shows. Its notes contain numbers and names and stay English."""


def check_language(language: str, folder: Path = FOLDER) -> None:
    """Refuse a language that a user asks for and that has no translation.

    Parameters
    ----------
    language : str
        Its code, as in ``"de"``, ``"pt_BR"`` or ``"en"``.
    folder : Path
        Of the translations.

    Raises
    ------
    InputError
        With the languages that there are.
    """
    if language.partition("_")[0] == ENGLISH or gettext.find(DOMAIN, folder, [language]) is not None:
        return
    known = sorted({ENGLISH, *(path.parts[-3] for path in folder.glob(f"*/LC_MESSAGES/{DOMAIN}.mo"))})
    raise InputError(f"the reports have no translation to {language!r}; there is: {', '.join(known)}")


def translations(language: str | None = None, folder: Path = FOLDER) -> gettext.NullTranslations:
    """The texts in a language.

    Parameters
    ----------
    language : str or None
        Its code, as in ``"de"`` or ``"pt_BR"``. None is English.
    folder : Path
        Of the translations.

    Returns
    -------
    gettext.NullTranslations
        English where a text, or the language, has no translation.
    """
    if language is None:
        return gettext.NullTranslations()
    return gettext.translation(DOMAIN, folder, [language], fallback=True)
