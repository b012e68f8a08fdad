"""What an input may cost: memory is estimated from its size before anything is allocated."""

from __future__ import annotations

import re
from collections import namedtuple

import psutil
import pytest

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.io import cost
from CovidSeverityLib.io.cost import GB, check_cost, needed_bytes, usable_memory
from CovidSeverityLib.io.reading import read_ct

CHEST = (512, 512, 300)
LARGEST = (1024, 1024, 1200)
NO_LIMIT_OF_VERSION_1 = "9223372036854771712\n"


@pytest.fixture
def machine(monkeypatch):
    """A function that gives the machine so much memory, total and free, in gigabytes."""

    def set_memory(total_gb, free_gb):
        memory = namedtuple("Memory", "total available")(int(total_gb * GB), int(free_gb * GB))
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)

    return set_memory


@pytest.fixture
def groups(monkeypatch, tmp_path):
    """A function that puts this process in control groups: its lines, and the limit files by their paths."""

    def put(lines, files):
        (tmp_path / "cgroup").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for path, text in files.items():
            (tmp_path / "mount" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "mount" / path).write_text(text, encoding="ascii")

    monkeypatch.setattr(cost, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cost, "CGROUP_ROOT", tmp_path / "mount")
    return put


def test_too_large_an_input_is_refused_with_both_figures(machine, groups):
    machine(16, 12)
    with pytest.raises(InputError) as caught:
        check_cost((4000, 4000, 4000), "big.nii")
    needed = f"{needed_bytes((4000, 4000, 4000)) / GB:,.0f} GB"
    assert str(caught.value).startswith(
        f"big.nii: the analysis of 4000 x 4000 x 4000 voxels would need {needed} of memory; "
        "this machine has 16 GB (12 GB free); "
    )


def test_what_fits_the_machine_is_let_through_though_others_hold_its_memory(machine, groups):
    machine(16, 0.5)
    assert check_cost(CHEST, "chest.nii") is None


def test_the_limit_is_where_the_need_is(machine, groups):
    machine(needed_bytes(CHEST) / GB, 1)
    check_cost(CHEST, "chest.nii")
    with pytest.raises(InputError, match=r"chest\.nii"):
        check_cost((*CHEST[:2], CHEST[2] + 1), "chest.nii")


def test_need_grows_with_the_voxels_and_not_with_their_order():
    assert needed_bytes((1024, 512, 7)) == needed_bytes((7, 1024, 512))
    assert needed_bytes(LARGEST) < 20 * GB
    assert needed_bytes((2**20, 2**20, 2**20)) > 2**60  # no overflow


@pytest.mark.parametrize(
    ("lines", "files"),
    [
        (["0::/pods/one"], {"pods/one/memory.max": "4294967296\n"}),
        (["0::/pods/one"], {"pods/one/memory.max": "max\n", "pods/memory.max": "4294967296\n"}),
        (["0::/"], {"memory.max": "4294967296\n"}),
        (["2:cpu:/x", "4:memory:/docker/abc"], {"memory/memory.limit_in_bytes": "4294967296\n"}),
        (
            ["5:cpuset,memory:/job", "0::/"],
            {"memory/job/memory.limit_in_bytes": "4294967296\n", "memory/memory.limit_in_bytes": NO_LIMIT_OF_VERSION_1},
        ),
    ],
    ids=["version 2", "group above", "own namespace", "docker version 1", "version 1 with others"],
)
def test_a_container_has_what_its_control_group_lets_it_have(machine, groups, lines, files):
    machine(64, 50)
    groups(lines, files)
    assert usable_memory() == (4 * GB, None)
    with pytest.raises(InputError, match=re.escape("this process may use 4.0 GB; ")):
        check_cost(LARGEST, "big.nii")


@pytest.mark.parametrize(
    ("lines", "files"),
    [
        (["0::/pods/one"], {"pods/one/memory.max": "max\n"}),
        (["4:memory:/"], {"memory/memory.limit_in_bytes": NO_LIMIT_OF_VERSION_1}),
        (["3:cpuset:/x"], {"memory/x/memory.limit_in_bytes": "1000\n"}),
        (["0::/gone"], {}),
    ],
    ids=["max", "no limit of version 1", "other controller", "no files"],
)
def test_groups_without_a_limit_leave_the_machine(machine, groups, lines, files):
    machine(64, 50)
    groups(lines, files)
    assert usable_memory() == (64 * GB, 50 * GB)


def test_without_control_groups_the_machine_counts(machine, groups):
    machine(8, 2)
    assert usable_memory() == (8 * GB, 2 * GB)


def test_this_machine_has_memory():
    memory = usable_memory()
    assert memory.total > 2**28
    assert memory.free is None or memory.free <= memory.total


def test_series_that_needs_more_is_refused_before_its_pixels_are_read(
    machine, groups, tmp_path, write_series, chest_hu
):
    machine(0.5, 0.4)
    files = write_series(tmp_path / "scan", chest_hu)
    seen = []
    with pytest.raises(InputError, match="the analysis of 36 x 30 x 12 voxels would need"):
        read_ct(files[0].parent, progress=lambda *progress: seen.append(progress))
    assert seen == []
