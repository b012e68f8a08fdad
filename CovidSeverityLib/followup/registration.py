"""Where every point of the later lungs lay in the earlier examination: affine, then B-splines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from CovidSeverityLib.checked import known
from CovidSeverityLib.immutable import Value
from CovidSeverityLib.morphology.grid import bounding_box
from CovidSeverityLib.types import AIR_HU, Box, Geometry, Progress

from .config import RegistrationConfig
from .examination import Examination
from .free_form import Field, SplineGrid, optimized
from .working_images import WorkingImages

STAGE = "registration"
"""Name of this stage in progress calls."""

WHOLE = np.uint8(255)
"""Value of a mask that is interpolated."""

HALF = 0.5
"""A voxel belongs to what is carried over if at least half of it does."""

AFFINE_SHARE = 0.1
"""Share of the voxels by which the affine step is found; with all of them it took ten times as long for the same."""

AFFINE_STEPS, AFFINE_FIRST_STEP, AFFINE_LAST_STEP, AFFINE_RELAXATION = 100, 1.0, 1e-3, 0.6
"""Regular step gradient descent: mm of shift of the image's corners."""


@dataclass(frozen=True, eq=False)
class Registration(Value):
    """The place of a later point p in the earlier examination: ``matrix (p + w(p)) + offset``, LPS mm.

    Parameters
    ----------
    matrix : (3, 3) ndarray of float64
        Affine part, x y z.
    offset_mm : (3,) ndarray of float64
        Affine part, LPS mm.
    field_mm : (3, K, J, I) ndarray of float64
        w along the grid's K, J and I, mm.
    geometry : Geometry
        Of the field, on the later examination.
    by_structure : bool
        Whether both CTs were used. Otherwise the surfaces alone were registered.
    """

    matrix: NDArray[np.float64]
    offset_mm: NDArray[np.float64]
    field_mm: Field
    geometry: Geometry
    by_structure: bool

    def transform(self) -> sitk.Transform:
        """From later to earlier points, for SimpleITK; without displacement outside the field."""
        affine = sitk.AffineTransform(self.matrix.ravel().tolist(), self.offset_mm.tolist())
        along_axes = np.moveaxis(self.field_mm[::-1], 0, -1)
        direction = np.reshape(self.geometry.direction, (3, 3))
        vectors = (along_axes[..., None, :] * direction).sum(axis=-1)
        image = sitk.GetImageFromArray(np.ascontiguousarray(vectors), isVector=True)
        image.SetSpacing(self.geometry.spacing_mm)
        image.SetOrigin(self.geometry.origin_mm)
        image.SetDirection(self.geometry.direction)
        return sitk.CompositeTransform([affine, sitk.DisplacementFieldTransform(image)])

    def carried(
        self, masks: tuple[NDArray[np.bool_], ...], earlier: Geometry, later: Geometry, box: Box
    ) -> tuple[NDArray[np.bool_], ...]:
        """Masks of the earlier examination on the grid of the later one, in ``box``.

        Parameters
        ----------
        masks : tuple of (K, J, I) ndarray of bool
            On the grid of ``earlier``.
        earlier, later : Geometry
            Both grids.
        box : Box
            Part of the later grid.
        """
        near = bounding_box(np.logical_or.reduce(masks), (1, 1, 1))
        stacked = sitk.GetImageFromArray(np.stack([mask[near].view(np.uint8) * WHOLE for mask in masks], axis=-1), True)
        stacked.SetSpacing(earlier.spacing_mm)
        stacked.SetOrigin(_corner_mm(earlier, near))
        stacked.SetDirection(earlier.direction)
        size = [part.stop - part.start for part in box[::-1]]
        corner = _corner_mm(later, box)
        resampled = sitk.Resample(
            *(stacked, size, self.transform(), sitk.sitkLinear),
            *(corner, later.spacing_mm, later.direction, 0.0, sitk.sitkVectorUInt8),
        )
        values = sitk.GetArrayViewFromImage(resampled).reshape(*size[::-1], len(masks))
        return tuple(values[..., n] >= HALF * WHOLE for n in range(len(masks)))

    def carried_hu(
        self, hu: NDArray[np.int16], lung: NDArray[np.bool_], earlier: Geometry, later: Geometry, box: Box
    ) -> NDArray[np.int16]:
        """The earlier CT around ``lung`` on the later grid in ``box``; air where it shows nothing."""
        near = bounding_box(lung, (1, 1, 1))
        image = sitk.GetImageFromArray(hu[near])
        image.SetSpacing(earlier.spacing_mm)
        image.SetOrigin(_corner_mm(earlier, near))
        image.SetDirection(earlier.direction)
        size = [part.stop - part.start for part in box[::-1]]
        place = (_corner_mm(later, box), later.spacing_mm, later.direction, float(AIR_HU))
        return sitk.GetArrayFromImage(sitk.Resample(image, size, self.transform(), sitk.sitkLinear, *place))

    def jacobian(self) -> NDArray[np.float64]:
        """(K, J, I) earlier volume of a later voxel, in later volumes; 0 or less where the field folds."""
        spacing = self.geometry.spacing_kji
        rows = [[np.gradient(self.field_mm[a], spacing[b], axis=b) + float(a == b) for b in range(3)] for a in range(3)]
        (a, b, c), (d, e, f), (g, h, i) = rows
        local = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
        return local * float(np.linalg.det(self.matrix))


