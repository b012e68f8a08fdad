"""Names of folders for cases: readable, valid on Linux, macOS and Windows, and never the same for two cases."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType

MOST_BYTES = 100
"""Longest name, bytes in UTF-8. File systems allow 255 bytes, Windows 260 characters for a whole path; the files in the
folder need up to 30."""

HASH_DIGITS = 12
"""Hexadecimal digits of a hash: 48 bits. Among a million ids that have the same safe form, two would share them with a
probability of 0.2 %."""

REPLACEMENT = "_"
REPLACED = frozenset('<>:"/\\|?*[]{}#%')
"""Characters that Windows forbids, and those with a meaning in addresses and in patterns of file names."""

REPLACED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
"""Unicode categories of characters that are not seen or not the same everywhere: control and format characters, halves
of surrogates, private and unassigned ones, separators. The common space stays."""

NOT_FIRST, NOT_LAST = " .-~", " ."
"""A leading dot hides a folder, a leading dash is an option, a tilde a home folder; Windows drops dots and spaces at
the end."""

DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in "0123456789\u00b9\u00b2\u00b3"}
)
"""Names that Windows keeps for devices, also with an ending."""


def folder_names(ids: Iterable[str]) -> Mapping[str, str]:
    """Find a folder name for every id.

    An id that is a safe name is its own folder name. Any other one gets its safe form, a dash and a hash of the id.
    The name depends on the id alone, so that a later run with more cases finds the folders of an earlier one. The
    exception are ids whose names would be the same where upper and lower case do not differ (``p1`` and ``P1``): each
    of them gets its hash. If such an id comes later, the case of the other one is done again under its new name.

    Parameters
    ----------
    ids : iterable of str
        Any texts; repeated ones count once.

    Returns
    -------
    mapping of str to str
        Name by id, in the order of ``ids``. Every name has at most :data:`MOST_BYTES` bytes, is in Unicode's form NFC,
        and differs from every other one also where case does not count.

    Examples
    --------
    >>> dict(folder_names(["P001", "COVID/P002", "p003", "P003"]))  # doctest: +NORMALIZE_WHITESPACE
    {'P001': 'P001', 'COVID/P002': 'COVID_P002-c5558f42d4e2',
     'p003': 'p003-770922753272', 'P003': 'P003-12061cdd9a5c'}
    """
    names = {name: name if safe_form(name) == name else _with_hash(name) for name in ids}
    while True:
        counts = Counter(map(folded, names.values()))
        shared = [name for name, folder in names.items() if folder == name and counts[folded(folder)] > 1]
        if not shared:
            return MappingProxyType(names)
        names.update((name, _with_hash(name)) for name in shared)


def safe_form(text: str) -> str:
    """``text`` as a valid name, which other texts may share; a valid name stays as it is.

    Examples
    --------
    >>> safe_form("a/b: c?"), safe_form("..."), safe_form("nul.txt")
    ('a_b_ c_', '_', '_nul.txt')
    """
    return _trimmed(_replaced(text), MOST_BYTES)


def folded(name: str) -> str:
    """A form of ``name`` that is equal for names that some file system takes for the same.

    Examples
    --------
    >>> folded("Stra\\u00dfe") == folded("STRASSE")
    True
    """
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).upper().casefold())


def _replaced(text: str) -> str:
    safe = "".join(REPLACEMENT if _is_replaced(character) else character for character in text)
    return unicodedata.normalize("NFC", safe)


def _is_replaced(character: str) -> bool:
    if character == " ":
        return False
    return character in REPLACED or unicodedata.category(character) in REPLACED_CATEGORIES


def _trimmed(text: str, most: int) -> str:
    """At most ``most`` bytes of ``text``, with a beginning and an end that are allowed."""
    text = text.lstrip(NOT_FIRST)
    if text.split(".")[0].rstrip().lower() in DEVICES:
        text = REPLACEMENT + text
    text = text.encode()[:most].decode(errors="ignore").rstrip(NOT_LAST)
    return text or REPLACEMENT


def _with_hash(name: str) -> str:
    digits = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:HASH_DIGITS]
    return f"{_trimmed(_replaced(name), MOST_BYTES - HASH_DIGITS - 1)}-{digits}"
