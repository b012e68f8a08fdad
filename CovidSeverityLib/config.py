"""The configuration of an analysis: one frozen value, from which a result can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

from .errors import InputError
from .features.classification_image import ClassificationImageConfig, image_variants
from .features.low_attenuation import LowAttenuationConfig
from .features.published_score import SliceScoreConfig
from .segmentation.infection_config import InfectionConfig
from .segmentation.lesion_config import LesionConfig
from .segmentation.mixture import MixtureConfig

PROFILES = ("default", "reference")


@dataclass(frozen=True)
class AnalysisConfig:
    """How a CT is analysed.

    Parameters
    ----------
    profile : name of the profile that this configuration began as.
    lesions : the infection mask of the default profile; None marks it as published, by ``infection``.
    infection : the published infection mask; None where ``lesions`` marks it.
    mixture : fitted to the histogram of both lungs, to describe it in the report; no mask depends on it.
    low_attenuation : which density is that of emphysema; no score depends on it.
    slice_scores : None scores lobes by their volume; otherwise the published slice-wise score over rows of slices.
    """

    profile: str = "default"
    lesions: LesionConfig | None = LesionConfig()
    infection: InfectionConfig | None = None
    mixture: MixtureConfig = MixtureConfig()
    low_attenuation: LowAttenuationConfig = LowAttenuationConfig()
    slice_scores: SliceScoreConfig | None = None

    def __post_init__(self) -> None:
        if (self.lesions is None) == (self.infection is None):
            both = "neither is" if self.lesions is None else "both are"
            raise ValueError(f"infection is marked either by lesions or by infection; {both} given")

    @classmethod
    def for_profile(cls, profile: str) -> AnalysisConfig:
        """The configuration of ``"default"`` or of ``"reference"``, the published method as its authors run it.

        Raises
        ------
        InputError
            If there is no such profile.
        """
        if profile == "default":
            return cls()
        if profile == "reference":
            return cls(
                profile="reference",
                lesions=None,
                infection=PUBLISHED_CTSS,
                mixture=PUBLISHED_CTSS.mixture,
                slice_scores=SliceScoreConfig(),
            )
        raise InputError(f"no profile {profile!r}; there are {' and '.join(PROFILES)}")

    def as_dict(self) -> dict[str, Any]:
        """The whole configuration as plain values, for a report."""
        return asdict(self)


PUBLISHED_SEGMENTATION = InfectionConfig()
"""Infection masks of the paper's segmentation tables."""

PUBLISHED_CTSS = InfectionConfig(
    clip_hu=None,
    window_ceiling_hu=30.0,
    window_caps_hu=(10.0, 30.0),
    background_hu=0,
    smallest_px=50,
    mixture=MixtureConfig(variance_floor_hu2=0.0),
)
"""Infection masks of the paper's severity score: other caps, and a vessel filter that sees 0 HU outside the lung."""

PUBLISHED_CLASSIFICATION_IMAGE = ClassificationImageConfig(infection=PUBLISHED_CTSS)
"""What the published classifier was trained with: the windows of the severity score, vessels and small objects kept."""

CLASSIFICATION_IMAGES: Mapping[str, ClassificationImageConfig] = MappingProxyType(
    {name.replace(" ", "-"): config for name, config in image_variants(PUBLISHED_CLASSIFICATION_IMAGE).items()}
)
"""Images that a classifier can be trained with, by name: the published one, and those of the ablation studies."""


def mask_config(profile: str) -> AnalysisConfig:
    """How ``profile`` marks infection where the mask itself is wanted: for ``"reference"``, as in the paper's tables.

    Raises
    ------
    InputError
        If there is no such profile.
    """
    config = AnalysisConfig.for_profile(profile)
    return config if config.lesions is not None else replace(config, infection=PUBLISHED_SEGMENTATION)