def _corner_mm(geometry: Geometry, box: Box) -> list[float]:
    """LPS position of the first voxel of a box, mm."""
    first = np.array([*(part.start for part in box[::-1]), 1.0])
    return (geometry.ijk_to_lps * first).sum(axis=1)[:3].tolist()


@dataclass(frozen=True, eq=False)
class Correspondence:
    """Points of the later grid and the way from there to voxels of the earlier working images.

    Parameters
    ----------
    later, earlier : WorkingImages
        Both.
    points : (3, N) ndarray of intp
        K, J, I of the later voxels where the cost is summed.
    start : (3, N) ndarray of float64
        Their places in the earlier images after the affine step, K, J, I in voxels.
    turn : (3, 3) ndarray of float64
        From mm along the later axes K, J, I to voxels along the earlier ones.
    """

    later: WorkingImages
    earlier: WorkingImages
    points: tuple[NDArray[np.intp], ...]
    start: NDArray[np.float64]
    turn: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        earlier: WorkingImages,
        later: WorkingImages,
        affine: tuple[NDArray[np.float64], NDArray[np.float64]],
        where: NDArray[np.bool_],
    ) -> Correspondence:
        """For the later voxels of ``where``."""
        matrix, offset = affine
        points = np.nonzero(where)
        to_earlier = np.linalg.inv(earlier.geometry.ijk_to_lps)
        whole = np.eye(4)
        whole[:3, :3], whole[:3, 3] = matrix, offset
        indices = to_earlier @ whole @ later.geometry.ijk_to_lps
        ijk = np.stack([*points[::-1], np.ones(len(points[0]))]).astype(np.float64)
        start = _times(indices, ijk)[2::-1]
        turn = (indices[:3, :3] / np.asarray(later.geometry.spacing_mm))[::-1, ::-1]
        return cls(later, earlier, points, start, np.ascontiguousarray(turn))

    def places(self, field: Field) -> NDArray[np.float64]:
        """(3, N) where the points lie in the earlier images with ``field``, voxels."""
        return self.start + _times(self.turn, np.stack([component[self.points] for component in field]))

    def field_of(self, force: NDArray[np.float64]) -> Field:
        """A force (3, N) by earlier voxels as one on the field (3, K, J, I), by mm."""
        spread = np.zeros((3, *self.later.lung.shape))
        for axis, along in enumerate(_times(self.turn.T, force)):
            spread[axis][self.points] = along
        return spread


def register(
    before: Examination, after: Examination, config: RegistrationConfig, progress: Progress | None = None
) -> tuple[Registration, WorkingImages, WorkingImages]:
    """Register the lungs of two examinations.

    By the surface of the lungs and, where both CTs are at hand, by the structure of the lungs outside opacities. The
    same masks and CTs give the same bits, whatever the number of threads.

    Parameters
    ----------
    before, after : Examination
        The earlier and the later one.
    config : RegistrationConfig
        How.
    progress : callable or None
        Called with stage "registration".

    Returns
    -------
    Registration
        From later to earlier points.
    earlier, later : WorkingImages
        What was registered.
    """
    tell = progress or (lambda _stage, _done, _total: None)
    steps = len(config.mesh_mm) + 1
    tell(STAGE, 0, steps)
    with_ct = before.hu is not None and after.hu is not None
    earlier, later = (WorkingImages.of(e, config, with_ct=with_ct) for e in (before, after))
    matrix, offset = _affine(earlier, later, config)
    tell(STAGE, 1, steps)
    where = Correspondence.of(earlier, later, (matrix, offset), later.distance_mm < config.reach_mm)
    field = np.zeros((3, *later.lung.shape))
    for n, (mesh, iterations, detail) in enumerate(
        zip(config.mesh_mm, config.iterations, config.detail_mm, strict=True)
    ):
        grid = SplineGrid.over(later.geometry.shape, later.geometry.spacing_kji, mesh)
        force = _Force(where, config, detail if with_ct else 0.0, float(np.prod(grid.shape)))
        field = optimized(grid, force, config.stiffness, iterations, field)
        tell(STAGE, n + 2, steps)
    return Registration(matrix, offset, field, later.geometry, with_ct), earlier, later


