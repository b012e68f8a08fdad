"""Small analyses of made-up chests, for tests of what comes after the analysis."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from CovidSeverityLib.analysis import Analysis
from CovidSeverityLib.classification.description import NetworkDescription
from CovidSeverityLib.classification.diagnosis import ClassifierIdentity, PatientDiagnosis, SliceEvidence
from CovidSeverityLib.classification.evidence import deciding_slices
from CovidSeverityLib.ctss import Severity
from CovidSeverityLib.features.low_attenuation import low_attenuation
from CovidSeverityLib.features.quantification import Densitometry, LobeScore, SliceRow
from CovidSeverityLib.findings import Provenance
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureFit
from CovidSeverityLib.types import Geometry, Lobe, NoteSeverity, Opacity, QualityNote, Side, StorageOrder

AIR, LUNG, GLASS, SOLID, TISSUE = -1000, -850, -550, -50, 40
HISTOGRAM_FIRST_HU = -1024
OBLIQUE = ((0.96, -0.28, 0.0), (0.28, 0.96, 0.0), (0.0, 0.0, 1.0))
WAYS_TO_STORE = {
    "as it is": (np.eye(3), StorageOrder()),
    "superior first": (np.eye(3), StorageOrder(flipped=(True, False, False))),
    "flipped": (np.eye(3), StorageOrder(flipped=(True, True, True))),
    "permuted": (np.eye(3), StorageOrder(axes=(2, 0, 1), flipped=(False, True, False))),
    "oblique": (OBLIQUE, StorageOrder()),
    "oblique and flipped": (OBLIQUE, StorageOrder(axes=(1, 2, 0), flipped=(True, False, True))),
}
"""Direction matrix and storage order of one and the same chest."""
MIXTURE = MixtureFit((-860.0, -560.0, -40.0), (45.0, 130.0, 110.0), (0.83, 0.12, 0.05), -1.0, 42, True)


@dataclass(frozen=True)
class Chest:
    """A made-up chest and its masks, all (K, J, I)."""

    hu: np.ndarray
    lungs: np.ndarray
    lobes: np.ndarray
    infection: np.ndarray


def make_chest(shape=(20, 48, 64), infected=True, sides=tuple(Side)) -> Chest:
    """Two ellipsoids of lung in a block of tissue, with a few spots of opacity."""
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    hu = np.where((j / 0.92) ** 2 + (i / 0.96) ** 2 < 1, TISSUE, AIR).astype(np.int16)
    lungs = np.zeros(shape, np.uint8)
    for side, centre in ((Side.RIGHT, -0.45), (Side.LEFT, 0.45)):
        if side in sides:
            lungs[(k / 0.95) ** 2 + (j / 0.7) ** 2 + ((i - centre) / 0.36) ** 2 < 1] = side
    hu[lungs > 0] = LUNG
    lobes = _lobes(lungs, k, j)
    infection = np.zeros(shape, np.uint8)
    if infected:
        glass = (k + 0.5) ** 2 / 0.1 + (j - 0.3) ** 2 / 0.06 + (np.abs(i) - 0.45) ** 2 / 0.03 < 1
        solid = (k + 0.6) ** 2 / 0.04 + (j - 0.4) ** 2 / 0.02 + (i + 0.45) ** 2 / 0.01 < 1
        infection[glass & (lungs > 0)] = Opacity.GROUND_GLASS
        infection[solid & (lungs > 0)] = Opacity.CONSOLIDATION
        hu[infection == Opacity.GROUND_GLASS] = GLASS
        hu[infection == Opacity.CONSOLIDATION] = SOLID
    noise = np.random.default_rng(1).normal(0, 12, shape)
    return Chest((hu + noise).clip(-1024, 3000).astype(np.int16), lungs, lobes, infection)


def _lobes(lungs, k, j):
    lobes = np.zeros(lungs.shape, np.uint8)
    right, left = lungs == Side.RIGHT, lungs == Side.LEFT
    upper = k > j
    lobes[right] = np.select([upper[right] & (k[right] > 0.1), upper[right]], [Lobe.RUL, Lobe.RML], Lobe.RLL)
    lobes[left] = np.where(upper[left], Lobe.LUL, Lobe.LLL)
    return lobes


def make_volume(hu, spacing_mm=(2.0, 2.0, 5.0), direction=None, storage=None, name="case01", acquired=()) -> CtVolume:
    """A volume whose stored axes are those of ``storage`` and whose directions are turned by ``direction``."""
    direction = np.eye(3) if direction is None else np.reshape(direction, (3, 3))
    storage = storage or StorageOrder()
    k, j, i = hu.shape
    geometry = Geometry((i, j, k), spacing_mm, (-60.0, -40.0, -120.0), tuple(direction.ravel()))
    return CtVolume(hu, geometry, stored_geometry(geometry, storage), storage, name, acquired)


def stored_geometry(geometry: Geometry, storage: StorageOrder) -> Geometry:
    """The geometry of the stored array that ``storage`` brings to ``geometry``."""
    shape = storage.to_stored(np.empty(geometry.shape, np.uint8)).shape
    matrix = np.empty((4, 3))
    corner = [0, 0, 0]
    for axis in range(3):  # of the canonical array; its stored axis is storage.axes[axis]
        stored = storage.axes[axis]
        sign = -1.0 if storage.flipped[axis] else 1.0
        corner[2 - axis] = geometry.shape[axis] - 1 if storage.flipped[axis] else 0
        matrix[:3, 2 - stored] = sign * np.reshape(geometry.direction, (3, 3))[:, 2 - axis]
        matrix[3, 2 - stored] = geometry.spacing_mm[2 - axis]
    origin = (geometry.ijk_to_lps @ [*corner, 1.0])[:3]
    return Geometry(shape[::-1], tuple(matrix[3]), tuple(origin), tuple(matrix[:3].ravel()))


def make_stored(way: str, shape=(10, 24, 32), **changes) -> Analysis:
    """The analysis of a small chest, stored in one of ``WAYS_TO_STORE``."""
    direction, storage = WAYS_TO_STORE[way]
    chest = make_chest(shape)
    return make_analysis(chest, make_volume(chest.hu, direction=direction, storage=storage), **changes)


def segment_masks(analysis: Analysis) -> dict[str, np.ndarray]:
    """(K, J, I) bool of every segment by its identifier, in file order."""
    masks = {"right_lung": analysis.lungs == Side.RIGHT, "left_lung": analysis.lungs == Side.LEFT}
    masks |= {lobe.name: analysis.lobes == lobe for lobe in Lobe}
    masks["ground_glass_opacity"] = analysis.infection == Opacity.GROUND_GLASS
    masks["consolidation"] = analysis.infection == Opacity.CONSOLIDATION
    return masks


def points_mm(ijk, matrix) -> np.ndarray:
    """World positions of index triples, rounded to 0.01 mm and sorted."""
    points = np.round(np.asarray(ijk) @ matrix[:3, :3].T + matrix[:3, 3], 2) + 0.0
    return points[np.lexsort(points.T)]


def mask_points_mm(mask, geometry: Geometry) -> np.ndarray:
    """LPS positions of every voxel of a (K, J, I) mask."""
    return points_mm(np.argwhere(mask)[:, ::-1], geometry.ijk_to_lps)


def make_analysis(chest: Chest | None = None, volume: CtVolume | None = None, **changes) -> Analysis:
    """The analysis of ``chest``; its counts follow from its masks. ``changes`` replace fields."""
    chest = chest or make_chest()
    volume = volume or make_volume(chest.hu)
    values = _counts(chest, volume) | _texts()
    return Analysis(volume, chest.lungs, chest.lobes, chest.infection, **(values | changes))


def make_diagnosis(rows, first=0, classifier=None, **changes) -> PatientDiagnosis:
    """A diagnosis of slices that follow each other down to ``first``, a row of probabilities each (superior first)."""
    slices = tuple(range(first + len(rows) - 1, first - 1, -1))
    known = ClassifierIdentity("net", "ab" * 32, NetworkDescription(), "a sentence", "CC0-1.0")
    return PatientDiagnosis(slices, np.array(rows, dtype=np.float32), classifier or known, **changes)


def make_diagnosed(chest: Chest | None = None, volume: CtVolume | None = None, attention=None, **changes) -> Analysis:
    """:func:`make_analysis` with a diagnosis: CAP in the upper half of the slices with lung, COVID-19 in the lower.

    ``attention`` is the same map for every slice that decided.
    """
    analysis = make_analysis(chest, volume, **changes)
    lung = np.flatnonzero((analysis.lungs > 0).any(axis=(1, 2)))
    rows = [
        (0.1, 0.7, 0.2) if n < lung.size // 2 else (0.05, 0.05 + 0.01 * n, 0.9 - 0.01 * n) for n in range(lung.size)
    ]
    diagnosis = make_diagnosis(rows, int(lung[0]))
    attention = np.eye(6, 8, dtype=np.float32) if attention is None else attention
    chosen = deciding_slices(diagnosis, analysis.volume.geometry.spacing_kji[0])
    diagnosis = replace(diagnosis, evidence=tuple(SliceEvidence(k, attention) for k in chosen))
    return replace(analysis, classification=diagnosis, classification_reason="")


def _counts(chest: Chest, volume: CtVolume) -> dict:
    voxel_ml = volume.geometry.voxel_ml
    lung = chest.lungs > 0
    hu = volume.hu[lung]
    infected = (chest.infection > 0) & lung
    histogram = np.bincount(np.clip(hu, HISTOGRAM_FIRST_HU, 400).astype(int) - HISTOGRAM_FIRST_HU, minlength=1425)
    return {
        "side_voxels": {side: int((chest.lungs == side).sum()) for side in Side},
        "opacity_voxels": {opacity: int((lung & (chest.infection == opacity)).sum()) for opacity in Opacity},
        "lobe_scores": tuple(_lobe_score(lobe, chest.lobes, infected, voxel_ml) for lobe in Lobe),
        "slices": tuple(_slice_row(k, chest, infected, volume) for k in range(len(chest.hu))),
        "low_attenuation": low_attenuation(volume, chest.lungs, chest.lobes),
        "densitometry": Densitometry(HISTOGRAM_FIRST_HU, histogram, int(((hu >= -950) & (hu <= -700)).sum()), MIXTURE),
    }


def _lobe_score(lobe, lobes, infected, voxel_ml):
    voxels, sick = int((lobes == lobe).sum()), int(((lobes == lobe) & infected).sum())
    percent = 100 * sick / voxels if voxels else 0
    score = sum(percent > edge for edge in (0, 5, 25, 50, 75))
    return LobeScore(lobe, voxels, sick, voxel_ml, score, sum(percent > edge for edge in (0, 25, 50, 75)))


def _slice_row(k, chest, infected, volume):
    lobes, sick = chest.lobes[k], infected[k]
    return SliceRow(
        k,
        float(volume.geometry.slice_z_mm()[k]),
        volume.geometry.voxel_ml,
        int((chest.lungs[k] > 0).sum()),
        int(sick.sum()),
        tuple(int((lobes == lobe).sum()) for lobe in Lobe),
        tuple(int(((lobes == lobe) & sick).sum()) for lobe in Lobe),
    )


def _texts() -> dict:
    return {
        "severity": Severity("mild", "mild 0-7, moderate 8-17, severe 18-25", "Someone 2020, doi 10.0/0"),
        "ctss_definition": "per lobe 0 none, 1 <= 5 %, 2 <= 25 %, 3 <= 50 %, 4 <= 75 %, 5 > 75 %; sum 0-25",
        "provenance": Provenance(
            version="0.1.0",
            profile="default",
            configuration={"seed": 0, "window": {"sd": 1.5, "low_hu": -650}},
            seconds={"read": 1.23456, "lungs": 2.0},
            lungs_from="classical",
            lobes_from="geometric split",
            lobes_approximate=True,
        ),
        "quality": (
            QualityNote("lobes_approximate", NoteSeverity.INFO, "The lobes are a geometric split."),
            QualityNote("thick_slices", NoteSeverity.WARNING, "Slices are 5 mm thick."),
        ),
        "classification_reason": "no weights are installed",
    }
