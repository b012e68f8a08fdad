"""Training cases: healthy chests, tilted, with lesions, as other scanners show them; and the blocks taken of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.evaluation.accuracy.variations import Variation, vary
from CovidSeverityLib.evaluation.synthetic.phantom.grid import lattice_noise, smoothstep
from CovidSeverityLib.io.volume import CtVolume
from CovidSeverityLib.morphology.grid import WorkingGrid, bounding_box, distance_to
from CovidSeverityLib.segmentation.opacity.volumetric.lung_features import LungFeatures, gather_features
from CovidSeverityLib.types import AIR_HU, Geometry

from .painting import Healthy, Painted, Painter

MARGIN_MM = 12.0
"""Surroundings of the lungs that are kept: nothing farther is looked at."""

STYLES = ("healthy", "nodules", "patches", "bands", "diffuse")
STYLE_SHARES = (0.3, 0.2, 0.25, 0.15, 0.1)

SCANS = 3
"""Of a case."""

SLICES_MM = (1.0, None, 5.0, 6.0, 8.0)
SLICE_SHARES = (0.15, 0.35, 0.15, 0.25, 0.1)
"""None leaves the slices as they are: about 2 mm."""

SIZES = (0.88, 1.15)
"""Chests are made larger and smaller by this."""

TILT_SHARE, TILT_DEG = 0.3, 10.0
SHIFT_HU = 30.0
NOISE_HU = (0.0, 0.0, 10.0, 20.0)
"""White noise that is added to pixels of about 1.3 mm: that of 20 and 40 HU in a quarter of their area."""

DEPENDENT_SHARE, DEPENDENT_HU, DEPENDENT_MM = 0.8, (20.0, 200.0), (5.0, 40.0)
"""Lung that bears weight: how often, how much denser at the lower face, and over which height that fades."""

EXPIRED_DEPENDENT_HU = 200.0
"""How much denser it can be on top of that in the fullest expiration: the less air, the more of it is missing below."""

PRONE_SHARE = 0.1

MOTION_SHARE, MOTION_MM, MOTION_REACH_MM = 0.5, (1.5, 4.0), (5.0, 20.0)
"""Heart and diaphragm move: how often, the blur, and how far from them it reaches into the lungs."""

MOSAIC_SHARE, MOSAIC_HU, MOSAIC_MM = 0.5, (5.0, 25.0), (15.0, 50.0)
"""Lung is not aired evenly: how often, standard deviation, and size of the parts."""

EXPIRED = (-0.02, 0.2)
"""Share of the air that is missing, or more of it, all over."""

EDGES = (-1, 0, 0, 0, 1)
"""Pixels by which the lungs' outline is moved: others draw it elsewhere."""

ALONE_SHARE, SLICES_ALONE, LEAST_PIXELS = 0.25, 8, 500
"""Slices that are seen without their neighbours: of which share of the scans, how many, and the least lung in them."""

BLOCKS = 1000
"""Blocks of a case and stratum at most."""

DENSE_HU = 60.0
"""Smoothed excess over this makes a stratum of its own: there the decision is hard."""


Chest = tuple[CtVolume, NDArray[np.uint8]]
"""A CT and its lungs, (K, J, I) of :class:`~CovidSeverityLib.types.Side`."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Blocks of a case: (N, F) features, (N,) truth, (N,) weights whose sum is 1, and what it is."""

    features: NDArray[np.float32]
    truth: NDArray[np.bool_]
    weight: NDArray[np.float32]
    name: str


