"""Make images of CTs in the cache, several CTs at a time, each in a separate process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.checked import known
from CovidSeverityLib.classification.diagnosis import network_images
from CovidSeverityLib.errors import CancelledError, CovidSeverityError, InputError, OutputError
from CovidSeverityLib.features.classification_image import (
    ClassificationImageConfig,
    classification_images,
    classification_slices,
)
from CovidSeverityLib.io.reading import read_ct
from CovidSeverityLib.preprocessing.orientation import check_orientation
from CovidSeverityLib.segmentation.lungs.lung_segmentation import segment_lungs
from CovidSeverityLib.types import Progress

from .cache import CachedImages, cached_images, image_key, image_path, write_images
from .cases import TrainingCase

STAGE = "cases"
"""Name of this stage in progress calls."""

JOB_BYTES = 2 * 1024**3
"""Memory for the lung segmentation of one CT with 512 x 512 pixels and several hundred slices, bytes."""

_TEMPORARY_PREFIX = ".covid-severity-"


@dataclass(frozen=True)
class PreparedCases:
    """``images`` of each usable case; ``failures`` has the reason for each other case, as a sentence."""

    images: Mapping[str, CachedImages]
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Task:
    """One CT to process; its images are first written to ``temporary``."""

    case: TrainingCase
    config: ClassificationImageConfig
    size_px: int
    path: Path
    temporary: Path


def default_jobs() -> int:
    """CTs at a time for this machine: one per core, limited by free memory (by all memory if that is unknown)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for pages in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):
        if pages in getattr(os, "sysconf_names", {}):
            return max(1, min(cores, os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE") // JOB_BYTES))
    return max(1, cores // 2)


def prepare_images(
    cases: Sequence[TrainingCase],
    config: ClassificationImageConfig,
    size_px: int,
    cache: Path,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> PreparedCases:
    """Make the images of every CT that has no images in the cache.

    A CT that fails does not end the run. An interrupt leaves no partial files, and finished images are not made again.

    Parameters
    ----------
    cases : sequence of TrainingCase
        CTs.
    config : ClassificationImageConfig
        Configuration of the images.
    size_px : int
        Edge length of the square image, pixels.
    cache : Path
        Existing folder.
    jobs : int, optional
        CTs at a time; with 1 all work is done in this process. None means :func:`default_jobs`. With more than 1, every
        process imports the main module of the program, which must not start work on import.
    progress : Progress, optional
        Called with stage "cases" as CTs are done.

    Raises
    ------
    OutputError
        If nothing can be written to ``cache``.
    CancelledError
        At an interrupt.
    CovidSeverityError
        If a process was killed.
    """
    paths, failures = _paths(cases, config, size_px, cache)
    waiting = [case for case in cases if case.name in paths and cached_images(paths[case.name]) is None]
    done = len(cases) - len(waiting)
    try:
        with tempfile.TemporaryDirectory(dir=cache, prefix=_TEMPORARY_PREFIX) as temporary:
            tasks = [_Task(case, config, size_px, paths[case.name], Path(temporary)) for case in waiting]
            with closing(_prepared(tasks, default_jobs() if jobs is None else jobs)) as finished:
                _tell(progress, done, len(cases))
                for name, failure in finished:
                    failures |= {name: failure} if failure else {}
                    done += 1
                    _tell(progress, done, len(cases))
    except KeyboardInterrupt as error:
        raise CancelledError(
            f"stopped after the images of {done} of {len(cases)} CTs; the same command goes on with the rest"
        ) from error
    except OSError as error:
        raise OutputError(f"cannot write images to {cache}: {error.strerror or error}") from error
    found = {case.name: cached_images(paths[case.name]) for case in cases if case.name not in failures}
    in_order = {case.name: failures[case.name] for case in cases if case.name in failures}
    return PreparedCases({name: images for name, images in found.items() if images is not None}, in_order)


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(STAGE, done, total)


def _paths(
    cases: Sequence[TrainingCase], config: ClassificationImageConfig, size_px: int, cache: Path
) -> tuple[dict[str, Path], dict[str, str]]:
    paths, failures = {}, {}
    for case in cases:
        try:
            paths[case.name] = image_path(cache, image_key(case, config, size_px))
        except OSError as error:
            failures[case.name] = f"{case.image.name} cannot be read: {error.strerror or error}"
    return paths, failures


def _prepared(tasks: Sequence[_Task], jobs: int) -> Generator[tuple[str, str | None], None, None]:
    """Names of finished cases, each with the reason if it failed."""
    if min(jobs, len(tasks)) < 2:
        yield from map(_prepare, tasks)
        return
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=spawn, initializer=_obey_parent)
    try:
        for future in as_completed([pool.submit(_prepare, task) for task in tasks]):
            yield future.result()
    except BrokenProcessPool as error:
        raise CovidSeverityError(
            "a process that makes images was ended from outside, most likely for lack of memory; "
            "the same command with fewer --jobs goes on with the rest"
        ) from error
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _obey_parent() -> None:
    """In a process of the pool: ignore Ctrl-C, which the parent handles, and end when the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = known(multiprocessing.parent_process())
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _prepare(task: _Task) -> tuple[str, str | None]:
    """Make and write the images of one CT; return its name and, if the CT cannot be used, the reason."""
    try:
        images = _images(task)
    except CancelledError:
        raise
    except CovidSeverityError as error:
        return task.case.name, str(error)
    except MemoryError:
        return task.case.name, "not enough memory for this volume"
    except Exception as error:  # one of a thousand CTs must not end the run; its error is reported with its name
        return task.case.name, f"unexpected {type(error).__name__}: {error}"
    whole = task.temporary / task.path.name
    write_images(whole, images)
    whole.replace(task.path)
    return task.case.name, None


def _images(task: _Task) -> NDArray[np.uint8]:
    volume = read_ct(task.case.image)
    check_orientation(volume)
    lung = segment_lungs(volume).labels > 0
    slices = classification_slices(lung)
    if not slices:
        raise InputError(f"none of the slices around the middle of this scan ({len(lung)} slices) shows lung")
    return network_images(classification_images(volume.hu, lung, task.config, slices), task.size_px)
