"""From a CT to everything that is known about it: the only place where the stages meet."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .config import AnalysisConfig
from .ctss import CTSS_DEFINITION, CTSS_REFERENCE_DEFINITION, severity_for
from .features.given_lobes import fit_to_lungs, lungs_of
from .features.lobes import anatomical_lobes
from .features.published_score import PublishedScore, published_score
from .features.quantification import (
    Counts,
    count_voxels,
    densitometry,
    lobe_scores,
    opacity_voxels,
    side_voxels,
    slice_rows,
    spilled_lobes,
)
from .features.regions import LobeSegmentation, published_regions
from .features.score_range import with_ranges
from .preprocessing.lungs import LungSegmentation, LungSegmenter, field_of_view_notes, segment_lungs
from .quality import resolution_notes, result_notes, uncertainty_notes
from .results import Analysis, LobeScore, Provenance
from .segmentation.infection import opacity_labels, segment_infection
from .segmentation.lesions import MarkedLesions, segment_lesions, segment_lesions_with_range
from .types import CtVolume, Progress
from .version import __version__

STAGES = ("lungs", "lobes", "infection", "scores")

NO_CLASSIFIER = "No classifier weights are installed; the diagnosis is left open."


def analyze(
    volume: CtVolume,
    config: AnalysisConfig | None = None,
    progress: Progress | None = None,
    *,
    lungs: LungSegmentation | LungSegmenter | None = None,
    lobes: LobeSegmentation | None = None,
) -> Analysis:
    """Analyse a chest CT: lungs, lobes, infection, CT severity score.

    Nothing is printed or written and the network is not used. The same volume and configuration give the same bits,
    whatever the number of threads.

    Parameters
    ----------
    volume : chest CT in Hounsfield units, as :func:`~.io.read_ct` returns it.
    config : None for the default profile.
    progress : called as ``progress(stage, done, total)``; it may raise to stop the analysis.
    lungs : masks from elsewhere, or another way to find them; None finds them here.
    lobes : masks from elsewhere; without ``lungs`` the lungs are their union. None splits the lungs here.

    Returns
    -------
    Analysis

    Raises
    ------
    NoLungsError
        If the volume shows no lungs.
    """
    config = config or AnalysisConfig()
    clock = _Clock(progress)
    with clock.stage("lungs"):
        found = _lungs(volume, lungs, lobes)
    with clock.stage("lobes"):
        regions = _lobes(volume, found.labels, lobes, config)
    with clock.stage("infection", reports_itself=True):
        lesions = _lesions(volume, found.labels > 0, config, progress)
        infected = lesions.mask if lesions else mark_infection(volume, found.labels > 0, config, progress)
    with clock.stage("scores"):
        return _assemble(volume, config, found, regions, infected, lesions, clock)


def mark_infection(
    volume: CtVolume, lung: NDArray[np.bool_], config: AnalysisConfig, progress: Progress | None = None
) -> NDArray[np.bool_]:
    """The infection mask of a profile.

    Parameters
    ----------
    volume : chest CT.
    lung : (K, J, I) bool, at least one voxel.
    config : of the profile.
    progress : called with stage "infection".

    Returns
    -------
    (K, J, I) bool.
    """
    if config.lesions is not None:
        return segment_lesions(volume.hu, lung, volume.geometry, config.lesions, progress)
    return segment_infection(volume.hu, lung, config.infection, progress).mask


def _lesions(
    volume: CtVolume, lung: NDArray[np.bool_], config: AnalysisConfig, progress: Progress | None
) -> MarkedLesions | None:
    """Opacities with their range; None by the published method, which has none."""
    if config.lesions is None:
        return None
    return segment_lesions_with_range(volume.hu, lung, volume.geometry, config.lesions, progress)


def _lungs(
    volume: CtVolume, lungs: LungSegmentation | LungSegmenter | None, lobes: LobeSegmentation | None
) -> LungSegmentation:
    if isinstance(lungs, LungSegmentation):
        return lungs
    if lungs is None and lobes is not None:
        labels = lungs_of(lobes)
        return LungSegmentation(labels, lobes.source, field_of_view_notes(labels))
    return (lungs or segment_lungs)(volume)


def _lobes(
    volume: CtVolume, lungs: NDArray[np.uint8], lobes: LobeSegmentation | None, config: AnalysisConfig
) -> LobeSegmentation:
    if config.slice_scores is not None:
        return published_regions(lungs)
    return fit_to_lungs(lobes, lungs) if lobes is not None else anatomical_lobes(volume, lungs)


def _published_score(volume: CtVolume, counts: Counts, config: AnalysisConfig) -> PublishedScore | None:
    if config.slice_scores is None:
        return None
    return published_score(counts, volume.hu.shape[1] * volume.hu.shape[2], config.slice_scores)


def _assemble(
    volume: CtVolume,
    config: AnalysisConfig,
    lungs: LungSegmentation,
    lobes: LobeSegmentation,
    infected: NDArray[np.bool_],
    lesions: MarkedLesions | None,
    clock: _Clock,
) -> Analysis:
    ml = volume.geometry.voxel_ml
    counts = count_voxels(lungs.labels, lobes.labels, infected)
    published = _published_score(volume, counts, config)
    scores, ctss_range = _scores(counts, published, volume, lobes, infected, lesions)
    uncounted = lesions.uncounted if lesions else None
    opacities = opacity_labels(volume.hu, infected)
    sides = side_voxels(lungs.labels)
    percent = 100.0 * float(counts.infected.sum()) / float(counts.lung.sum())
    notes = (
        *resolution_notes(volume.geometry),
        *result_notes(lobes, {side: n * ml for side, n in sides.items()}, percent),
        *uncertainty_notes(scores, ctss_range, uncounted),
    )
    return Analysis(
        volume=volume,
        lungs=lungs.labels,
        lobes=lobes.labels,
        infection=opacities,
        side_voxels=MappingProxyType(sides),
        opacity_voxels=MappingProxyType(opacity_voxels(opacities, lungs.labels)),
        lobe_scores=scores,
        slices=slice_rows(counts, volume),
        severity=severity_for(sum(lobe.score for lobe in scores)),
        ctss_definition=CTSS_REFERENCE_DEFINITION if published else CTSS_DEFINITION,
        densitometry=densitometry(volume.hu, lungs.labels, config.mixture),
        provenance=_provenance(config, lungs, lobes, clock),
        quality=(*volume.notes, *lungs.notes, *notes),
        ctss_max_variant=sum(published.maximum.values()) if published else None,
        ctss_range=ctss_range,
        uncounted=uncounted,
        classification_reason=NO_CLASSIFIER,
    )


def _scores(
    counts: Counts,
    published: PublishedScore | None,
    volume: CtVolume,
    lobes: LobeSegmentation,
    infected: NDArray[np.bool_],
    lesions: MarkedLesions | None,
) -> tuple[tuple[LobeScore, ...], tuple[int, int] | None]:
    """Scores of the lobes, and the range of their sum where the profile knows one."""
    spilled = spilled_lobes(infected, lobes.labels) if lobes.approximate and not published else ()
    means = published.mean if published else None
    scores = lobe_scores(counts, volume.geometry.voxel_ml, means, lobes.confidence, spilled)
    if lesions is None:
        return scores, None
    ranged = with_ranges(scores, (infected, lesions.stricter, lesions.more_lenient), lobes, volume.geometry)
    return ranged.lobes, ranged.ctss


def _provenance(config: AnalysisConfig, lungs: LungSegmentation, lobes: LobeSegmentation, clock: _Clock) -> Provenance:
    return Provenance(
        version=__version__,
        profile=config.profile,
        configuration=MappingProxyType(config.as_dict()),
        seconds=clock.seconds,
        lungs_from=lungs.source,
        lobes_from=lobes.source,
        lobes_approximate=lobes.approximate,
        fissures=lobes.fissures,
    )


@dataclass
class _Clock:
    """Seconds per stage, and the stages' beginnings and ends for the caller's progress."""

    progress: Progress | None
    _seconds: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> Mapping[str, float]:
        """A view that goes on growing until the last stage ends."""
        return MappingProxyType(self._seconds)

    @contextmanager
    def stage(self, name: str, reports_itself: bool = False) -> Iterator[None]:
        """Time a stage; one that ``reports_itself`` calls the progress function on its own."""
        if self.progress is not None and not reports_itself:
            self.progress(name, 0, 1)
        began = time.perf_counter()
        yield
        self._seconds[name] = round(time.perf_counter() - began, 3)
        if self.progress is not None and not reports_itself:
            self.progress(name, 1, 1)
