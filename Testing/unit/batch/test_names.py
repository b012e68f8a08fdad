"""Folder names of cases."""

from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from CovidSeverityLib.batch.names import DEVICES, HASH_DIGITS, MOST_BYTES, REPLACED, folded, folder_names, safe_form

HARD = st.sampled_from(
    [
        *("", " ", ".", "..", "-", "~", "con", "NUL.txt", "com1", "LPT9 .x", "P001", "p001", "P001/", "a/b", "a\\b"),
        *(
            "a_b",
            "\u00c5",
            "A\u030a",
            "stra\u00dfe",
            "STRASSE",
            "\u0131",
            "I",
            "i\u0307",
            "\ud800",
            "\u202egpj",
            "a\nb",
        ),
        *("a\nb", "x" * 250, "\u6f22" * 80, "e\u0301" * 60, "a ", "a.", "\U0001f9e0" * 30, "[1]", "50%", "#1", "a:b"),
    ]
)
IDS = st.lists(st.one_of(HARD, st.text(max_size=120), st.text("aA./-_ ", max_size=6)), unique=True, max_size=20)


def is_valid(name):
    assert 1 <= len(name.encode()) <= MOST_BYTES
    assert unicodedata.is_normalized("NFC", name)
    assert not set(name) & REPLACED
    assert all(character.isprintable() for character in name)
    assert name[0] not in " .-~"
    assert name[-1] not in " ."
    assert name.split(".")[0].rstrip().lower() not in DEVICES
    return True


@given(IDS)
@settings(max_examples=80, deadline=None)
def test_names_are_valid_on_every_system_and_no_two_are_the_same(ids):
    names = folder_names(ids)
    assert list(names) == ids
    assert all(map(is_valid, names.values()))
    assert len({folded(name) for name in names.values()}) == len(ids)


@given(IDS)
@settings(max_examples=50, deadline=None)
def test_names_of_names_are_the_names(ids):
    names = folder_names(ids).values()
    assert list(folder_names(names).values()) == list(names)


@given(IDS, IDS)
@settings(max_examples=50, deadline=None)
def test_further_ids_change_only_the_names_of_those_that_differ_in_case_from_them(ids, more):
    before, after = folder_names(ids), folder_names([*more, *ids])
    changed = [name for name in ids if before[name] != after[name]]
    others = {folded(after_name[: -HASH_DIGITS - 1]) for name, after_name in after.items() if after_name != name}
    assert all(before[name] == name for name in changed)  # what has a hash keeps it
    assert {folded(name) for name in changed} <= others | {folded(name) for name in more}


@given(st.text(max_size=200))
@settings(max_examples=80, deadline=None)
def test_a_safe_form_is_valid_and_stays(text):
    assert is_valid(safe_form(text))
    assert safe_form(safe_form(text)) == safe_form(text)


@pytest.mark.parametrize(
    "name", ["P001", "cap001", "Fall 12", "study_0255", "J\u00fcrgen (2)", "\u80ba CT", "1.2.840.1"]
)
def test_common_ids_are_their_own_names(name):
    assert dict(folder_names([name])) == {name: name}


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("COVID/P001", "COVID_P001-"),
        ("-rf", "rf-"),
        (".hidden", "hidden-"),
        ("nul", "_nul-"),
        ("Aux.nii", "_Aux.nii-"),
        ("a. ", "a-"),
        ("../../etc", "_.._etc-"),
        ("", "_-"),
        ("A\u030angstr\u00f6m", "\u00c5ngstr\u00f6m-"),
        ("x" * 250, "x" * 87 + "-"),
        ("\u6f22" * 80, "\u6f22" * 29 + "-"),
    ],
)
def test_other_ids_get_a_hash(name, begins):
    folder = folder_names([name])[name]
    assert folder.startswith(begins)
    assert len(folder) == len(begins) + HASH_DIGITS
    assert set(folder[len(begins) :]) <= set(string.hexdigits.lower())


def test_ids_that_differ_in_case_alone_both_get_a_hash_in_any_order():
    first, second = folder_names(["P1", "p1", "P2"]), folder_names(["P2", "p1", "P1"])
    assert dict(first) == dict(second)
    assert first["P2"] == "P2"
    assert {first["P1"][:3], first["p1"][:3]} == {"P1-", "p1-"}


def test_an_id_that_looks_like_the_name_of_another_gets_a_hash_of_its_own():
    name = folder_names(["a/b"])["a/b"]
    both = folder_names([name, "a/b"])
    assert both["a/b"] == name
    assert both[name].startswith(f"{name}-")


def test_folders_can_be_made(tmp_path):
    ids = ["CON", "a/b", "A/B", "x" * 250, "\u6f22" * 200, "\udcff", "tab\t", "'\"`$!&;"]
    for name in folder_names(ids).values():
        (tmp_path / name).mkdir()
    assert len(list(tmp_path.iterdir())) == len(ids)


def test_names_are_the_same_on_every_machine():
    """What an earlier run has written is found by these names."""
    assert folder_names(["COVID/P002", "\udcff"]) == {
        "COVID/P002": "COVID_P002-c5558f42d4e2",
        "\udcff": "_-8f1d0f9c8806",
    }
