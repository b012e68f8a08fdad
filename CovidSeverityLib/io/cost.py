"""What an analysis will cost in memory, told from the size in a header before anything is allocated."""

from __future__ import annotations

from math import prod
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from CovidSeverityLib.errors import InputError

GB = 2**30
"""Bytes of a gigabyte as memory is sold, and as every system shows it."""

FIXED_BYTES = 900 * 2**20
"""Libraries, and what is held on blocks of 1 to 2 mm: a body has only so many of them, whatever its voxels."""

VOXEL_BYTES = 12
"""Peak of a whole ``analyze``, a voxel: the CT, its masks and what a stage holds beside them. Measured, resident:

=================== ======== =========
voxels              measured estimated
=================== ======== =========
256 x 256 x 100     0.6 GB   1.0 GB
512 x 512 x 148     1.0 GB   1.3 GB
512 x 512 x 600     2.0 GB   2.6 GB
1024 x 1024 x 400   4.7 GB   5.6 GB
1024 x 1024 x 1200  13.3 GB  14.9 GB
=================== ======== =========

(MetaImage of int16, two cores; 11 bytes a voxel and 0.6 GB. Of 512 x 512 x 600 voxels, NIfTI of float64 took 2.5 GB and
the profile "reference" 2.3 GB.)
"""

CGROUPS = Path("/proc/self/cgroup")
"""The control groups of this process, a line each: ``number:controllers:path`` (Linux)."""

CGROUP_ROOT = Path("/sys/fs/cgroup")
"""Where control groups are mounted: version 2 here, version 1 in a folder for every controller."""


class Memory(NamedTuple):
    """What this process may use, and what of it is free, bytes; None where a container's limit leaves that unknown."""

    total: int
    free: int | None


def check_cost(size: tuple[int, int, int], name: str) -> None:
    """Refuse a volume whose analysis needs more memory than there is.

    The measure is all the memory that the machine has, or a container lets it have, and not what is free just now: the
    same input gets the same answer, and what other programs hold can be swapped out.

    Parameters
    ----------
    size : voxels along the three axes, in any order, as the header promises them.
    name : of the file or folder, for the message.

    Raises
    ------
    InputError
        With what is needed and what there is.

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
    raise InputError(
        f"{name}: the analysis of {shape} voxels would need {_gb(needed)} of memory; {has}; "
        "resample it to fewer voxels or take a larger machine"
    )


def needed_bytes(size: tuple[int, int, int]) -> int:
    """Peak of resident memory of an analysis of a volume of ``size``, estimated.

    Parameters
    ----------
    size : voxels along the three axes.
    """
    return FIXED_BYTES + VOXEL_BYTES * prod(int(n) for n in size)


def usable_memory() -> Memory:
    """The memory of this machine, or what its control groups (containers, batch systems) leave of it."""
    import psutil  # Slicer imports this package before it has installed what it lacks

    machine = psutil.virtual_memory()
    limit = _cgroup_limit()
    if limit is not None and limit < machine.total:
        return Memory(limit, None)
    return Memory(machine.total, machine.available)


def _cgroup_limit() -> int | None:
    """The lowest limit of this process's control groups and those above them; None without any."""
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
    """The number in ``file``; None where there is none ("max"), or no such file (a container sees its own group)."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _gb(count: int) -> str:
    return f"{count / GB:,.1f} GB" if count < 10 * GB else f"{count / GB:,.0f} GB"
