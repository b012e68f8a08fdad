"""Faults in the processes of a batch: Python loads this at the start of each, where PYTHONPATH leads here.

COVID_SEVERITY_FAULTS is a folder with ``plan.json``: the faults by place, the changed limits and the clock. A fault
that was done is a file in it, so that each is done as often as it should, whichever process comes to its place. The
product knows nothing of this: its functions are wrapped when their modules are loaded.
"""

from __future__ import annotations

import ctypes
import errno
import importlib.abc
import json
import os
import signal
import sys
import time
from pathlib import Path

STATE = Path(os.environ["COVID_SEVERITY_FAULTS"])
PLAN = json.loads((STATE / "plan.json").read_text("utf-8"))
RENAMES_BEFORE = 2
"""A fault of the stage "rename" comes when so many files have taken their places."""

LONGEST_HOLD_S = 240
DAY_S = 86400.0
PRELOADED = (
    *("CovidSeverityLib.batch.case", "CovidSeverityLib.reporting.overview", "CovidSeverityLib.pipeline"),
    *("SimpleITK", "matplotlib.figure", "skimage.measure", "scipy.ndimage", "nibabel", "nrrd", "PIL.Image"),
)
"""What a worker loads: with Dask's method "forkserver" it is loaded once, not by every worker that takes the place of a
killed one."""


def taken(case: str, place: str) -> dict | None:
    """The fault of a place, if one is left to be done there; it counts as done."""
    for fault in PLAN.get("faults", ()):
        if (fault["case"], fault["at"]) != (case, place):
            continue
        for n in range(fault.get("times", 1)):
            try:
                os.close(os.open(STATE / f"{case}-{place}.{n}", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            return fault
    return None


def do(fault: dict | None) -> None:
    """Do a fault."""
    if fault is not None:
        ACTIONS[fault["do"]](fault)


def _hang(_fault: dict) -> None:
    while True:
        time.sleep(0.05)


def _fill_memory(fault: dict) -> None:
    """Take memory until the process holds ``gb``, then hang."""
    import psutil

    held, process = [], psutil.Process()
    while process.memory_info().rss < fault["gb"] * 2**30:
        held.append(b"\1" * (1 << 23))
    _hang(fault)


def _raise(fault: dict) -> None:
    code = getattr(errno, fault["error"])
    raise OSError(code, os.strerror(code))


def _change(fault: dict) -> None:
    with Path(fault["path"]).open("ab") as file:
        file.write(b"\0")


def _hold(fault: dict) -> None:
    end = time.monotonic() + LONGEST_HOLD_S
    while not (STATE / f"{fault['case']}-{fault['at']}.go").exists() and time.monotonic() < end:
        time.sleep(0.02)


ACTIONS = {
    "kill": lambda fault: os.kill(os.getpid(), signal.SIGKILL),
    "kill-run": lambda fault: os.killpg(0, signal.SIGKILL),
    "stop": lambda fault: os.kill(os.getpid(), signal.SIGSTOP),
    "hang": _hang,
    "hang-with-lock": lambda fault: ctypes.PyDLL(None).sleep(3600),
    "memory": _fill_memory,
    "error": _raise,
    "change": _change,
    "hold": _hold,
}


def _wrap_case(module) -> None:
    run, write = module.AnalysisRequest.run, module.write_analysis

    def faulty_run(self, classifier, no_classifier="", progress=None):
        return run(self, classifier, no_classifier, _faulty_progress(Path(self.source).parent.name, progress))

    def faulty_write(result, images, folder, pages, progress, *, seal, more):
        def half_a_seal(path):
            seal(path)
            _at_half(path, folder.name)

        return write(
            result, images, folder, pages, _faulty_progress(folder.name, progress), seal=half_a_seal, more=more
        )

    module.AnalysisRequest.run, module.write_analysis = faulty_run, faulty_write


def _faulty_progress(case: str, progress):
    def told(stage, done, total):
        progress(stage, done, total)
        if stage != "write" or done == 2:
            do(taken(case, stage))

    return told


def _at_half(path: Path, case: str) -> None:
    fault = taken(case, "half")
    if fault is not None:
        os.truncate(path, path.stat().st_size // 2)
        do(fault)


def _wrap_tables(module) -> None:
    write = module._write_index

    def faulty(tables, sheets, plan, path):
        write(tables, sheets, plan, path)
        _at_half(path, "OUT")

    module._write_index = faulty


def _change_limits(module) -> None:
    initial = module.BatchConfig.__init__
    names = tuple(module.BatchConfig.__dataclass_fields__)
    limits = PLAN.get("limits", {})
    initial.__defaults__ = tuple(
        limits.get(name, usual) for name, usual in zip(names, initial.__defaults__, strict=True)
    )


def _wrap_forkserver(module) -> None:
    preload = module.set_forkserver_preload
    module.set_forkserver_preload = lambda names: preload([*names, *PRELOADED])


WRAPPERS = {
    "CovidSeverityLib.batch.case": _wrap_case,
    "CovidSeverityLib.batch.files": _wrap_tables,
    "CovidSeverityLib.batch.config": _change_limits,
    "multiprocessing.forkserver": _wrap_forkserver,
}


class Wrapping(importlib.abc.MetaPathFinder):
    """Finds the modules to wrap as the others do, and wraps their functions after they are loaded."""

    def find_spec(self, name, path, target=None):
        if name not in WRAPPERS:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None:
            load = spec.loader.exec_module

            def load_and_wrap(module):
                load(module)
                WRAPPERS[name](module)

            spec.loader.exec_module = load_and_wrap
        return spec


def _wrap_replace() -> None:
    replace, counts = os.replace, {}

    def faulty(source, target, **options):
        case = Path(target).parent.name
        counts[case] = counts.get(case, 0) + 1
        if counts[case] > RENAMES_BEFORE:
            do(taken(case, "rename"))
        return replace(source, target, **options)

    os.replace = faulty


def _wrap_clock() -> None:
    clock, begun = time.time, time.monotonic()

    def jumping() -> float:
        """A day forward, and a day back, in turns of half a second."""
        return clock() + (0, DAY_S, -DAY_S)[int((time.monotonic() - begun) * 2) % 3]

    time.time = jumping


sys.meta_path.insert(0, Wrapping())
_wrap_replace()
if PLAN.get("clock"):
    _wrap_clock()