def prepared(volume: CtVolume, lungs: NDArray[np.uint8]) -> tuple[CtVolume, NDArray[np.uint8]]:
    """The box around the lungs, on pixels of 1.2 to 1.6 mm in slices as they are."""
    factors = (1, *WorkingGrid.of(volume.geometry).factors[1:])
    margin = tuple(int(np.ceil(MARGIN_MM / mm)) for mm in volume.geometry.spacing_kji)
    box = tuple(
        slice(part.start // f * f, part.start // f * f + (part.stop - part.start) // f * f)
        for part, f in zip(bounding_box(lungs > 0, margin), factors, strict=True)
    )
    hu, labels = volume.hu[box], lungs[box]
    spacing = tuple(mm * f for mm, f in zip(volume.geometry.spacing_kji, factors, strict=True))
    grid = WorkingGrid(hu.shape, factors, spacing)
    values = np.rint(grid.reduce(hu)).astype(np.int16)
    sides = np.argmax([grid.reduce(labels == side) for side in (0, 1, 2)], axis=0).astype(np.uint8)
    return _volume(values, spacing, volume.name), sides


def _volume(hu: NDArray[np.int16], spacing_kji: Sequence[float], name: str) -> CtVolume:
    geometry = Geometry(hu.shape[::-1], tuple(spacing_kji[::-1]), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    return CtVolume(hu, geometry, geometry, name=name)


def _tilted(volume: CtVolume, lungs: NDArray[np.uint8], rng: np.random.Generator) -> tuple[CtVolume, NDArray]:
    angles = np.deg2rad(rng.uniform(-TILT_DEG, TILT_DEG, 2))
    about_j = np.array(
        [[np.cos(angles[0]), 0, -np.sin(angles[0])], [0, 1, 0], [np.sin(angles[0]), 0, np.cos(angles[0])]]
    )
    about_i = np.array(
        [[np.cos(angles[1]), -np.sin(angles[1]), 0], [np.sin(angles[1]), np.cos(angles[1]), 0], [0, 0, 1]]
    )
    mm = np.diag(volume.geometry.spacing_kji)
    matrix = np.linalg.inv(mm) @ about_j @ about_i @ mm
    middle = (np.array(volume.hu.shape) - 1) / 2
    offset = middle - matrix @ middle
    hu = ndimage.affine_transform(volume.hu, matrix, offset, order=1, cval=AIR_HU)
    labels = ndimage.affine_transform(lungs, matrix, offset, order=0)
    return replace(volume, hu=hu), labels


def healthy_case(volume: CtVolume, lungs: NDArray[np.uint8], rng: np.random.Generator) -> Healthy:
    """A chest of another size, mirrored, tilted or not."""
    if rng.random() < 0.5:
        volume, lungs = replace(volume, hu=np.ascontiguousarray(volume.hu[:, :, ::-1])), lungs[:, :, ::-1].copy()
    spacing = np.array(volume.geometry.spacing_kji) * rng.uniform(*SIZES)
    volume = _volume(volume.hu, tuple(float(mm) for mm in spacing), volume.name)
    if rng.random() < TILT_SHARE:
        volume, lungs = _tilted(volume, lungs, rng)
    return Healthy.of(replace(volume, hu=_harmless(volume, lungs, rng)), lungs)


def _harmless(volume: CtVolume, lungs: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.int16]:
    """Hounsfield units with what makes healthy lung denser: motion, little air, its own weight."""
    spacing = volume.geometry.spacing_kji
    axes = [(np.arange(n) * mm).astype(np.float32) for n, mm in zip(volume.hu.shape, spacing, strict=True)]
    hu, inside = volume.hu.astype(np.float32), lungs > 0
    if rng.random() < MOTION_SHARE:
        depth = distance_to(lungs == 0, spacing)
        weight = np.exp(-depth / np.float32(rng.uniform(*MOTION_REACH_MM)))
        weight *= smoothstep(lattice_noise(rng, axes, 50.0), -0.5, 1.0)
        blur_mm = rng.uniform(*MOTION_MM)
        hu += weight * (ndimage.gaussian_filter(hu, [blur_mm / mm for mm in spacing], truncate=2.5) - hu)
    expired = float(rng.uniform(*EXPIRED))
    missing = np.full(hu.shape, np.float32(expired))
    if rng.random() < MOSAIC_SHARE:
        missing += np.float32(rng.uniform(*MOSAIC_HU) / 900) * lattice_noise(rng, axes, rng.uniform(*MOSAIC_MM))
    if rng.random() < DEPENDENT_SHARE:
        missing += _dependent(inside, spacing, axes, expired, rng)
    part = np.where(inside & (hu < 0), missing * -hu, 0)
    return np.clip(np.rint(hu + part), AIR_HU, None).astype(np.int16)


def _dependent(
    inside: NDArray[np.bool_],
    spacing: Sequence[float],
    axes: Sequence[NDArray],
    expired: float,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Share of the air that lung lacks where it bears weight: near its lower face, and unevenly."""
    if rng.random() < PRONE_SHARE:
        return _dependent(inside[:, ::-1], spacing, axes, expired, rng)[:, ::-1]
    last = inside.shape[1] - 1 - np.argmax(inside[:, ::-1], axis=1)
    height = (last[:, None, :] - np.arange(inside.shape[1])[None, :, None]) * np.float32(spacing[1])
    uneven = smoothstep(lattice_noise(rng, axes, rng.uniform(30, 90)), -1.0, 1.5)
    weakest, strongest = DEPENDENT_HU
    strength = rng.uniform(weakest, strongest + EXPIRED_DEPENDENT_HU * max(0.0, expired) / EXPIRED[1]) / 900
    return (strength * uneven * np.exp(-np.maximum(height, 0) / rng.uniform(*DEPENDENT_MM))).astype(np.float32)


def painted_case(chest: Healthy, style: str, rng: np.random.Generator) -> Painted:
    """The chest with opacities of a style."""
    painter = Painter(chest, rng)
    if style != "healthy":
        getattr(painter, style)()
        if style != "nodules" and rng.random() < 0.3:
            painter.nodules()
    return painter.finished()


def scanned(
    painted: Painted, lungs: NDArray[np.uint8], slice_mm: float | None, rng: np.random.Generator
) -> tuple[CtVolume, NDArray[np.bool_], NDArray[np.bool_]]:
    """The case as another scanner shows it, with its truth and lungs, (K, J, I) bool."""
    volume = painted.volume
    arrays = [volume.hu, np.int16(1000) * painted.truth, np.int16(1000) * (lungs > 0)]
    if slice_mm is not None:
        first = int(rng.integers(0, max(1, int(slice_mm / volume.geometry.spacing_kji[0]))))
        change = Variation("slices", slice_mm=slice_mm)
        parts = [vary(_volume(a[first:], volume.geometry.spacing_kji, volume.name), change) for a in arrays]
        arrays, volume = [p.hu for p in parts], parts[0]
    hu, truth, lung = arrays[0].astype(np.float32), arrays[1] >= 500, arrays[2] >= 500
    if rng.random() < 0.3:
        hu = ndimage.gaussian_filter(hu, (0, *(rng.uniform(0.3, 0.7, 1).repeat(2))))
    hu += rng.uniform(-SHIFT_HU, SHIFT_HU)
    hu += np.float32(rng.choice(NOISE_HU)) * rng.standard_normal(hu.shape, dtype=np.float32)
    edge = int(rng.choice(EDGES))
    if edge:
        change = ndimage.binary_dilation if edge > 0 else ndimage.binary_erosion
        lung = change(lung, ndimage.generate_binary_structure(3, 1) & (np.arange(3) == 1)[:, None, None])
    hu = np.clip(np.rint(hu), AIR_HU, 150 if rng.random() < 0.3 else 3071).astype(np.int16)
    return replace(volume, hu=hu), truth & lung, lung


def sample(features: LungFeatures, truth: NDArray[np.bool_], name: str, rng: np.random.Generator) -> Sample:
    """Blocks of every stratum, weighted back to their numbers."""
    density = features.density
    sick = density.grid.reduce(truth[features.box])[density.lung] > 0.5
    hard = features.values[1] > DENSE_HU
    chosen, weights = [], []
    for stratum in (sick & hard, sick & ~hard, ~sick & hard, ~sick & ~hard):
        places = np.flatnonzero(stratum)
        taken = rng.choice(places, min(len(places), BLOCKS), replace=False) if len(places) else places
        chosen.append(taken)
        weights.append(np.full(len(taken), len(places) / max(len(taken), 1) / len(sick), dtype=np.float32))
    index = np.concatenate(chosen)
    return Sample(features.values[:, index].T.copy(), sick[index], np.concatenate(weights), name)


def samples(chests: Sequence[Chest], count: int, seed: int) -> Iterator[Sample]:
    """Blocks of ``count`` cases made from healthy chests, each in three scans, a quarter also slice by slice."""
    for n, child in enumerate(np.random.SeedSequence(seed).spawn(count)):
        rng = np.random.default_rng(child)
        volume, lungs = chests[n % len(chests)]
        chest = healthy_case(volume, lungs, rng)
        style = str(rng.choice(STYLES, p=STYLE_SHARES))
        painted = painted_case(chest, style, rng)
        for slice_mm in rng.choice(np.array(SLICES_MM, dtype=object), SCANS, replace=False, p=SLICE_SHARES):
            ct, truth, lung = scanned(painted, chest.lungs, slice_mm, rng)
            name = f"{volume.name} {style} {slice_mm or 2:g} mm"
            if rng.random() < ALONE_SHARE:
                yield slices_alone(ct, truth, lung, name, rng)
            else:
                yield sample(gather_features(ct.hu, lung, ct.geometry), truth, name, rng)


def slices_alone(
    ct: CtVolume, truth: NDArray[np.bool_], lung: NDArray[np.bool_], name: str, rng: np.random.Generator
) -> Sample:
    """Blocks of some slices, each seen without its neighbours."""
    shown = np.flatnonzero(lung.sum(axis=(1, 2)) >= LEAST_PIXELS)
    parts = []
    for k in rng.choice(shown, min(len(shown), SLICES_ALONE), replace=False).tolist():
        one = slice(k, k + 1)
        features = gather_features(ct.hu[one], lung[one], ct.geometry.of_one_slice)
        parts.append(sample(features, truth[one], name, rng))
    joined = (np.concatenate([getattr(part, field) for part in parts]) for field in ("features", "truth", "weight"))
    features, true, weight = joined
    return Sample(features, true, weight / np.float32(len(parts)), name + " alone")
