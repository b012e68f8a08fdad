"""One patient's anatomy: the random numbers of the seed, and the thoracic cavity that follows from them.

All lengths are reference mm (see :mod:`.grid`): x to the left, y posterior, z superior, the carina at z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from CovidSeverityLib.types import triple

from .grid import Field, smoothstep

# Inner contour of the rib cage by height: half width, half depth and the y of its centre. Control points read off
# adult chest CTs at full inspiration (width about 260 mm, depth about 170 mm at the level of the domes).
CAGE_Z_MM = (-200.0, -150.0, -110.0, -60.0, 0.0, 40.0, 65.0, 85.0, 140.0)
CAGE_HALF_WIDTH_MM = (120.0, 127.0, 130.0, 128.0, 121.0, 106.0, 88.0, 72.0, 60.0)
CAGE_HALF_DEPTH_MM = (84.0, 88.0, 88.0, 86.0, 79.0, 69.0, 57.0, 45.0, 38.0)
CAGE_CENTRE_Y_MM = (2.0, 1.0, 0.0, 0.0, 4.0, 9.0, 15.0, 20.0, 24.0)

APEX_Z_MM = 98.0
"""Top of the pleura: about 30 mm above the first rib's sternal end, 98 mm above the carina."""

APEX_START_MM = 52.0
"""Depth under the apex over which the cavity rounds off, mm."""

APEX_OFFSET_MM = 40.0
"""How far the apices lie from the midline, mm."""

GUTTER_MM = 20.0
"""How far the vertebral column pushes the posterior contour forward between the two paravertebral gutters, mm."""

GUTTER_HALF_WIDTH_MM = 34.0

ANTERIOR_TAPER = 0.14
"""How much narrower the rib cage is in front than at its widest."""

RIB_STEP_MM = 23.0
"""Distance between the vertebral ends of two ribs, mm: the height of a thoracic vertebra and its disc."""

FIRST_RIB_MM = 84.0
RIB_DROP_MM = 62.0
"""How much lower a rib lies at its lowest point than at the spine, mm."""

DOME_RISE_WIDTH_MM = 78.0
"""Distance from the chest wall over which the diaphragm rises from its recess to the dome, mm."""

DOME_OFFSET_MM = 66.0
"""How far the tops of the domes lie from the midline, mm."""

DOME_CURVE_PER_MM = 0.009
"""Fall of a dome with the square of the distance from its top, per mm."""

TENDON_DEPTH_MM = 22.0
"""Depth of the central tendon under the tops of the domes, mm: the diaphragm falls no further towards the middle."""

DOME_SHAPE = 0.72
"""Exponent of the diaphragm's profile: 0.5 is an ellipse, more is steeper in the middle and leaves a wider recess."""

RECESS_LEVEL_MM = -115.0
"""Height at which the cavity's contour is taken for the outline of the diaphragm, mm."""


