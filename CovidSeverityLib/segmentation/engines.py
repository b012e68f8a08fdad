"""What finds lungs and lobes: the library itself, a network, or an installed program."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from CovidSeverityLib.io.volume import CtVolume

from .lobes.command_engine import LobeCommand
from .lobes.external_lobes import lobes_from_labels
from .lobes.values import LobeSegmentation, OwnLobes
from .lungs.lungmask_engine import LTRC_LOBES, LungmaskEngine, lungmask_lobes


@dataclass(frozen=True)
class LungmaskLobes:
    """lungmask's LTRCLobes.

    Parameters
    ----------
    weights : Path
        Its weights.
    """

    weights: Path

    def __call__(self, volume: CtVolume) -> LobeSegmentation:
        """The lobes of ``volume``; errors as of :func:`~.lungs.lungmask_engine.lungmask_lobes`."""
        name = f"{LTRC_LOBES.name} ({self.weights.name})"
        found = lobes_from_labels(lungmask_lobes(volume, self.weights), volume, name)
        return replace(found, source=f"lungmask {name}")


LobeEngine = LungmaskLobes | LobeCommand | OwnLobes


@dataclass(frozen=True)
class Engines:
    """What finds lungs and lobes where no mask is given. It can be sent to another process.

    Parameters
    ----------
    lungs : LungmaskEngine or None
        None for the library's own segmentation.
    lobes : LungmaskLobes, LobeCommand or OwnLobes
        What finds the lobes that are scored.
    compared_lobes : LungmaskLobes, LobeCommand, OwnLobes or None
        A second engine for the lobes, which ranges of scores cover too.
    """

    lungs: LungmaskEngine | None = None
    lobes: LobeEngine = field(default_factory=OwnLobes)
    compared_lobes: LobeEngine | None = None
