"""From a CT to everything that is known about it: the only place where the stages meet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .analysis import Analysis, ClassifiedCt
from .classification.diagnosis import (
    CLASSIFICATION_STAGE,
    ExplainingClassifier,
    PatientDiagnosis,
    no_slice_reason,
    voting_slices,
)
from .classification.evidence import EXPLANATION_STAGE, classify_slices, with_evidence
from .classification.notes import classification_notes, contradiction_notes
from .config import AnalysisConfig
from .ctss import severity_for
from .errors import InputError
from .features.agreement import agreement_note, covering, lobe_agreement
from .features.low_attenuation import low_attenuation
from .features.quality import (
    low_attenuation_notes,
    resolution_notes,
    result_notes,
    slices_alone_note,
    uncertainty_notes,
)
from .features.quantification import count_voxels, densitometry, opacity_voxels, side_voxels, slice_rows
from .features.totals import ctss_of
from .findings import Provenance
from .io.volume import CtVolume
from .parallel import thread_count
from .preprocessing.body_width import check_body_width
from .preprocessing.orientation import check_orientation
from .segmentation.lobes.external_lobes import lungs_of
from .segmentation.lobes.values import LobeSegmentation, OwnLobes
from .segmentation.lungs.config import LungConfig
from .segmentation.lungs.lung_segmentation import LungSegmentation, LungSegmenter, field_of_view_notes, segment_lungs
from .segmentation.lungs.notes import pleural_gas_notes
from .segmentation.lungs.pleural_gas import pleural_gas
from .segmentation.lungs.single_slices import segment_slice_lungs
from .segmentation.opacity.values import MarkedOpacities
from .stage_clock import StageClock
from .types import Progress
from .version import __version__

STAGES = ("lungs", "lobes", "infection", "scores")
"""Of an analysis without a classifier; one with a classifier has two more before the scores."""

NO_CLASSIFIER = "No classifier weights given: covid-severity models add FILE --as NAME, then --classifier NAME."
"""Why a diagnosis is left open where the caller gave nothing to make it with."""


def analyze(
    volume: CtVolume,
    config: AnalysisConfig | None = None,
    progress: Progress | None = None,
    *,
    lungs: LungSegmentation | LungSegmenter | None = None,
    lobes: LobeSegmentation | None = None,
    compared_lobes: LobeSegmentation | OwnLobes | None = None,
    classifier: ExplainingClassifier | None = None,
    force: bool = False,
    independent_slices: bool = False,
) -> Analysis:
    """Analyse a chest CT; :func:`CovidSeverityLib.analyze` is the same for whatever a user has in hand.

    Parameters
    ----------
    volume : CtVolume
        The CT.
    config : AnalysisConfig or None
        None is the default profile.
    progress, lungs, lobes, classifier, force, independent_slices
        As for :func:`CovidSeverityLib.analyze`, but a classifier has no name here.
    compared_lobes : LobeSegmentation, OwnLobes or None
        Other lobes, which ranges cover too: from elsewhere, or those that are found here. Slices alone have none.

    Returns
    -------
    Analysis

    Raises
    ------
    NoLungsError, InputError
        As :func:`CovidSeverityLib.analyze`, but for what reading raises.
    """
    config = config or AnalysisConfig()
    if config.scoring.own_regions and (lobes is not None or compared_lobes is not None):
        raise InputError(f"lobes cannot be used with the profile {config.profile}, which cuts its own regions")
    clock = StageClock(progress)
    with clock.stage("lungs"):
        alone = independent_slices or volume.is_single_slice
        volume = _admitted(volume, force, alone, config)
        found = _lungs(volume, lungs, lobes, alone, config.lungs)
    with clock.stage("lobes"):
        regions = config.scoring.regions(volume, found.labels, lobes, alone)
        second = None
        if compared_lobes is not None and not alone:
            other = None if isinstance(compared_lobes, OwnLobes) else compared_lobes
            second = config.scoring.regions(volume, found.labels, other, alone)
    with clock.stage("infection", reports_itself=True):
        opacities = config.marking.mark(volume, found.labels > 0, progress, independent_slices=alone)
    diagnosis = _diagnosis(volume, found.labels > 0, classifier, clock)
    with clock.stage("scores"):
        analysis = _assemble(volume, config, found, regions, opacities, alone, second)
        analysis = _with_diagnosis(analysis, diagnosis, classifier, config)
    return replace(analysis, provenance=replace(analysis.provenance, seconds=clock.seconds))


def classify(
    volume: CtVolume,
    classifier: ExplainingClassifier,
    progress: Progress | None = None,
    *,
    lungs: LungSegmentation | LungSegmenter | None = None,
    force: bool = False,
) -> ClassifiedCt:
    """The diagnosis of a chest CT without its severity; the same that :func:`analyze` gives.

    Parameters
    ----------
    volume, classifier, progress, lungs, force
        As for :func:`analyze`.

    Returns
    -------
    ClassifiedCt

    Raises
    ------
    NoLungsError, InputError
        As :func:`analyze`; or no slice around the middle of the scan shows lung.
    """
    clock = StageClock(progress)
    with clock.stage("lungs"):
        alone = volume.is_single_slice
        volume = _admitted(volume, force, alone, AnalysisConfig())
        found = _lungs(volume, lungs, None, alone, LungConfig())
    diagnosis = _diagnosis(volume, found.labels > 0, classifier, clock)
    if diagnosis is None:
        raise InputError(no_slice_reason(len(volume.hu)))
    return ClassifiedCt(
        volume=volume,
        lungs=found.labels,
        diagnosis=diagnosis,
        lungs_from=found.source,
        version=__version__,
        seconds=clock.seconds,
        quality=(*volume.notes, *found.notes, *resolution_notes(volume.geometry), *classification_notes(diagnosis)),
    )


def _diagnosis(
    volume: CtVolume, lung: NDArray[np.bool_], classifier: ExplainingClassifier | None, clock: StageClock
) -> PatientDiagnosis | None:
    """None without a classifier, or where no slice can be classified."""
    if classifier is None or not voting_slices(lung, volume.acquired):
        return None
    with clock.stage(CLASSIFICATION_STAGE, reports_itself=True):
        found = classify_slices(volume, lung, classifier, clock.progress)
    with clock.stage(EXPLANATION_STAGE, reports_itself=True):
        return with_evidence(found, volume, lung, classifier, clock.progress)


def _with_diagnosis(
    analysis: Analysis,
    diagnosis: PatientDiagnosis | None,
    classifier: ExplainingClassifier | None,
    config: AnalysisConfig,
) -> Analysis:
    if diagnosis is None:
        missing = no_slice_reason(len(analysis.volume.hu))
        reason = NO_CLASSIFIER if classifier is None else f"{missing[0].upper()}{missing[1:]}."
        return replace(analysis, classification_reason=reason)
    notes = (
        *contradiction_notes(diagnosis, analysis.infection_percent, config.marking.published, config.notes),
        *classification_notes(diagnosis, config.notes),
    )
    return replace(analysis, classification=diagnosis, quality=(*analysis.quality, *notes))


def _admitted(volume: CtVolume, force: bool, alone: bool, config: AnalysisConfig) -> CtVolume:
    """``volume`` with notes on what its anatomy says; a body of impossible width and an upside-down one are refused."""
    check_body_width(volume, config.body_width)
    found = () if alone else check_orientation(volume, config.orientation, config.lungs.thorax, force=force)
    notes = (slices_alone_note(volume),) if alone else found
    return replace(volume, notes=(*volume.notes, *notes)) if notes else volume


def _lungs(
    volume: CtVolume,
    lungs: LungSegmentation | LungSegmenter | None,
    lobes: LobeSegmentation | None,
    alone: bool,
    config: LungConfig,
) -> LungSegmentation:
    """The lungs, with notes on gas beside them, which slices alone do not show."""
    found = _found_lungs(volume, lungs, lobes, alone, config)
    notes = () if alone else pleural_gas_notes(pleural_gas(volume.hu, found.labels, volume.geometry, config))
    return replace(found, notes=(*found.notes, *notes)) if notes else found


def _found_lungs(
    volume: CtVolume,
    lungs: LungSegmentation | LungSegmenter | None,
    lobes: LobeSegmentation | None,
    alone: bool,
    config: LungConfig,
) -> LungSegmentation:
    if isinstance(lungs, LungSegmentation):
        return lungs
    if lungs is not None:
        return lungs(volume)
    if lobes is not None:
        labels = lungs_of(lobes)
        return LungSegmentation(labels, lobes.source, field_of_view_notes(labels, config.field_of_view))
    return segment_slice_lungs(volume, config) if alone else segment_lungs(volume, config)


def _assemble(
    volume: CtVolume,
    config: AnalysisConfig,
    lungs: LungSegmentation,
    lobes: LobeSegmentation,
    opacities: MarkedOpacities,
    alone: bool,
    second: LobeSegmentation | None,
) -> Analysis:
    counts = count_voxels(lungs.labels, lobes.labels, opacities.mask)
    sides = side_voxels(lungs.labels)
    with ThreadPoolExecutor(thread_count()) as pool:  # none of these needs another
        scored = pool.submit(config.scoring.score, counts, opacities, lobes, volume.geometry)
        labelled = pool.submit(config.marking.kinds, volume, opacities.mask, independent_slices=alone)
        attenuated = pool.submit(low_attenuation, volume, lungs.labels, lobes.labels, config.low_attenuation)
        density = densitometry(volume.hu, lungs.labels, config.mixture, config.measures.well_aerated_hu)
    scores, kinds, low = scored.result(), labelled.result(), attenuated.result()
    agreement = None
    if second is not None:
        others = count_voxels(lungs.labels, second.labels, opacities.mask)
        theirs = config.scoring.score(others, opacities, second, volume.geometry)
        agreement, scores = lobe_agreement(lobes, second, theirs), covering(scores, theirs)
    sides_ml = {} if alone else {side: n * volume.geometry.voxel_ml for side, n in sides.items()}
    percent = 100.0 * float(counts.infected.sum()) / float(counts.lung.sum())
    notes = (
        *resolution_notes(volume.geometry, config.notes),
        *result_notes(lobes, sides_ml, percent, config.notes, config.lungs.notes),
        *uncertainty_notes(scores.lobes, scores.ctss_range, opacities.uncounted, config.notes),
        *low_attenuation_notes(low, volume.kernel, config.notes),
        *(() if agreement is None else (agreement_note(agreement, ctss_of(scores.lobes)),)),
    )
    return Analysis(
        volume=volume,
        lungs=lungs.labels,
        lobes=lobes.labels,
        infection=kinds,
        side_voxels=sides,
        opacity_voxels=opacity_voxels(kinds, lungs.labels),
        lobe_scores=scores.lobes,
        slices=slice_rows(counts, volume),
        severity=severity_for(ctss_of(scores.lobes)),
        ctss_definition=scores.definition,
        densitometry=density,
        low_attenuation=low,
        provenance=_provenance(config, lungs, lobes),
        quality=(*volume.notes, *lungs.notes, *notes),
        ctss_max_variant=scores.ctss_max_variant,
        ctss_range=scores.ctss_range,
        uncounted=opacities.uncounted,
        lobe_agreement=agreement,
    )


def _provenance(config: AnalysisConfig, lungs: LungSegmentation, lobes: LobeSegmentation) -> Provenance:
    """All but the seconds, which are known when every stage has ended."""
    return Provenance(
        version=__version__,
        profile=config.name,
        configuration=config.as_dict(),
        seconds={},
        lungs_from=lungs.source,
        lobes_from=lobes.source,
        lobes_approximate=lobes.approximate,
        fissures=lobes.fissures,
    )
