"""The effect of each step of the preprocessing: one step at a time is switched off, as in the paper's ablations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from CovidSeverityLib.checked import known
from CovidSeverityLib.config import AnalysisConfig
from CovidSeverityLib.evaluation.cases import Case
from CovidSeverityLib.evaluation.estimates import Estimate
from CovidSeverityLib.evaluation.journal import Record
from CovidSeverityLib.features.classification_image import (
    ClassificationImageConfig,
    classification_images,
    image_variants,
)
from CovidSeverityLib.metrics import MaskAgreement

from .segmentation import (
    CaseAgreement,
    LoadedCase,
    Protocol,
    compare,
    load_case,
    slice_agreements,
    summarise_segmentation,
)
from .slice_lists import SliceList

COMPLETE = "all steps"

SHOWN_MEASURES = ("dice", "sensitivity", "precision")
"""Measures in the plots and for the classification image; specificity and accuracy are always close to 1."""


@dataclass(frozen=True)
class AblationSummary:
    """Measures of every variant over cases, for the opacity mask and for the classification image."""

    segmentation: Mapping[str, Mapping[str, Estimate]]
    images: Mapping[str, Mapping[str, Estimate]]


def segmentation_variants(config: AnalysisConfig) -> Mapping[str, AnalysisConfig]:
    """The opacity mask with all steps, and without each of them.

    The published steps are filling, dilation, vessel filter and area opening. Those of the default profile are the
    smoothing of the log-odds, and the removal of small regions with the filling of small gaps.
    """
    if not config.marking.published:
        steps: dict[str, Any] = {
            "without filling": {"fill_holes": False},
            "without smoothing": {"smoothing_mm": 0.0},
            "without volume opening": {"smallest_ml": 0.0},
        }
        mask = known(config.lesions)
        variants = {name: replace(config, lesions=replace(mask, **step)) for name, step in steps.items()}
    else:
        by_mixtures = known(config.infection)
        published = {
            "without filling": replace(by_mixtures, fill_holes=False),
            "without boundary": replace(by_mixtures, dilation_px=1),
            "without vesselness": replace(by_mixtures, vesselness=replace(by_mixtures.vesselness, enabled=False)),
            "without area opening": replace(by_mixtures, open_area=False),
        }
        variants = {name: replace(config, infection=infection) for name, infection in published.items()}
    return MappingProxyType({COMPLETE: config} | variants)


def evaluate_ablation(
    case: Case,
    mask: AnalysisConfig,
    image: ClassificationImageConfig,
    slices: SliceList | None = None,
    labels: Sequence[int] | None = None,
) -> Record:
    """Agreement of every variant with the truth; errors as in :func:`~.segmentation.load_case`."""
    loaded = load_case(case, slices, labels)
    masks = {
        name: compare(loaded, config.marking.mark(loaded.volume, loaded.lung).mask)
        for name, config in segmentation_variants(mask).items()
    }
    images = {name: _compare_images(loaded, config) for name, config in image_variants(image).items()}
    return {"voxel_ml": loaded.volume.geometry.voxel_ml, "segmentation": masks, "images": images}


def _compare_images(loaded: LoadedCase, config: ClassificationImageConfig) -> list[list[float | int]]:
    """As :func:`~.segmentation.compare`, for the non-zero pixels of the image."""
    lit = np.zeros(loaded.truth.shape, dtype=bool)
    shown = [k for _, k in loaded.slices if loaded.lung[k].any()]
    if shown:
        images = classification_images(loaded.volume.hu, loaded.lung, config, shown)
        lit[shown] = images > 0
    return compare(loaded, lit)


def summarise_ablation(records: Mapping[str, Record], protocol: Protocol) -> AblationSummary:
    """Means over cases, with intervals."""
    return AblationSummary(
        segmentation=_summaries(records, "segmentation", protocol), images=_summaries(records, "images", Protocol.ALL)
    )


def _summaries(records: Mapping[str, Record], what: str, protocol: Protocol) -> Mapping[str, Mapping[str, Estimate]]:
    variants = next(iter(records.values()))[what]
    return MappingProxyType(
        {
            name: summarise_segmentation(
                [
                    CaseAgreement(case, record["voxel_ml"], 0.0, slice_agreements(record[what][name]))
                    for case, record in records.items()
                ],
                protocol,
            ).per_case
            for name in variants
        }
    )


def ablation_rows(records: Mapping[str, Record], protocol: Protocol) -> list[tuple[str, str, str, MaskAgreement]]:
    """Case, ablated mask or image, variant, and agreement over the case's slices."""
    rows = []
    for case, record in records.items():
        for what in ("segmentation", "images"):
            rule = protocol if what == "segmentation" else Protocol.ALL
            for name, values in record[what].items():
                agreement = CaseAgreement(case, record["voxel_ml"], 0.0, slice_agreements(values))
                rows.append((case, what, name, MaskAgreement.pooled(agreement.counted(rule))))
    return rows
