"""What the module adds to Sample Data: a public chest CT of COVID-19, and a synthetic chest that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import slicer

CATEGORY = "CovidSeverity"
"""Headline of the samples; a name, not translated."""

SYNTHETIC_CHEST = "SyntheticChestCT"

COVID_CHEST = "COVID19ChestCT"
COVID_CHEST_URL = (
    "https://github.com/rbumm/SlicerLungCTAnalyzer/releases/download/SampleData/LungCTAnalyzerChestCT.nrrd"
)
"""The demo CT of the extension LungCTAnalyzer; it stays where its authors publish it."""

COVID_CHEST_CHECKSUM = "SHA256:9bb74f4383bce0ced80243916e785ce564cc2c8f535e8273da8a04f80dff4287"
"""As LungCTAnalyzer registers it."""

LUNG_WINDOW_HU = (1500.0, -600.0)
"""Window width and level for lungs."""

ICONS = Path(__file__).resolve().parents[1] / "Resources" / "Icons"


def registerSampleData() -> None:
    """Add both samples to the module Sample Data; a second call changes nothing."""
    import SampleData

    register = SampleData.SampleDataLogic.registerCustomSampleDataSource
    register(
        category=CATEGORY,
        sampleName=COVID_CHEST,
        uris=COVID_CHEST_URL,
        fileNames=f"{COVID_CHEST}.nrrd",
        nodeNames=COVID_CHEST,
        checksums=COVID_CHEST_CHECKSUM,
        thumbnailFileName=str(ICONS / "CovidSeverity.png"),
    )
    register(
        category=CATEGORY,
        sampleName=SYNTHETIC_CHEST,
        uris="",
        fileNames=f"{SYNTHETIC_CHEST}.nrrd",
        nodeNames=SYNTHETIC_CHEST,
        customDownloader=_onSyntheticChestChosen,
        thumbnailFileName=str(ICONS / f"{SYNTHETIC_CHEST}.png"),
    )


def makeSyntheticChest(
    seed: int = 0,
    spacingMm: Sequence[float] | None = None,
    lesions: Sequence[Any] | None = None,
    name: str = SYNTHETIC_CHEST,
) -> Any:
    """Make a synthetic chest CT with pneumonia and add it to the scene; needs only what Slicer brings.

    Parameters
    ----------
    seed : int
        Each seed gives another patient.
    spacingMm : sequence of float or None
        Voxel size along (I, J, K), mm. None takes that of ``covid-severity phantom``; the chest is then made in about
        five seconds.
    lesions : sequence of LesionSpec or None
        None draws 2 to 8 lesions. An empty sequence makes a normal chest.
    name : str
        Name of the node.

    Returns
    -------
    any
        VtkMRMLScalarVolumeNode In Hounsfield units, with its lung window.

    Raises
    ------
    CovidSeverityLib.InputError
        No chest can be made this way.
    """
    from CovidSeverityLib.commands.phantom import EXTENT_MM, PIXEL_MM, SLICE_MM
    from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom

    from .nodes.VolumeGeometry import RAS_FROM_LPS

    spacing = tuple(spacingMm or (PIXEL_MM, PIXEL_MM, SLICE_MM))
    i, j, k = (round(extent / length) for extent, length in zip(EXTENT_MM, spacing, strict=True))
    phantom = make_phantom(seed, shape=(k, j, i), spacing_mm=spacing, lesions=lesions)
    ijkToRas = RAS_FROM_LPS @ phantom.volume.geometry.ijk_to_lps
    volumeNode = slicer.util.addVolumeFromArray(phantom.volume.hu.astype(np.int16), ijkToRas, name)
    display = volumeNode.GetScalarVolumeDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(*LUNG_WINDOW_HU)
    return volumeNode


def _onSyntheticChestChosen(_source: Any) -> list[Any]:
    """Click on the sample's button: the chest is made and shown."""
    with slicer.util.WaitCursor(show=slicer.app.layoutManager() is not None):
        volumeNode = makeSyntheticChest(name=slicer.mrmlScene.GenerateUniqueName(SYNTHETIC_CHEST))
    slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
    return [volumeNode]
