"""One analysis at a time: a volume of the scene goes through a child process to nodes of the scene. No GUI."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from CovidSeveritySlicer.events.Signal import Signal
from CovidSeveritySlicer.events.Timers import TimerFactory, qtTimer
from CovidSeveritySlicer.scene.Result import AnalysisResult
from CovidSeveritySlicer.scene.SceneBridge import Outputs, ResultImport

from .AnalysisSettings import DEFAULT_SETTINGS, AnalysisSettings
from .ChildLogic import AnalysisError, ChildLogic, Run
from .Classifiers import NO_CLASSIFIER, classifierReadiness, installedClassifiers
from .Engines import LungSource, lungReadiness
from .InputFiles import Inputs, UnusableInput
from .Install import InstallDeclined, InstallFailed, ensurePackages
from .Job import Job, libraryJob

__all__ = ["AnalysisError", "AnalysisLogic"]

RESULTS_FOLDER = "results"


NEW_OUTPUTS = Outputs()


@dataclass(kw_only=True)
class _Run(Run):
    inputs: Inputs
    volumeNode: Any
    outputs: Outputs
    scene: Any
    observation: int = 0


class _Arrival:
    """The result on its way into the scene."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._import = ResultImport(run.folder / RESULTS_FOLDER, run.volumeNode)

    def read(self) -> None:
        """Delete the copy of the CT, and read the files of the result, which stay until the end of the session."""
        self._run.inputs.remove()
        self._import.read()

    def finish(self) -> AnalysisResult:
        """Make its nodes."""
        return self._import.finish(self._run.outputs)


