"""Models that the logic downloads: real child processes, a real server of this machine."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed (pip install '.[slicer-test]')")

from CovidSeveritySlicer.analysis.Classifiers import classifierReadiness, offeredClassifiers
from CovidSeveritySlicer.analysis.Engines import LungSource, lungReadiness
from CovidSeveritySlicer.analysis.ModelDownloads import ModelDownloads
from model_fixtures import CLASSIFIER, LOBES, LUNGS

pytestmark = pytest.mark.slow

HALF = 300_000
SECONDS = 120.0


class Timer:
    """A timer that the test lets run."""

    def __init__(self, _intervalMs, callback, singleShot=False):  # noqa: N803 (Slicer's names)
        self._callback, self._on = callback, False
        Timer.made.append(self)

    def start(self):
        self._on = True

    def stop(self):
        self._on = False

    def tick(self):
        if self._on:
            self._callback()


class Downloads:
    """Downloads, what they told, and the time that passes for them."""

    def __init__(self, make_job):
        Timer.made = []
        self.logic = ModelDownloads(Timer, make_job)
        self.told = []
        for name in ("progressed", "finished", "failed", "cancelled"):
            getattr(self.logic, name).connect(lambda *values, name=name: self.told.append((name, *values)))

    @property
    def end(self):
        (end,) = [told for told in self.told if told[0] != "progressed"]
        return end

    def until(self, condition):
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end
            for timer in list(Timer.made):
                timer.tick()
            time.sleep(0.005)

    def run(self, *names):
        self.logic.start(names)
        self.until(lambda: not self.logic.running)


@pytest.fixture
def downloads(slicer, model_job):
    downloads = Downloads(model_job)
    yield downloads
    downloads.logic.cleanup()


def test_models_are_downloaded_one_after_the_other_and_installed(downloads, installed_models):
    downloads.run(LUNGS, LOBES)
    assert downloads.end == ("finished",)
    assert installed_models() == sorted((LUNGS, LOBES))
    progress = [told[1:] for told in downloads.told if told[0] == "progressed"]
    assert progress[-1] == (LOBES, 600_000, 600_000)
    assert {name for name, _done, _total in progress} == {LUNGS, LOBES}
    assert lungReadiness(LungSource.LUNGMASK).models == ()


def test_cancelled_download_installs_nothing_and_goes_on_when_asked_again(downloads, model_site, installed_models):
    model_site.stalls_after = HALF
    downloads.logic.start([LUNGS, LOBES])
    downloads.until(lambda: any(told[0] == "progressed" for told in downloads.told))
    downloads.logic.cancel()
    downloads.until(lambda: not downloads.logic.running)
    assert downloads.end == ("cancelled",)
    assert installed_models() == []
    assert [model.name for model in lungReadiness(LungSource.LUNGMASK).models] == [LUNGS, LOBES]
    model_site.stalls_after = None
    downloads.told.clear()
    downloads.run(LUNGS)
    assert downloads.end == ("finished",)
    assert installed_models() == [LUNGS]
    begun = model_site.asked[-1]
    assert begun[0] == model_site.paths[LUNGS]
    assert begun[1] is not None


def test_file_with_another_checksum_is_told_and_not_installed(downloads, model_site, installed_models):
    model_site.contents[model_site.paths[CLASSIFIER]] = bytes(600_000)
    downloads.run(CLASSIFIER, LUNGS)
    name, message, _log = downloads.end
    assert name == "failed"
    assert "SHA-256" in message
    assert installed_models() == []
    assert [path for path, _range in model_site.asked] == [model_site.paths[CLASSIFIER]]


def test_no_network_is_told(downloads, model_site, installed_models):
    model_site.close()
    downloads.run(CLASSIFIER)
    name, message, _log = downloads.end
    assert name == "failed"
    assert "cannot be reached" in message
    assert installed_models() == []


def test_classifier_is_offered_until_it_is_installed(downloads, model_site):
    assert offeredClassifiers() == (CLASSIFIER,)
    (offer,) = classifierReadiness(CLASSIFIER).models
    assert (offer.sizeText, offer.licenceText) == ("1 MB", "CC0-1.0")
    assert CLASSIFIER in classifierReadiness(CLASSIFIER).sentence
    assert model_site.asked == []
    downloads.run(CLASSIFIER)
    assert offeredClassifiers() == ()
    assert classifierReadiness(CLASSIFIER).models == ()


@pytest.mark.parametrize(
    ("ask", "work"),
    [
        (lambda logic: logic.start([LUNGS]), "The download"),
        (lambda logic: logic.listFiles(CLASSIFIER), "The request for the list of files"),
    ],
)
def test_crash_is_called_one_of_what_was_asked_for(slicer, python_job, ask, work):
    crashing = Downloads(python_job("import sys; sys.exit(3)"))
    ask(crashing.logic)
    crashing.until(lambda: not crashing.logic.running)
    assert crashing.end == ("failed", f"{work} ended unexpectedly (exit status 3); the log tells more.", "")


def test_one_download_at_a_time(downloads, model_site):
    model_site.stalls_after = HALF
    downloads.logic.start([LUNGS])
    with pytest.raises(RuntimeError, match="running already"):
        downloads.logic.start([LOBES])
