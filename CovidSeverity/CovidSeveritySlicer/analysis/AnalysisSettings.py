"""Options of an analysis."""

from __future__ import annotations

from dataclasses import dataclass

from .Engines import LungSource


@dataclass(frozen=True)
class AnalysisSettings:
    """Options of an analysis.

    Parameters
    ----------
    profile : str
        "default" or "reference".
    classifier : str or None
        None takes the installed model, "none" gives no diagnosis. Otherwise the name of a model or a file of weights.
    independent_slices : bool
        Analyse each slice by itself.
    force : bool
        Analyse a CT although it is stored upside down.
    lungs : LungSource
        What finds lungs and lobes.
    """

    profile: str = "default"
    classifier: str | None = None
    independent_slices: bool = False
    force: bool = False
    lungs: LungSource = LungSource.BUILT_IN

    def arguments(self) -> list[str]:
        """Arguments for the command line."""
        chosen = [] if self.classifier is None else ["--classifier", self.classifier]
        switches = {"--independent-slices": self.independent_slices, "--force": self.force}
        options = [*chosen, *self.lungs.arguments(), *(switch for switch, on in switches.items() if on)]
        return ["--profile", self.profile, *options]


DEFAULT_SETTINGS = AnalysisSettings()
