"""Which slices of which case are evaluated."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.paper.slice_lists import SliceList, parse_slice_list


@pytest.fixture
def listed(tmp_path) -> Callable[[str], SliceList]:
    """A function that writes a table and reads it."""

    def read(text: str) -> SliceList:
        path = tmp_path / "slices.csv"
        path.write_text(text, encoding="utf-8")
        return parse_slice_list(str(path))

    return read


def test_without_a_list_every_slice_counts():
    assert SliceList().for_case("P001", 4) == (0, 1, 2, 3)
    assert SliceList().names is None
    assert SliceList().has("anything")


@pytest.mark.parametrize("text", ["7-10,19,22", " 7 - 10 , 19,22 ", "22;19;7–10", "7-9, 9-10 19 22", "7-10,19,22,19"])
def test_an_inline_list_holds_for_every_case_and_counts_from_one(text):
    slices = parse_slice_list(text)
    assert slices.for_case("P001", 22) == (6, 7, 8, 9, 18, 21)
    assert slices.for_case("other", 30) == (6, 7, 8, 9, 18, 21)
    assert slices.names is None


def test_one_slice_is_a_list():
    assert parse_slice_list("1").for_case("P001", 1) == (0,)


def test_a_slice_beyond_the_last_is_refused_with_their_number():
    with pytest.raises(InputError, match=r"slice 22 of P001 .* it has 21 slices"):
        parse_slice_list("7-10,22,19").for_case("P001", 21)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        (",", "is empty"),
        ("0", "the first slice is 1"),
        ("0-3", "the first slice is 1"),
        ("10-7", "runs backwards; 7-10 is right"),
        ("7-", "'7-'"),
        ("-7", "'-7'"),
        ("3-5-7", "'3-5-7'"),
        ("99999999999999999999", "99999"),
        ("7-x", "7-x is neither a list of slices"),
        ("all", "all is neither"),
        ("x" * 5000, "is neither"),
        ("folder/missing.csv", "^missing.csv is neither"),
    ],
)
def test_what_is_no_list_is_refused(text, reason):
    with pytest.raises(InputError, match=reason):
        parse_slice_list(text)


def test_a_huge_range_is_refused_without_being_counted_out():
    with pytest.raises(InputError, match="it has 40 slices"):
        parse_slice_list("1-999999999").for_case("P001", 40)


@pytest.mark.parametrize(
    "text",
    [
        'case,slices\nP001,"7-10,19"\nP002,3\n',
        "case,slices\nP001,7-10,19\nP002,3\n",
        "case;slices\nP001;7-10,19\nP002;3\n",
        "case\tslices\nP001\t7-10 19\nP002\t3\n",
        "P001,7-10,19\nP002,3\n",
        "P001,7-10\nP002,3\nP001,19\n",
        "P001;7-10,19\nP002;3\n",
        "Patient ID,Slice Number\r\nP001,7\r\nP001,8\r\nP001,9\r\nP001,10\r\nP001,19\r\n\r\nP002,3,,\r\n",
        "\ufeffslices,case\n7-10;19,P001\n3,P002\n",
    ],
)
def test_a_table_has_a_list_for_each_case(listed, text):
    slices = listed(text)
    assert slices.names == ("P001", "P002")
    assert slices.for_case("P001", 40) == (6, 7, 8, 9, 18)
    assert slices.for_case("P002", 40) == (2,)


def test_a_case_without_a_list_is_left_to_the_caller_and_never_evaluated_whole(listed):
    slices = listed("P001,3\n")
    assert slices.has("P001")
    assert not slices.has("P002")
    with pytest.raises(InputError, match="does not name P002"):
        slices.for_case("P002", 40)


def test_listed_names_may_be_files(listed):
    slices = listed("masks/P001.nii.gz,3\np002.nii,4\n")
    assert slices.for_case("P001", 9) == (2,)
    assert slices.for_case("P002", 9) == (3,)
    assert slices.unknown(["P001"]) == ("p002.nii",)
    assert slices.unknown(["P001", "P002"]) == ()


def test_like_names_are_not_taken_for_one_another(listed):
    slices = listed("case1,3\ncase11,4\n")
    assert slices.for_case("case1", 9) == (2,)
    assert slices.for_case("case11", 9) == (3,)
    assert not slices.has("case")


def test_two_rows_that_may_mean_a_case_are_refused(listed):
    slices = listed("a/P001,3\nb/P001,4\n")
    with pytest.raises(InputError, match="a/P001, b/P001"):
        slices.for_case("P001", 9)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("case,slices\nP001,3\nP002,\n", "slices.csv, line 3: the list of slices is empty"),
        ("P001,3\nP002,5-4\n", "line 2: .* backwards"),
        ("P001,all\n", "line 1: .*'all'"),
        ("P001,0\n", "the first slice is 1"),
        ("case,slices\n,3\n", "line 2: the row names no case"),
        ("case,comment\nP001,3\n", "columns named case and slices are needed; case, comment are there"),
        ("", "has no rows"),
        ("case,slices\n", "has no rows"),
    ],
)
def test_a_wrong_table_is_refused_with_the_line(listed, text, reason):
    with pytest.raises(InputError, match=reason):
        listed(text)


def test_messages_do_not_name_folders(listed, tmp_path):
    with pytest.raises(InputError) as caught:
        listed("P001,all\n")
    assert str(tmp_path) not in str(caught.value)


def test_a_folder_is_no_list(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read"):
        parse_slice_list(str(tmp_path))


def test_a_list_is_a_value_that_json_holds_so_that_two_runs_can_be_compared(listed):
    slices = listed("P001,7-10\nP002,3\n")
    assert slices == listed("P001;7-10\nP002;3\n") != listed("P001,7-10\nP002,4\n")
    assert json.dumps(asdict(slices)) == '{"everywhere": null, "by_case": [["P001", [[7, 10]]], ["P002", [[3, 3]]]]}'
