"""The cases of an evaluation: images, and the masks and table rows that belong to them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from CovidSeverityLib.errors import InputError

from .case_names import NameMatches, match_names

LISTED_NAMES = 5
"""A message lists so many names, then the number of further ones."""


@dataclass(frozen=True)
class Case:
    """One CT with its masks. ``image`` is a file, a DICOM folder or a .zip; a missing mask is None."""

    name: str
    image: Path
    mask: Path | None = None
    lungs: Path | None = None


@dataclass(frozen=True)
class Failure:
    """A case that cannot be evaluated, and the reason, in one sentence."""

    case: str
    reason: str


def pair_with(
    images: Mapping[str, Path], others: Mapping[str, Path], what: str
) -> tuple[Mapping[str, Path], tuple[Failure, ...]]:
    """Match masks to images by their names.

    Parameters
    ----------
    images : mapping of str to Path
        Result of :func:`~CovidSeverityLib.io.image_search.find_images`.
    others : mapping of str to Path
        Masks, result of :func:`~CovidSeverityLib.io.image_search.find_masks`. If one of the two folders is inside the
        other, its files do not count as the other kind.
    what : str
        Kind of the others ("mask", "lung mask"), for messages.

    Returns
    -------
    (mapping of str to Path, tuple of Failure)
        Pairs Path of the other by the name of the image, in the order of ``images``. A single image and a single other
        are a pair, whatever their names are. Otherwise they have the same name, possibly without words that data sets
        add (:mod:`.case_names`). failures Every image without a partner, or with several possible partners.

    Raises
    ------
    InputError
        If images and others are the same files.
    """
    images, others = _apart(images, others, what)
    if len(images) == len(others) == 1:
        return MappingProxyType(dict(zip(images, others.values(), strict=True))), ()
    matches = match_names(images, others)
    pairs = {name: others[matches.pairs[name]] for name in images if name in matches.pairs}
    missing = f"no {what} is there for it; a {what} has the name of its image, words such as mask or seg apart"
    failures = tuple(_failure(name, matches, what, missing) for name in images if name not in pairs)
    return MappingProxyType(pairs), failures


def cases_named(
    images: Mapping[str, Path], names: Iterable[str]
) -> tuple[tuple[Case, ...], tuple[Failure, ...], tuple[str, ...]]:
    """Find the images of the cases in a table.

    Parameters
    ----------
    images : mapping of str to Path
        Result of :func:`~CovidSeverityLib.io.image_search.find_images`.
    names : iterable of str
        Names of the cases in a table, also file names with their ending, or paths.

    Returns
    -------
    (tuple of Case, tuple of Failure, tuple of str)
        Cases Cases in the order of ``names``, with the names in the table. failures Names without an image, or with
        several possible images. unnamed Images that are not in the table.
    """
    names = tuple(dict.fromkeys(names))
    matches = match_names(names, images)
    cases = tuple(Case(name, images[matches.pairs[name]]) for name in names if name in matches.pairs)
    missing = "no image has this name"
    failures = tuple(_failure(name, matches, "image", missing) for name in names if name not in matches.pairs)
    used = {*matches.pairs.values(), *(name for found in matches.unclear.values() for name in found)}
    return cases, failures, tuple(name for name in images if name not in used)


def _failure(name: str, matches: NameMatches, what: str, missing: str) -> Failure:
    found = matches.unclear.get(name, ())
    if not found:
        return Failure(name, missing)
    first, *others = found
    if others:
        return Failure(name, f"more than one {what} may belong to it: {_listing(found)}; one is needed")
    rivals = [other for other, unclear in matches.unclear.items() if first in unclear and other != name]
    return Failure(name, f"the {what} {first} may belong to {_listing(rivals)} as well; one for each is needed")


def _listing(names: Sequence[str]) -> str:
    more = len(names) - LISTED_NAMES
    return ", ".join(names[:LISTED_NAMES]) + (f" and {more} more" if more > 0 else "")


def _apart(
    images: Mapping[str, Path], others: Mapping[str, Path], what: str
) -> tuple[Mapping[str, Path], Mapping[str, Path]]:
    """Both mappings; the files of the smaller one are removed from the larger one."""
    left, right = ({os.path.realpath(path) for path in paths.values()} for paths in (images, others))
    if left.isdisjoint(right):
        return images, others
    if left < right:
        return images, {name: path for name, path in others.items() if os.path.realpath(path) not in left}
    if right < left:
        return {name: path for name, path in images.items() if os.path.realpath(path) not in right}, others
    raise InputError(f"images and {what}s are the same files; a folder of images and one of {what}s are needed")
