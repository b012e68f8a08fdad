"""Numbers after corrections by hand, and what a saved scene keeps of them."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from CovidSeverityLib.correction.masks import MaskDifference

DIFFERENCE_ATTRIBUTE = "CovidSeverity.Difference"
"""Of the segmentation: where its masks are not the automatic ones, so that a loaded scene knows what was edited."""

COMPRESSION_LEVEL = 1
"""zlib level: it is written anew at every edit."""

_DIFFERENCE_KINDS = {"steps": np.uint32, "parts": np.uint16, "automatic": np.uint8, "codes": np.uint8}
"""Arrays of a stored difference; steps lead from one voxel to the next."""


@dataclass(frozen=True, eq=False)
class Corrected:
    """What corrected masks amount to.

    Parameters
    ----------
    fields : of ``report.json``, those that corrections change (``CORRECTED_KEYS``). The score has no range;
        ``well_aerated_percent`` is None where the lungs were changed and the CT is not at hand.
    rows : by column of ``slices.csv``.
    opacityOutsideLungsMl : opacity that lies outside the lungs since the corrections: it is not counted.
    lungWithoutLobeMl : lung whose lobe was erased: it is in no lobe's score.
    lowAttenuation : what of the report's still holds; None where the lungs were changed.
    """

    fields: Mapping[str, Any]
    rows: tuple[Mapping[str, Any], ...]
    opacityOutsideLungsMl: float
    lungWithoutLobeMl: float
    lowAttenuation: Mapping[str, Any] | None = None

    @property
    def ctss(self) -> int | None:
        """CT severity score, 0-25; None where no lobe is known."""
        return self.fields["ctss"]["total"]

    @property
    def severity(self) -> str:
        """The word for the score."""
        return self.fields["severity"]["label"]

    def asJson(self) -> str:
        """The numbers of the whole CT, for an attribute of the scene."""
        told = {
            **self.fields,
            "low_attenuation": self.lowAttenuation,
            "opacity_outside_lungs_ml": self.opacityOutsideLungsMl,
            "lung_without_lobe_ml": self.lungWithoutLobeMl,
        }
        return json.dumps(told, ensure_ascii=False)


def differenceAsText(difference: MaskDifference) -> str:
    """A difference as an attribute of the scene: some kilobytes for a hundred thousand voxels."""
    arrays = {
        "steps": np.diff(difference.voxels, prepend=0),
        "parts": difference.parts,
        "automatic": difference.automatic,
        "codes": difference.codes,
    }
    content = b"".join(arrays[name].astype(kind).tobytes() for name, kind in _DIFFERENCE_KINDS.items())
    return base64.b64encode(zlib.compress(content, COMPRESSION_LEVEL)).decode("ascii")


def differenceFromText(text: str) -> MaskDifference:
    """The difference of :func:`differenceAsText`.

    Raises
    ------
    ValueError
        If the text is damaged.
    """
    try:
        content = zlib.decompress(base64.b64decode(text, validate=True))
    except (binascii.Error, zlib.error) as error:
        raise ValueError("the stored difference cannot be read") from error
    bytesPerVoxel = sum(np.dtype(kind).itemsize for kind in _DIFFERENCE_KINDS.values())
    count, rest = divmod(len(content), bytesPerVoxel)
    if rest:
        raise ValueError(f"the stored difference has {len(content)} bytes; a multiple of {bytesPerVoxel} is needed")
    arrays, start = {}, 0
    for name, kind in _DIFFERENCE_KINDS.items():
        arrays[name] = np.frombuffer(content, dtype=kind, count=count, offset=start)
        start += arrays[name].nbytes
    return MaskDifference(np.cumsum(arrays.pop("steps"), dtype=np.int64), **arrays)
