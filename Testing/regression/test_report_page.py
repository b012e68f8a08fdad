"""``report.html`` of a real CT: how large it is."""

from __future__ import annotations

from CovidSeverityLib.reporting.html import html_text

MOST_BYTES = 10_000_000


def test_report_of_a_real_ct_with_all_its_slices_is_small_enough_to_send(analysed):
    page = html_text(analysed("P001"))
    assert page.count('"jpeg":') == 148
    assert len(page.encode()) < MOST_BYTES