class _Force:
    """Gradient of the mean squared differences of surface distance and structure."""

    def __init__(self, where: Correspondence, config: RegistrationConfig, detail_mm: float, controls: float) -> None:
        self._where = where
        self._parts = [_Part.of_distance(where, config.surface_mm)]
        if detail_mm > 0:
            self._parts.append(_Part.of_structure(where, detail_mm))
        self._scale = controls / len(where.points[0])

    def __call__(self, field: Field) -> Field:
        places = self._where.places(field)
        force = sum(part.force(places) for part in self._parts)
        return self._where.field_of(self._scale * np.asarray(force))


@dataclass(frozen=True, eq=False)
class _Part:
    """One pair of images: the earlier one with its gradient, and the later one at the points."""

    image: NDArray[np.float32]
    gradient: tuple[NDArray[np.float32], ...]
    values: NDArray[np.float32]
    weights: NDArray[np.float32]

    @classmethod
    def of_distance(cls, where: Correspondence, unit_mm: float) -> _Part:
        image = where.earlier.distance_mm / np.float32(unit_mm)
        values = where.later.distance_mm[where.points] / np.float32(unit_mm)
        return cls(image, _gradient(image), values, np.ones_like(values))

    @classmethod
    def of_structure(cls, where: Correspondence, detail_mm: float) -> _Part:
        earlier, later = (_smooth(images, detail_mm) for images in (where.earlier, where.later))
        weights = where.later.trusted[where.points].astype(np.float32)
        return cls(earlier, _gradient(earlier), later[where.points], weights)

    def force(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        rest = self.weights * (_at(self.image, places) - self.values)
        return np.stack([rest * _at(slope, places) for slope in self.gradient]).astype(np.float64)


def _smooth(images: WorkingImages, detail_mm: float) -> NDArray[np.float32]:
    """The structure at this detail, in standard deviations."""
    structure = np.where(images.trusted, known(images.structure), np.float32(0.0))
    smooth: NDArray[np.float32] = ndimage.gaussian_filter(
        structure, [detail_mm / mm for mm in images.geometry.spacing_kji]
    )
    deviation = float(np.sqrt(np.square(smooth[images.lung], dtype=np.float64).mean()))
    return np.divide(smooth, np.float32(max(deviation, 1e-3)), dtype=np.float32)


def _gradient(image: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """By voxels along K, J, I."""
    return tuple(np.gradient(image, axis=axis).astype(np.float32) for axis in range(3))


def _at(image: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    return ndimage.map_coordinates(image, places, output=np.float32, order=1, mode="nearest")


def _times(matrix: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """``matrix @ columns`` without BLAS, whose sums depend on its threads."""
    return np.stack([sum(weight * column for weight, column in zip(row, columns, strict=True)) for row in matrix])


def _affine(
    earlier: WorkingImages, later: WorkingImages, config: RegistrationConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix and offset from later to earlier points, by the distances to the surfaces of the lungs."""
    fixed, moving = later.image(later.distance_mm), earlier.image(earlier.distance_mm)
    transform = sitk.AffineTransform(3)
    centre = later.centre_mm()
    transform.SetCenter(centre.tolist())
    transform.SetTranslation((earlier.centre_mm() - centre).tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # sums of several threads have other bits
    method.SetNumberOfWorkUnits(1)
    method.SetMetricAsMeanSquares()
    method.SetMetricFixedMask(later.image((later.distance_mm < config.reach_mm).astype(np.uint8)))
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(AFFINE_SHARE, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        AFFINE_FIRST_STEP, AFFINE_LAST_STEP, AFFINE_STEPS, relaxationFactor=AFFINE_RELAXATION
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(fixed, moving)
    matrix = np.reshape(transform.GetMatrix(), (3, 3))
    return matrix, np.asarray(transform.TransformPoint((0.0, 0.0, 0.0)))
