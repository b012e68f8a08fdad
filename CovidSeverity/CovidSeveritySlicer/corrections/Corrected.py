"""Corrected numbers, and what a saved scene keeps of corrections."""

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

UNSCORED_ATTRIBUTE = "CovidSeverity.Unscored"
"""Attribute of the segmentation from an edit until its score is known. Slicer does not tell when it saves a scene: what
is saved in between has the numbers before the edit, and says so. Loading it scores the edit."""

COMPRESSION_LEVEL = 1
"""Level of zlib. The text is written after every edit."""

_DIFFERENCE_KINDS = {"steps": np.uint32, "parts": np.uint16, "automatic": np.uint8, "codes": np.uint8}
"""Arrays of a stored difference. A step leads from one voxel to the next."""


@dataclass(frozen=True, eq=False)
class Corrected:
    """Numbers of corrected masks.

    Parameters
    ----------
    fields : Mapping
        Of ``report.json``, those that corrections change (``CORRECTED_KEYS``). The score has no range;
        ``well_aerated_percent`` is None where the lungs were changed and the CT is not at hand.
    rows : tuple of Mapping
        Rows by column of ``slices.csv``.
    opacityOutsideLungsMl : float
        Opacity outside the lungs because of corrections. It is not counted.
    lungWithoutLobeMl : float
        Lung whose lobe was erased. No lobe's score counts it.
    lowAttenuation : Mapping or None
        The part of the report's low attenuation that is still valid; None if the lungs were changed.
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
        """Severity in words."""
        return self.fields["severity"]["label"]

    def asJson(self) -> str:
        """Numbers of the whole CT for a text of the segmentation."""
        numbers = {
            **self.fields,
            "low_attenuation": self.lowAttenuation,
            "opacity_outside_lungs_ml": self.opacityOutsideLungsMl,
            "lung_without_lobe_ml": self.lungWithoutLobeMl,
        }
        return json.dumps(numbers, ensure_ascii=False)


def differenceAsText(difference: MaskDifference) -> str:
    """A difference as text: some kilobytes for a hundred thousand voxels."""
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
        The text is damaged.
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
