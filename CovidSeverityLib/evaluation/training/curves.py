"""The curves of a training: loss and accuracy, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from CovidSeverityLib.classification.training.history import EpochRecord, best_epoch
from CovidSeverityLib.evaluation.plots import BLUE, GREEN, MUTED, ORANGE, label_axes, panels, picture_writer
from CovidSeverityLib.reporting.output_folder import FileWriter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def curves(history: Sequence[EpochRecord]) -> FileWriter:
    """A panel for the loss and one for the accuracy; a line marks the epoch whose weights were kept."""
    losses = {
        "training": (BLUE, [record.loss for record in history]),
        "validation": (ORANGE, [record.validation_loss for record in history]),
    }
    accuracies = {
        "training, slices": (BLUE, [record.accuracy for record in history]),
        "validation, slices": (ORANGE, [record.validation_accuracy for record in history]),
        "validation, CTs": (GREEN, [record.validation_patient_accuracy for record in history]),
    }

    def draw(figure: Figure) -> None:
        loss, accuracy = panels(figure, 2)
        epochs = [record.epoch for record in history]
        _lines(loss, epochs, losses)
        _lines(accuracy, epochs, accuracies)
        loss.set_ylim(bottom=0)
        accuracy.set_ylim(-0.02, 1.02)
        kept = best_epoch(history).epoch
        for axes, title in ((loss, "loss, weighted by class"), (accuracy, "accuracy")):
            axes.axvline(kept, color=MUTED, linewidth=0.8, linestyle="--")
            label_axes(axes, f"{title}; weights of epoch {kept} are kept", "epoch", "")

    return picture_writer(draw, 2)


def _lines(axes: Axes, epochs: Sequence[int], lines: Mapping[str, tuple[str, Sequence[float]]]) -> None:
    for name, (colour, values) in lines.items():
        axes.plot(epochs, values, color=colour, linewidth=1.6, marker="o", markersize=3, label=name)
    locator: Any = axes.xaxis.get_major_locator()  # of a plain axis: an AutoLocator
    locator.set_params(integer=True)
    axes.legend(frameon=False, fontsize=8)
