"""Write a synthetic chest CT and its truth to a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from CovidSeverityLib.ctss import score_for_percent
from CovidSeverityLib.types import Geometry, Lobe

from .model import Lesion, Phantom

TRUTH_SCHEMA_VERSION = 1


def write_phantom(phantom: Phantom, folder: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Write ``ct.nii.gz``, ``lungs.nii.gz``, ``lobes.nii.gz``, ``infection.nii.gz`` and ``truth.json``.

    Each file is written with a temporary name in ``folder``, which is created if necessary, and then renamed.

    Returns
    -------
    tuple of Path
        The files, in this order.

    Raises
    ------
    OSError : if the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    geometry = phantom.volume.geometry
    images = {
        "ct.nii.gz": phantom.volume.hu,
        "lungs.nii.gz": phantom.lungs,
        "lobes.nii.gz": phantom.lobes,
        "infection.nii.gz": phantom.infection,
    }
    written = [_replace(folder / name, _image_writer(array, geometry)) for name, array in images.items()]
    text = json.dumps(truth_of(phantom), indent=2) + "\n"
    written.append(_replace(folder / "truth.json", lambda path: path.write_text(text, encoding="utf-8")))
    return tuple(written)


def truth_of(phantom: Phantom) -> dict[str, Any]:
    """The truth of a phantom as values for JSON: seed, geometry, volumes in ml, per cent, lesions (mm, LPS)."""
    ml = phantom.volume.geometry.voxel_ml
    lobe_voxels, infected = phantom.lobe_voxels, phantom.lobe_infected_voxels
    percent = {lobe: 100.0 * infected[lobe] / max(lobe_voxels[lobe], 1) for lobe in Lobe}
    return {
        "schema_version": TRUTH_SCHEMA_VERSION,
        "seed": phantom.seed,
        "size": list(phantom.volume.geometry.size),
        "spacing_mm": list(phantom.volume.geometry.spacing_mm),
        "lungs": {f"{side.name.lower()}_ml": _round(n * ml) for side, n in phantom.side_voxels.items()},
        "infection_percent": _round(phantom.infection_percent),
        "ctss": sum(score_for_percent(percent[lobe]) for lobe in Lobe),
        "lobes": {
            lobe.name: {
                "volume_ml": _round(lobe_voxels[lobe] * ml),
                "infection_ml": _round(infected[lobe] * ml),
                "involvement_percent": _round(percent[lobe]),
                "score": score_for_percent(percent[lobe]),
            }
            for lobe in Lobe
        },
        "lesions": [_lesion_truth(lesion, ml) for lesion in phantom.lesions],
    }


def _lesion_truth(lesion: Lesion, ml: float) -> dict[str, Any]:
    return {
        "kind": lesion.kind.value,
        "lobe": lesion.lobe.name,
        "centre_lps_mm": [_round(c) for c in lesion.centre_mm],
        "radii_mm": [_round(r) for r in lesion.radii_mm],
        "diameter_mm": _round(lesion.diameter_mm),
        "ground_glass_hu": _round(lesion.ground_glass_hu),
        "consolidation_hu": _round(lesion.consolidation_hu),
        "touches_pleura": lesion.touches_pleura,
        "volume_ml": _round(lesion.voxels * ml),
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def _image_writer(array: NDArray[np.generic], geometry: Geometry) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        image = sitk.GetImageFromArray(np.asarray(array))
        image.SetSpacing(geometry.spacing_mm)
        image.SetOrigin(geometry.origin_mm)
        image.SetDirection(geometry.direction)
        sitk.WriteImage(image, str(path), useCompression=True)

    return write


def _replace(path: Path, write: Callable[[Path], object]) -> Path:
    """Call ``write`` with a temporary name in the folder of ``path`` with the same ending, then rename the file."""
    stem, _, ending = path.name.partition(".")
    temporary = path.with_name(f".{stem}.{os.getpid()}.{ending}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