class AnalysisLogic(ChildLogic):
    """Runs the library in a child process and brings its result into the scene.

    A thread writes the files for the child and reads its files: the window is never held for long.

    Signals
    -------
    started()
        An analysis has begun.
    progressed(stage: str, done: int, total: int)
        The library reports progress.
    finished(result: AnalysisResult), failed(message: str, log: str), cancelled()
        The analysis has ended. Exactly one of the three is emitted.

    Parameters
    ----------
    timerFactory, makeJob : callable
        As for :class:`~.ChildLogic.ChildLogic`.
    ensure : callable
        Installs missing packages if the user agrees.
    """

    def __init__(
        self,
        timerFactory: TimerFactory = qtTimer,
        makeJob: Callable[..., Job] = libraryJob,
        ensure: Callable[..., None] = ensurePackages,
    ) -> None:
        ChildLogic.__init__(self, timerFactory, makeJob)
        self.started = Signal()
        self._ensure = ensure
        self._session: tempfile.TemporaryDirectory | None = None

    def start(
        self,
        volumeNode: Any,
        settings: AnalysisSettings = DEFAULT_SETTINGS,
        outputs: Outputs = NEW_OUTPUTS,
        segmentationNode: Any = None,
    ) -> None:
        """Start an analysis and return. A signal reports its end.

        Parameters
        ----------
        volumeNode : any
            VtkMRMLScalarVolumeNode A chest CT in Hounsfield units.
        settings : AnalysisSettings
            Profile, classifier and other options.
        outputs : Outputs
            Nodes to fill. None makes a new node.
        segmentationNode : any
            VtkMRMLSegmentationNode Its lungs or lobes are used instead of being found.

        Raises
        ------
        AnalysisError
            An analysis is running already, packages are missing, or the input cannot be used.
        """
        if self.running:
            raise AnalysisError(_("An analysis is running already. Wait until it ends, or cancel it."))
        if volumeNode is None:
            raise AnalysisError(_("No CT is chosen. Load a chest CT and choose it as input."))
        if settings.lungs is LungSource.SCENE and segmentationNode is None:
            raise AnalysisError(_("No segmentation is chosen. Choose one, or another source of the lungs."))
        ensureFor(settings, self._ensure)
        folder = self._newFolder()
        try:
            inputs = Inputs(volumeNode, folder, segmentationNode)
            arguments = ["analyze", *inputs.arguments, *settings.arguments()]
            output = ["-o", str(folder / RESULTS_FOLDER), "--progress", "json"]
            job = self._makeJob([*arguments, *output], work=_("The analysis"), timerFactory=self._timerFactory)
        except (UnusableInput, OSError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise AnalysisError(str(error)) from error
        scene = slicer.mrmlScene
        self._launch(_Run(job=job, inputs=inputs, folder=folder, volumeNode=volumeNode, outputs=outputs, scene=scene))

    def analyze(
        self,
        volumeNode: Any,
        settings: AnalysisSettings = DEFAULT_SETTINGS,
        outputs: Outputs = NEW_OUTPUTS,
        segmentationNode: Any = None,
    ) -> AnalysisResult:
        """Like :meth:`start`, but wait for the result. Meanwhile the application handles its events.

        Raises
        ------
        AnalysisError
            As for :meth:`start`, or the analysis failed or was cancelled. ``log`` holds the log of the program.
        """
        self.start(volumeNode, settings, outputs, segmentationNode)
        run = self._run
        self._waitFor(run)
        if run.result is None:
            raise run.error or AnalysisError(_("The analysis ended without a result."))
        return run.result

    def ensure(self, **extras: bool) -> None:
        """Install missing packages if the user agrees, as :func:`~.Install.ensurePackages`.

        Raises
        ------
        InstallDeclined, InstallFailed
            They are still missing.
        """
        self._ensure(**extras)

    def cleanup(self) -> None:
        """Cancel a running analysis and delete the files of this session."""
        self.cancel()
        self._background.finish()
        if self._session is not None:
            self._session.cleanup()
            self._session = None

    def _launch(self, run: _Run) -> None:
        self._begin(run)
        run.observation = run.scene.AddObserver(run.scene.StartCloseEvent, lambda *_caller: self.cancel())
        self.started.emit()
        self._writeInputs(run)

    def _writeInputs(self, run: _Run) -> None:
        run.inputs.expectNoChange()
        self._write(run, lambda: run.inputs.write(lambda: run.cancelled))

    def _written(self, run: _Run, written: Future[None]) -> None:
        """Start the child. If the CT was changed meanwhile, write it again."""
        if written.exception() is None and run.inputs.changed and not run.cancelled:
            self._writeInputs(run)
        else:
            ChildLogic._written(self, run, written)

    def _arrival(self, run: _Run) -> _Arrival:
        return _Arrival(run)

    def _tidy(self, run: _Run) -> None:
        run.scene.RemoveObserver(run.observation)
        ChildLogic._tidy(self, run)

    def _newFolder(self) -> Path:
        if self._session is None:
            parent = slicer.app.temporaryPath
            self._session = tempfile.TemporaryDirectory(prefix="CovidSeverity-", dir=parent, ignore_cleanup_errors=True)
        return Path(tempfile.mkdtemp(dir=self._session.name))


def ensureFor(settings: AnalysisSettings, ensure: Callable[..., None]) -> None:
    """Ask for missing packages; for TensorFlow only if there is a classifier. Models are not asked for.

    Parameters
    ----------
    settings : AnalysisSettings
        Their classifier and their source of lungs count.
    ensure : callable
        As :func:`~.Install.ensurePackages`.

    Raises
    ------
    AnalysisError
        Packages or models are missing. For packages it was raised from the reason.
    """
    try:
        ensure()
        for readiness in (lungReadiness(settings.lungs), classifierReadiness(settings.classifier or "")):
            if readiness.models or readiness.extension:
                raise AnalysisError(readiness.sentence)
        for extra in settings.lungs.extras:
            ensure(**{extra: True})
        if settings.classifier == NO_CLASSIFIER:
            return
        if settings.classifier is not None:
            ensure(classifier=True)
        elif installedClassifiers():
            with contextlib.suppress(InstallDeclined, InstallFailed):  # the report says why there is no diagnosis
                ensure(classifier=True)
    except (InstallDeclined, InstallFailed) as error:
        raise AnalysisError(str(error)) from error
