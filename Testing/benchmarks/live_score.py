"""Seconds from an edit in the Segment Editor to the new score and tables, on a CT of 512 x 512 x SLICES voxels.

A thread counts them: ``slicer_window.py`` says for how long the window is held.

Run as ``python Testing/benchmarks/live_score.py [SLICES]`` from the repository, with slicer-core installed; SLICES is
even, by default 148. It takes two cores. Edits are made by Slicer's own Segment Editor logic. A benchmark, not
a test: nothing is asserted.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:2])
ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "slicer"), str(ROOT / "CovidSeverity")]

import conftest
import numpy as np
import slicer
import slicer.util
from scipy import ndimage
from vtk.util.numpy_support import vtk_to_numpy

from CovidSeverityLib import Analysis, CtVolume, Geometry, Lobe, Side, analyze
from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom
from CovidSeverityLib.features.quantification import (
    count_voxels,
    densitometry,
    lobe_scores,
    opacity_voxels,
    side_voxels,
    slice_rows,
)
from CovidSeverityLib.features.spill import spilled_lobes
from CovidSeverityLib.reporting import write_results
from CovidSeverityLib.segmentation.opacity.published.mixture import MixtureConfig

FACTORS = (2, 4, 4)
SLICES = int(sys.argv[1]) if len(sys.argv) > 1 else 148
COARSE_SHAPE = (SLICES // 2, 128, 128)
COARSE_MM = (320.0 / COARSE_SHAPE[0], 2.8, 2.8)
FINE_MM = tuple(mm / factor for mm, factor in zip(COARSE_MM, FACTORS, strict=True))
"""A synthetic chest is analysed on a coarse grid, and every voxel of it becomes 2 x 4 x 4."""


def main() -> None:
    analysis = fine_chest()
    lungs_ml = sum(analysis.side_ml(side) for side in Side)
    print(f"{analysis.volume.hu.shape} voxels (K, J, I), lungs {lungs_ml:.0f} ml, CTSS {analysis.ctss}")
    begin_slicer()
    from CovidSeveritySlicer.corrections.LiveScore import DELAY_MS, LiveScore

    user = User(analysis, imported(analysis))
    before = memory_mb()
    live = LiveScore(lambda interval_ms, callback, singleShot=False: Expired())  # noqa: N803
    taken, _ = seconds(lambda: (live.follow(user.result), live.update()))
    print(f"to begin {taken:.2f} s, memory {before} MB before and {memory_mb()} MB after")
    both = []
    for name in user.edits():
        both.append(seconds(live.update))
        score = "automatic" if live.corrected is None else f"CTSS {live.corrected.ctss}"
        print(f"  {name:<44} {both[-1][0]:5.2f} s, of a processor {both[-1][1]:5.2f} s  {score}")
    taken, processor = (max(column) + DELAY_MS / 1000 for column in zip(*both, strict=True))
    print(f"slowest with the delay before it {taken:.2f} s, of a processor alone {processor:.2f} s")
    print(f"memory {memory_mb()} MB with the Segment Editor's undo, peak {peak_mb()} MB")


def begin_slicer() -> None:
    """An application with an empty scene."""
    slicer.app = conftest.Application(slicer)
    slicer.mrmlScene = slicer.app.scene
    slicer.modules = conftest._register_logics(slicer, slicer.app)


def ct_node(analysis: Analysis) -> Any:
    """The CT of an analysis in the scene."""
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ analysis.volume.stored_geometry.ijk_to_lps
    return slicer.util.addVolumeFromArray(analysis.volume.hu, ijkToRAS=matrix)


def imported(analysis: Analysis) -> Any:
    """The result of an analysis in the scene."""
    from CovidSeveritySlicer.scene.SceneBridge import importResult

    with tempfile.TemporaryDirectory() as folder:
        write_results(analysis, Path(folder))
        return importResult(Path(folder), ct_node(analysis))


class Expired:
    """A timer that nobody waits for."""

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


class User:
    """A result in the scene and the hands on it."""

    def __init__(self, analysis: Analysis, result: Any) -> None:
        self.analysis, self.result = analysis, result
        self.editor = slicer.vtkSlicerSegmentEditorLogic()
        self.editor.SetMRMLScene(slicer.mrmlScene)
        self.editor.SetMRMLApplicationLogic(slicer.app.logic)
        self.editor.SetSegmentEditorNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
        self.editor.SetSegmentationNode(self.result.segmentationNode)
        history = slicer.vtkSegmentationHistory()
        history.SetSegmentation(self.result.segmentationNode.GetSegmentation())
        self.editor.SetSegmentationHistory(history)

    def edits(self) -> Iterator[str]:
        """Make one edit after the other, by its name; all segments are overwritten, as Slicer does by default."""
        lobes, lungs, infection = self.analysis.lobes, self.analysis.lungs, self.analysis.infection
        yield from self.edit("a brush of 30 mm, ground glass", "ground_glass_opacity", ball(lobes == Lobe.LUL, 15))
        yield from self.edit("a spot of 6 mm in a lobe without others", "consolidation", ball(lobes == Lobe.RML, 3))
        yield from self.edit("a whole lobe, ground glass", "ground_glass_opacity", lobes == Lobe.RLL)
        yield from self.edit("scattered through both lungs, ground glass", "ground_glass_opacity", scattered(lungs))
        yield from self.edit("all opacity erased", "ground_glass_opacity", infection > 0, erase=True)
        yield from self.edit("a lobe's border moved by 6 mm", "RUL", border(lobes))
        base = (lungs == Side.RIGHT) & (np.arange(len(lungs)) < lowest(lungs) + voxels(32.0, 0))[:, None, None]
        yield from self.edit("the base of a lung erased", "right_lung", base, erase=True)
        added = grown(lungs == Side.RIGHT) & (lungs == 0)
        yield from self.edit("a lung made larger by 3 mm, everywhere", "right_lung", added)

    def edit(self, name: str, segment: str, where: np.ndarray, erase: bool = False) -> Iterator[str]:
        """An edit, and then its undoing."""
        self.editor.SetCurrentSegmentID(segment)
        self.editor.ResetModifierLabelmapToDefault()
        brush = self.editor.GetModifierLabelmap()
        vtk_to_numpy(brush.GetPointData().GetScalars()).reshape(brush.GetDimensions()[::-1])[...] = where
        brush.Modified()
        self.editor.SaveStateForUndo()
        mode = self.editor.ModificationModeRemove if erase else self.editor.ModificationModeAdd
        self.editor.ModifySegmentByLabelmap(self.result.segmentationNode, segment, brush, mode, False, False)
        yield name
        self.editor.Undo()
        yield "  undone"


def fine_chest() -> Analysis:
    """A synthetic chest of 512 x 512 x SLICES voxels, analysed."""
    return fine(analyze(make_phantom(0, shape=COARSE_SHAPE, spacing_mm=COARSE_MM).volume))


def fine(coarse: Analysis) -> Analysis:
    """The same chest with 2 x 4 x 4 voxels for each, counted anew."""
    hu, lungs, lobes, infection = (
        enlarged(array) for array in (coarse.volume.hu, coarse.lungs, coarse.lobes, coarse.infection)
    )
    old = coarse.volume.geometry
    geometry = Geometry(hu.shape[::-1], FINE_MM[::-1], old.origin_mm, old.direction)
    volume = CtVolume(hu, geometry, geometry, name="chest")
    counts = count_voxels(lungs, lobes, infection > 0)
    scores = lobe_scores(counts, geometry.voxel_ml, spilled=spilled_lobes(infection > 0, lobes))
    return replace(
        coarse,
        volume=volume,
        lungs=lungs,
        lobes=lobes,
        infection=infection,
        side_voxels=side_voxels(lungs),
        opacity_voxels=opacity_voxels(infection, lungs),
        lobe_scores=scores,
        slices=slice_rows(counts, volume),
        densitometry=densitometry(hu, lungs, MixtureConfig()),
    )


def enlarged(array: np.ndarray) -> np.ndarray:
    for axis, factor in enumerate(FACTORS):
        array = np.repeat(array, factor, axis=axis)
    return array


def ball(mask: np.ndarray, radius_mm: float) -> np.ndarray:
    """Around the middle of a mask, cut to it."""
    middle = np.argwhere(mask)[np.count_nonzero(mask) // 2]
    axes = np.ogrid[tuple(slice(0, n) for n in mask.shape)]
    squares = (((n - m) * mm) ** 2 for n, m, mm in zip(axes, middle, FINE_MM, strict=True))
    return (sum(squares) < radius_mm**2) & mask


def scattered(lungs: np.ndarray) -> np.ndarray:
    """About a twentieth of the lungs in thousands of spots, in every slice."""
    coarse = np.random.default_rng(0).random(COARSE_SHAPE) < 0.05
    return enlarged(coarse) & (lungs > 0)


def border(lobes: np.ndarray) -> np.ndarray:
    """What of the right lower lobe lies within 6 mm above or below the upper."""
    upper = lobes == Lobe.RUL
    return ndimage.binary_dilation(upper, np.ones((3, 1, 1), bool), iterations=voxels(6.0, 0)) & (lobes == Lobe.RLL)


def grown(mask: np.ndarray) -> np.ndarray:
    """By 3 mm along every axis."""
    for axis in range(3):
        for _ in range(voxels(3.0, axis)):
            mask = mask | np.roll(mask, 1, axis) | np.roll(mask, -1, axis)
    return mask


def voxels(mm: float, axis: int) -> int:
    return round(mm / FINE_MM[axis])


def lowest(lungs: np.ndarray) -> int:
    return int(np.flatnonzero(lungs.any(axis=(1, 2)))[0])


def seconds(function: Callable[[], object]) -> tuple[float, float]:
    """By the clock and of a processor: on a busy machine the clock also counts what others do."""
    began, busy = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - began, time.process_time() - busy


def memory_mb() -> int:
    """Resident now, as Linux tells it."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 2**20


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
