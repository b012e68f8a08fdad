"""The memory that an analysis needs, estimated from the size in a header before anything is allocated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from CovidSeverityLib.errors import TooLargeError

GB = 2**30
"""Bytes of a gigabyte, as memory is sold and as systems show it."""

FIXED_BYTES = 900 * 2**20
"""Memory of the libraries, and of data on blocks of 1 to 2 mm, whose number does not depend on the voxel size."""

VOXEL_BYTES = 12
"""Peak memory of ``analyze`` per voxel: the CT, its masks, and the arrays of a stage. Measured, resident:

=================== ======== =========
voxels              measured estimated
=================== ======== =========
256 x 256 x 100     0.6 GB   1.0 GB
512 x 512 x 148     1.0 GB   1.3 GB
512 x 512 x 600     2.0 GB   2.6 GB
1024 x 1024 x 400   4.7 GB   5.6 GB
1024 x 1024 x 1200  13.3 GB  14.9 GB
=================== ======== =========

(MetaImage of int16, two cores; 11 bytes per voxel and 0.6 GB. With 512 x 512 x 600 voxels, NIfTI of float64 needed
2.5 GB and the profile "reference" 2.3 GB.)
"""

CGROUPS = Path("/proc/self/cgroup")
"""The control groups of this process, one per line: ``number:controllers:path`` (Linux)."""

CGROUP_ROOT = Path("/sys/fs/cgroup")
"""Mount point of control groups: version 2 directly here, version 1 in one folder per controller."""


_SHARE_OF_PROCESS: ContextVar[int | None] = ContextVar("memory of this process", default=None)


class Memory(NamedTuple):
    """Memory that this process may use, and the free part of it, bytes; None if a container hides the free part."""

    total: int
    free: int | None


def check_cost(size: tuple[int, int, int], name: str) -> None:
    """Refuse a volume whose analysis needs more memory than the machine has.

    The limit is the whole memory of the machine or of the container, not the free memory. The same input then gets the
    same answer, and memory of other programs can be swapped out.

    Parameters
    ----------
    size : (int, int, int)
        Number of voxels along the three axes, in any order, from the header.
    name : str
        Name of the file or folder in the message.

    Raises
    ------
    TooLargeError
        If there is too little memory; the message gives both amounts.

    Examples
    --------
    >>> check_cost((512, 512, 300), "chest.nii.gz")
    """
    needed = needed_bytes(size)
    memory = usable_memory()
    if needed <= memory.total:
        return
    shape = " x ".join(str(n) for n in size)
    has = f"this process may use {_gb(memory.total)}"
    if memory.free is not None:
        has = f"this machine has {_gb(memory.total)} ({_gb(memory.free)} free)"
    raise TooLargeError(
        f"{name}: the analysis of {shape} voxels would need {_gb(needed)} of memory; {has}; "
        "resample it to fewer voxels or take a larger machine"
    )


def needed_bytes(size: tuple[int, int, int]) -> int:
    """Estimated peak of resident memory for the analysis of a volume of ``size``, bytes.

    Parameters
    ----------
    size : (int, int, int)
        Number of voxels along the three axes.
    """
    return FIXED_BYTES + VOXEL_BYTES * prod(int(n) for n in size)


@contextmanager
def memory_bounded(limit: int) -> Iterator[None]:
    """Within the ``with`` block, and in its thread, at most ``limit`` bytes count as usable; 0 for no limit."""
    token = _SHARE_OF_PROCESS.set(limit or None)
    try:
        yield
    finally:
        _SHARE_OF_PROCESS.reset(token)


def usable_memory() -> Memory:
    """The memory of this machine, or the part that its control groups (containers, batch systems) allow.

    :func:`memory_bounded` makes it less.
    """
    import psutil  # Slicer imports this package before missing packages are installed

    machine = psutil.virtual_memory()
    limits = [limit for limit in (_cgroup_limit(), _SHARE_OF_PROCESS.get()) if limit is not None]
    if limits and min(limits) < machine.total:
        return Memory(min(limits), None)
    return Memory(machine.total, machine.available)


def _cgroup_limit() -> int | None:
    """The lowest limit of the control groups of this process and of those above them; None without a limit."""
    try:
        lines = CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount, file = CGROUP_ROOT, "memory.max"
        elif "memory" in controllers.split(","):
            mount, file = CGROUP_ROOT / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        limits += [_limit(mount / folder / file) for folder in (group, *group.parents)]
    return min((limit for limit in limits if limit is not None), default=None)


def _limit(file: Path) -> int | None:
    """The number in ``file``; None for "max", or if the file does not exist (a container sees only its own group)."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _gb(count: int) -> str:
    return f"{count / GB:,.1f} GB" if count < 10 * GB else f"{count / GB:,.0f} GB"
