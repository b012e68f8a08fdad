"""Matching of names of images, masks and table rows that mean the same case.

Names are compared in steps, from the strictest (equal) to the loosest (equal without words that data sets add). A pair
counts only if it is the only possible one in its step. Ambiguous names are reported and not guessed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from CovidSeverityLib.io.case_names import without_ending

ADDED_WORDS = frozenset(
    {
        *("mask", "masks", "msk", "seg", "segs", "segmentation", "segmentations", "label", "labels", "labelmap"),
        *("annotation", "annotations", "gt", "infection", "infections", "lesion", "lesions", "lung", "lungs", "lobe"),
        *("lobes", "ct", "cts", "image", "images", "img", "imgs", "im", "volume", "volumes", "vol", "scan", "scans"),
        *("org", "dcm"),
    }
)
"""Words that distinguish a mask from its image and do not belong to the case: MosMedData (``study_0255_mask``), MedSeg
(``tr_im``, ``tr_mask``, ``rp_lung_msk``), LiTS (``volume-3``, ``segmentation-3``) and Zenodo 3757476
(``coronacases_org_001``; ``-dcm`` in its copy on Kaggle)."""

ADDED_PHRASES = ("covid 19 pneumonia",)
"""The images of Zenodo 3757476 have it (``radiopaedia_org_covid-19-pneumonia-10_85902_0``), the masks do not. It is
only dropped as a whole, because 19 alone may be the number of a case."""

CHANNEL_WORD = "0000"
"""nnU-Net adds the number of the channel to the name of an image, but not to that of its mask."""

SEPARATORS = re.compile(r"[_\-. /]+")

Edges = Mapping[str, Sequence[str]]
"""The names that a name may be equal to."""


@dataclass(frozen=True)
class NameMatches:
    """``pairs``: from a wanted name to its partner. ``unclear``: wanted names with all their candidates.

    An unclear name with one candidate shares it with another wanted name.
    """

    pairs: Mapping[str, str]
    unclear: Mapping[str, tuple[str, ...]]


def match_names(wanted: Iterable[str], available: Iterable[str]) -> NameMatches:
    """Find the partner of every wanted name.

    Parameters
    ----------
    wanted, available : iterable of str
        Names of files (with or without an ending), or paths with ``/`` or a backslash.

    Returns
    -------
    NameMatches
        No available name is the partner of two names. A wanted name that is in neither mapping has no candidate.
    """
    left, right = tuple(dict.fromkeys(wanted)), tuple(dict.fromkeys(available))
    pairs: dict[str, str] = {}
    unclear: dict[str, tuple[str, ...]] = {}
    for edges_between in STEPS:
        edges = edges_between(left, right)
        claims = Counter(name for found in edges.values() for name in found)
        for name, found in edges.items():
            if len(found) == 1 and claims[found[0]] == 1:
                pairs[name] = found[0]
            else:
                unclear[name] = tuple(found)
        left = tuple(name for name in left if name not in edges)
        right = tuple(name for name in right if name not in claims)
    return NameMatches(MappingProxyType(pairs), MappingProxyType(unclear))


def find_name(name: str, listed: Iterable[str]) -> tuple[str, ...]:
    """The names in ``listed`` that mean the case ``name``: equal, or with an ending, in other case or with folders.

    Unlike in :func:`match_names`, words that data sets add are significant here.
    """
    listed = tuple(listed)
    if name in listed:
        return (name,)
    parts = _parts(name)
    equal = tuple(other for other in listed if _parts(other) == parts)
    return equal or tuple(other for other in listed if _parts(other)[-len(parts) :] == parts)


def _parts(name: str) -> tuple[str, ...]:
    """Folders and file of a name, in the form for comparison."""
    path = without_ending(name.strip()).casefold().replace("\\", "/")
    return tuple(part for part in path.split("/") if part not in ("", ".", "..")) or (path,)


def _words(name: str) -> tuple[str, ...] | None:
    """The words of ``name`` that may identify a case; None without such words."""
    words = tuple(w for w in SEPARATORS.split("/".join(_parts(name))) if w and w not in ADDED_WORDS)
    return words or None


def _words_without_phrases(name: str) -> tuple[str, ...] | None:
    text = f" {' '.join(w for w in SEPARATORS.split('/'.join(_parts(name))) if w)} "
    for phrase in ADDED_PHRASES:
        text = text.replace(f" {phrase} ", " ")
    words = tuple(w for w in text.split() if w not in ADDED_WORDS)
    return (words[:-1] if words and words[-1] == CHANNEL_WORD else words) or None


def _equal(key: Callable[[str], Hashable]) -> Callable[[Sequence[str], Sequence[str]], Edges]:
    """A step that pairs names with the same ``key``; names with the key None have no partner."""

    def edges(left: Sequence[str], right: Sequence[str]) -> Edges:
        by_key = defaultdict(list)
        for name in right:
            by_key[key(name)].append(name)
        by_key.pop(None, None)
        return {name: by_key[key(name)] for name in left if key(name) in by_key}

    return edges


def _folders_more(left: Sequence[str], right: Sequence[str]) -> Edges:
    """A step that joins names of which one is the other with folders before it."""
    by_file = defaultdict(list)
    for name in right:
        by_file[_parts(name)[-1]].append(name)
    edges = {}
    for name in left:
        parts = _parts(name)
        found = [other for other in by_file.get(parts[-1], ()) if _ends_alike(parts, _parts(other))]
        if found:
            edges[name] = found
    return edges


def _ends_alike(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    shared = min(len(a), len(b))
    return a[-shared:] == b[-shared:]


STEPS: tuple[Callable[[Sequence[str], Sequence[str]], Edges], ...] = (
    _equal(lambda name: name),
    _equal(_parts),
    _folders_more,
    _equal(_words),
    _equal(_words_without_phrases),
)
"""From the strictest to the loosest."""