@dataclass(frozen=True)
class Anatomy:
    """The differences between patients; every field except ``scale`` is in reference mm or a factor.

    Parameters
    ----------
    scale : (float, float, float)
        Patient mm per reference mm along (L, P, S).
    width, depth : float
        Factors of the rib cage.
    dome_mm : (float, float)
        Height of the right and of the left diaphragm dome.
    recess_mm : (float, float, float)
        Height of the costophrenic recess: anterior, lateral, posterior.
    heart : float
        Factor of the heart's axes.
    heart_shift_mm : float
        Of the heart to the left.
    septum_mm : float
        Half thickness of the anterior junction line.
    fat_mm : float
        Subcutaneous fat at the side.
    muscle_mm : float
        Muscle over the ribs.
    breast_mm : float
        How far the breasts rise, 0 for none.
    oblique : ((float, float, float), (float, float, float))
        For the right and the left side: height of the oblique fissure at y = 0, its slope and its curvature.
    horizontal_mm : float
        Height of the horizontal fissure.
    fissure_wave_mm : float
        Amplitude of the fissures' undulation.
    fissure_phase : tuple of float
        Phases of that undulation, radians.
    parenchyma_hu : float
        Mean of the aerated lung, Hounsfield units.
    gravity_hu : float
        Rise of the lung's density from front to back, Hounsfield units.
    stomach_gas : float
        Part of the stomach's depth that gas fills.
    """

    scale: tuple[float, float, float]
    width: float
    depth: float
    dome_mm: tuple[float, float]
    recess_mm: tuple[float, float, float]
    heart: float
    heart_shift_mm: float
    septum_mm: float
    fat_mm: float
    muscle_mm: float
    breast_mm: float
    oblique: tuple[tuple[float, float, float], tuple[float, float, float]]
    horizontal_mm: float
    fissure_wave_mm: float
    fissure_phase: tuple[float, ...]
    parenchyma_hu: float
    gravity_hu: float
    stomach_gas: float


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """Draw a patient: lungs between about 3.5 and 5.5 litres, right larger than left."""
    size = rng.uniform(0.96, 1.03)
    scale = triple(float(size * rng.uniform(0.985, 1.015)) for _ in range(3))
    right_dome = rng.uniform(-96.0, -84.0)
    left_dome = right_dome - rng.uniform(8.0, 18.0)
    right_oblique, left_oblique = (
        (rng.uniform(-60.0, -46.0), rng.uniform(1.05, 1.3), rng.uniform(-0.0015, 0.0015)) for _ in range(2)
    )
    return Anatomy(
        scale=scale,
        width=rng.uniform(0.97, 1.03),
        depth=rng.uniform(0.95, 1.04),
        dome_mm=(right_dome, left_dome),
        recess_mm=(rng.uniform(-132, -120), rng.uniform(-158, -146), rng.uniform(-172, -162)),
        heart=rng.uniform(0.92, 1.08),
        heart_shift_mm=rng.uniform(-4.0, 6.0),
        septum_mm=rng.uniform(1.1, 1.9),
        fat_mm=rng.uniform(8.0, 22.0),
        muscle_mm=rng.uniform(8.0, 14.0),
        breast_mm=float(rng.choice([0.0, 1.0])) * rng.uniform(18.0, 34.0),
        oblique=(right_oblique, left_oblique),
        horizontal_mm=rng.uniform(-34.0, -20.0),
        fissure_wave_mm=rng.uniform(2.0, 5.0),
        fissure_phase=tuple(rng.uniform(0.0, 2.0 * np.pi, 6)),
        parenchyma_hu=rng.uniform(-892.0, -868.0),
        gravity_hu=rng.uniform(60.0, 80.0),
        stomach_gas=rng.uniform(0.25, 0.55),
    )


@dataclass(frozen=True, eq=False)
class Cage:
    """Inner contour of the rib cage at given heights: a superellipse per side, split in two towards the apex.

    Parameters
    ----------
    offset, half_width, half_depth, centre_y : (K,) ndarray of float64
        Reference mm; ``offset`` is the distance of each side's centre from the midline.
    """

    offset: NDArray[np.float64]
    half_width: NDArray[np.float64]
    half_depth: NDArray[np.float64]
    centre_y: NDArray[np.float64]

    def distance(self, k: int, x: Field, y: Field) -> Field:
        """(J, I) signed distance in the plane of height ``k``, along rays from each side's centre; negative inside."""
        dx = np.abs(x) - float(self.offset[k])
        dy = (y + GUTTER_MM * np.exp(-((x / GUTTER_HALF_WIDTH_MM) ** 2)) * (y > 0)) - float(self.centre_y[k])
        dy = dy / float(self.half_depth[k])
        u = np.abs(dx) * (1.0 + ANTERIOR_TAPER * np.clip(-dy, 0.0, 1.0)) / float(self.half_width[k])
        v = np.abs(dy)
        power = u * u * np.sqrt(u) + v * v * np.sqrt(v)
        radius = np.exp(0.4 * np.log(np.maximum(power, 1e-4)))
        return np.hypot(dx, dy * float(self.half_depth[k])) * (1.0 - 1.0 / radius)


