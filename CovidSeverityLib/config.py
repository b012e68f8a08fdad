"""The configuration of an analysis: one frozen value, from which a result can be made again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from .checked import check_fields, known
from .errors import ConfigurationError
from .features.config import MeasureConfig, NoteConfig
from .features.low_attenuation import LowAttenuationConfig
from .features.published_score import SliceScoreConfig
from .features.scoring import Scoring, SliceScoring, VolumeScoring
from .preprocessing.body_width import BodyWidthConfig
from .preprocessing.orientation import OrientationConfig
from .segmentation.lobes.config import LobeConfig
from .segmentation.lungs.config import LungConfig
from .segmentation.opacity.marking import OpacityMarking, PublishedMarking, VolumetricMarking
from .segmentation.opacity.published.config import PUBLISHED_CTSS, PUBLISHED_SEGMENTATION, PublishedOpacityConfig
from .segmentation.opacity.published.mixture import MixtureConfig
from .segmentation.opacity.volumetric.config import OpacityConfig

PROFILES = ("default", "reference")


@dataclass(frozen=True)
class AnalysisConfig:
    """How a CT is analysed.

    Parameters
    ----------
    profile : str
        Name of the profile that this configuration began as. :attr:`name` says whether it is still that one.
    lungs : LungConfig
        How the lungs are found.
    lesions : OpacityConfig or None
        How the default profile marks opacities. None marks them as published, by ``infection``.
    infection : PublishedOpacityConfig or None
        How the published method marks opacities. None where ``lesions`` marks them.
    mixture : MixtureConfig
        Describes the histogram of both lungs in the report. No mask depends on it.
    low_attenuation : LowAttenuationConfig
        Which density is that of emphysema. No score depends on it.
    slice_scores : SliceScoreConfig or None
        The published score of rows of slices. None scores lobes by their volume.
    body_width : BodyWidthConfig
        How wide a body is.
    orientation : OrientationConfig
        How it is seen that the header of a CT is wrong.
    lobes : LobeConfig
        How the lungs are divided into lobes. The published score has regions of its own.
    measures : MeasureConfig
        What counts where lobes are scored by their volume, and well-aerated lung is measured.
    notes : NoteConfig
        When a reader is warned.

    Raises
    ------
    ConfigurationError
        If there is no such profile, if it marks opacities in another way, or a value is of the wrong type.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from CovidSeverityLib import AnalysisConfig
    >>> config = AnalysisConfig()
    >>> config.name
    'default'
    >>> replace(config, low_attenuation=replace(config.low_attenuation, thin_threshold_hu=-940)).name
    'custom (from default)'
    """

    profile: str = "default"
    lungs: LungConfig = LungConfig()
    lesions: OpacityConfig | None = OpacityConfig()
    infection: PublishedOpacityConfig | None = None
    mixture: MixtureConfig = MixtureConfig()
    low_attenuation: LowAttenuationConfig = LowAttenuationConfig()
    slice_scores: SliceScoreConfig | None = None
    body_width: BodyWidthConfig = BodyWidthConfig()
    orientation: OrientationConfig = OrientationConfig()
    lobes: LobeConfig = LobeConfig()
    measures: MeasureConfig = MeasureConfig()
    notes: NoteConfig = NoteConfig()

    def __post_init__(self) -> None:
        if (self.lesions is None) == (self.infection is None):
            both = "neither is" if self.lesions is None else "both are"
            raise ConfigurationError(f"infection is marked either by lesions or by infection; {both} given")
        check_fields(self)
        _check_profile(self.profile)
        means = "lesions" if self.profile == "default" else "infection"
        if getattr(self, means) is None:
            raise ConfigurationError(
                f"AnalysisConfig: profile is {self.profile!r}, which marks infection by {means}, and {means} is None; "
                f"AnalysisConfig.for_profile({self.profile!r}) is that profile"
            )

    @property
    def name(self) -> str:
        """What a report says of it: the profile, or that it was changed, as in ``"custom (from default)"``."""
        return self.profile if self == AnalysisConfig.for_profile(self.profile) else f"custom (from {self.profile})"

    @classmethod
    def for_profile(cls, profile: str) -> AnalysisConfig:
        """The configuration of ``"default"`` or of ``"reference"``, the published method as its authors run it.

        Raises
        ------
        ConfigurationError
            If there is no such profile.
        """
        _check_profile(profile)
        if profile == "default":
            return cls()
        return cls(
            profile="reference",
            lesions=None,
            infection=PUBLISHED_CTSS,
            mixture=PUBLISHED_CTSS.mixture,
            slice_scores=SliceScoreConfig(),
        )

    @property
    def marking(self) -> OpacityMarking:
        """What marks opacities."""
        return PublishedMarking(known(self.infection)) if self.lesions is None else VolumetricMarking(self.lesions)

    @property
    def scoring(self) -> Scoring:
        """What divides the lungs into regions and scores them."""
        if self.slice_scores is not None:
            return SliceScoring(self.slice_scores)
        return VolumeScoring(self.lobes, self.measures)

    def as_dict(self) -> dict[str, Any]:
        """The whole configuration as plain values, for a report; functions by their names."""
        return asdict(
            self, dict_factory=lambda pairs: {name: getattr(value, "__name__", value) for name, value in pairs}
        )


def _check_profile(profile: str) -> None:
    if profile not in PROFILES:
        raise ConfigurationError(f"no profile {profile!r}; there are {' and '.join(PROFILES)}")


def mask_config(profile: str) -> AnalysisConfig:
    """How ``profile`` marks opacities where the mask itself is wanted: for ``"reference"``, as in the paper's tables.

    Raises
    ------
    ConfigurationError
        If there is no such profile.
    """
    config = AnalysisConfig.for_profile(profile)
    return replace(config, infection=PUBLISHED_SEGMENTATION) if config.marking.published else config
