"""The catalogue of bad inputs, read as ``analyze`` and ``batch`` read: one sentence, or what is right is read."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

from CovidSeverityLib import InputError, analyze, lobes_from_labels, lungs_from_labels, read_ct, read_mask
from Testing.bad_inputs import CATALOGUE, OK, UnavailableError, Written, write

LONGEST_SENTENCE = 500
"""Characters."""


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files, empty."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def analysed(made: Written) -> None:
    """Do with an input what the commands do; a good one is only read."""
    volume = read_ct(made.path)
    lungs = lobes = None
    if made.lungs is not None:
        lungs = lungs_from_labels(read_mask(made.lungs, volume), volume, made.lungs.name)
    if made.lobes is not None:
        lobes = lobes_from_labels(read_mask(made.lobes, volume), volume, made.lobes.name)
    if made.kind.expected != OK:
        analyze(volume, lungs=lungs, lobes=lobes)


def test_every_kind_has_a_name_of_its_own():
    assert len({kind.name for kind in CATALOGUE}) == len(CATALOGUE) >= 45


@pytest.mark.slow
@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.name)
def test_kind_of_bad_input(kind, tmp_path, temporary, recwarn):
    (tmp_path / "inputs").mkdir()
    try:
        made = write(kind, tmp_path / "inputs")
    except UnavailableError as error:
        pytest.skip(str(error))
    if kind.expected == OK:
        analysed(made)
    else:
        with pytest.raises(InputError) as caught:
            analysed(made)
        sentence = str(caught.value)
        assert re.search(kind.expected, sentence), sentence
        assert sentence.isprintable()
        assert len(sentence) <= LONGEST_SENTENCE
    assert list(temporary.iterdir()) == []
    assert not recwarn.list
