"""What is made once a run and read by every process is what was made: the same bits, read-only where it was."""

import numpy as np
import pytest

from Testing.once import Once, load, store


def test_value_is_made_by_the_first_and_read_by_the_others(tmp_path):
    made = []

    def make():
        made.append(1)
        return np.arange(6)

    for one in (Once(tmp_path), Once(tmp_path)):  # two processes
        np.testing.assert_array_equal(one("six", make), np.arange(6))
        one("six", make)
    assert made == [1]


def test_failure_is_raised_and_the_next_tries_again(tmp_path):
    with pytest.raises(ZeroDivisionError):
        Once(tmp_path)("one", lambda: 1 / 0)
    assert Once(tmp_path)("one", lambda: 1) == 1


def test_what_cannot_be_changed_cannot_be_changed_afterwards(tmp_path):
    fixed, free = np.arange(12.0).reshape(3, 4), np.arange(5)
    fixed.flags.writeable = False
    store({"fixed": fixed, "free": free}, tmp_path / "value")
    found = load(tmp_path / "value")
    np.testing.assert_array_equal(found["fixed"], fixed)
    assert not found["fixed"].flags.writeable
    assert found["free"].flags.writeable
