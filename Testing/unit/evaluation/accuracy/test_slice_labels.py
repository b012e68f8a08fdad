"""Radiologists' labels of slices, and the slices that they belong to."""

import pytest

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.accuracy.slice_labels import SliceLabels, labels_at, no_infection, read_slice_labels

HEADER = "file,z_mm,infected,LLL,LUL,RLL,RML,RUL"
NONE, LEFT_LOWER = (False,) * 5, (False, False, False, False, True)


def written(folder, *lines):
    path = folder / "P1_labels.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_labels_of_lobes_come_in_the_order_of_the_library_whatever_the_columns(tmp_path):
    labels = read_slice_labels(written(tmp_path, HEADER, "001.dcm,-52.1,0,0,0,0,0,0", "002.dcm,-54.1,1,1,0,1,0,0"))
    assert labels.z_mm == (-52.1, -54.1)
    assert labels.infected == (False, True)
    assert labels.lobes == (NONE, (False, False, True, False, True))  # RUL, RML, RLL, LUL, LLL


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("file,z_mm,infected,LLL,LUL,RLL,RML", "a,1,0,0,0,0,0"), "one column each is needed of z_mm, infected, RUL"),
        ((HEADER, "a,here,0,0,0,0,0,0"), "line 2: z_mm is 'here'"),
        ((HEADER, "a,1,2,0,0,0,0,0"), "line 2: a label is '2'; 0 or 1"),
        ((HEADER, "a,1,1,0,0,0,0"), "line 2: a label is ''"),
        ((HEADER,), "no rows"),
    ],
)
def test_table_that_is_none_of_labels_is_refused(tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        read_slice_labels(written(tmp_path, *lines))


def test_labels_are_found_by_z_in_any_order_within_half_a_slice():
    labels = SliceLabels((-54.1, -52.1, -56.1), (True, False, False), (LEFT_LOWER, NONE, NONE))
    found = labels_at(labels, (-56.0, -54.0, -52.9), 2.0)
    assert found.infected == (False, True, False)
    assert found.lobes == (NONE, LEFT_LOWER, NONE)
    assert found.z_mm == (-56.0, -54.0, -52.9)


@pytest.mark.parametrize(
    ("z_mm", "message"),
    [
        ((0.0, 2.0, 4.0), "1 of 3 slices have no label within 1 mm; the first is at z = 4 mm"),
        ((0.0,), "1 of 2 labels have no slice within 1 mm; the first is at z = 2 mm"),
        ((100.0, 102.0), "2 of 2 slices have no label"),
    ],
)
def test_labels_of_another_ct_are_refused(z_mm, message):
    with pytest.raises(InputError, match=message):
        labels_at(no_infection((0.0, 2.0)), z_mm, 2.0)


def test_labels_that_contradict_each_other_are_refused():
    labels = SliceLabels((0.0, 2.0, 2.1), (False, True, False), (NONE, LEFT_LOWER, NONE))
    with pytest.raises(InputError, match=r"z = 2.1 mm has labels that contradict"):
        labels_at(labels, (0.0, 2.0), 2.0)
    again = SliceLabels((0.0, 2.0, 2.1), (False, True, True), (NONE, LEFT_LOWER, LEFT_LOWER))
    assert labels_at(again, (0.0, 2.0), 2.0).infected == (False, True)


@pytest.mark.parametrize("name", ["P001", "cap001"])
def test_labels_of_the_real_cts_can_be_read(real_ct_root, name):
    labels = read_slice_labels(real_ct_root / f"{name}_labels.csv")
    assert 0 < sum(labels.infected) < len(labels.z_mm)
    assert all(any(lobes) == infected for lobes, infected in zip(labels.lobes, labels.infected, strict=True))