def cage_at(anatomy: Anatomy, z: NDArray, *, apex_floor: float = 0.02) -> Cage:
    """The rib cage at heights ``z``; ``apex_floor`` keeps its section from shrinking to nothing over the apices."""
    z = np.asarray(z, dtype=np.float64)
    curves = [PchipInterpolator(CAGE_Z_MM, c) for c in (CAGE_HALF_WIDTH_MM, CAGE_HALF_DEPTH_MM, CAGE_CENTRE_Y_MM)]
    half_width, half_depth, centre_y = (c(np.clip(z, CAGE_Z_MM[0], CAGE_Z_MM[-1])) for c in curves)
    depth = np.clip((APEX_Z_MM - z) / APEX_START_MM, 0.0, 1.0)
    round_off = np.maximum(np.sqrt(1.0 - (1.0 - depth) ** 2), apex_floor)
    offset = APEX_OFFSET_MM * (1.0 - smoothstep(depth, 0.0, 1.0))
    half_width = np.maximum((half_width * anatomy.width - offset) * round_off, 1.0)
    return Cage(offset, half_width, np.maximum(half_depth * anatomy.depth * round_off, 1.0), centre_y)


def rib_drop(angle: NDArray) -> NDArray:
    """How much lower a rib lies than at the spine, mm, at ``angle`` (radians from the back, 0 to pi)."""
    return RIB_DROP_MM * (smoothstep(angle, 0.15, 2.4) - 0.35 * smoothstep(angle, 2.4, np.pi))


def diaphragm_height(anatomy: Anatomy, x: Field, y: Field) -> Field:
    """(J, I) height of the diaphragm's upper surface: two domes that fall off into the costophrenic recess, mm."""
    wall = -cage_at(anatomy, np.array([RECESS_LEVEL_MM])).distance(0, x, y)
    rise = np.clip(wall / DOME_RISE_WIDTH_MM, 0.0, 1.0)
    rise = (1.0 - (1.0 - rise) ** 2) ** DOME_SHAPE
    angle = np.arctan2(np.abs(x), y)
    anterior, lateral, posterior = anatomy.recess_mm
    base = np.interp(angle, [0.0, 0.7, 1.7, 2.6, np.pi], [posterior, posterior, lateral, anterior, anterior])
    right, left = anatomy.dome_mm
    dome = right + (left - right) * smoothstep(x, -30.0, 30.0)
    fall = DOME_CURVE_PER_MM * ((np.abs(x) - DOME_OFFSET_MM) ** 2 + (y + 8.0) ** 2)
    dome = dome - TENDON_DEPTH_MM * (1.0 - np.exp(-fall / TENDON_DEPTH_MM))
    return (base + (dome - base) * rise).astype(np.float32)


def oblique_height(anatomy: Anatomy, x: Field, y: Field) -> Field:
    """(J, I) height of the oblique fissures, right for x < 0: rising backwards, curved and undulating, mm."""
    p = anatomy.fissure_phase
    heights = []
    for (z0, slope, curve), phase in zip(anatomy.oblique, p, strict=False):
        wave = 2.0 * anatomy.fissure_wave_mm * np.sin(x / 24.0 + phase) * np.cos(y / 33.0 + p[4])
        lateral = 0.006 * (np.abs(x) - 62.0) ** 2 - 8.0 + 0.12 * np.abs(x)
        heights.append(z0 + slope * y + curve * y * y - lateral + wave)
    return np.where(x < 0, heights[0], heights[1]).astype(np.float32)


def horizontal_height(anatomy: Anatomy, x: Field, y: Field) -> Field:
    """(J, I) height of the horizontal fissure of the right lung: a shallow dome with an undulation, mm."""
    p = anatomy.fissure_phase
    wave = anatomy.fissure_wave_mm * np.sin(x / 27.0 + p[2]) * np.cos(y / 29.0 + p[3])
    fall = 0.0016 * ((x + 65.0) ** 2 + (y + 20.0) ** 2)
    return (anatomy.horizontal_mm - fall + 0.12 * y + wave).astype(np.float32)
