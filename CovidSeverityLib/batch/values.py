"""The values that travel between the parts of a batch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BatchCase:
    """One CT of a batch.

    Parameters
    ----------
    case : str
        Its unique id, as in the tables.
    source : str
        The CT: a local path or an address of fsspec.
    lungs, lobes : str or None
        Masks that are used instead of those that an analysis makes: local paths or addresses of fsspec.
    series : str or None
        UID of the DICOM series, where the source holds several.

    Examples
    --------
    >>> from CovidSeverityLib.batch.values import BatchCase
    >>> BatchCase("P001", "cts/P001").lungs is None
    True
    """

    case: str
    source: str
    lungs: str | None = None
    lobes: str | None = None
    series: str | None = None


@dataclass(frozen=True)
class CaseFailure:
    """A case without a result.

    Parameters
    ----------
    case : str
        Its unique id, as in the tables.
    kind : str
        ``"input"``: the CT or a mask cannot be used. ``"limit"``: it took too long or too much memory. ``"worker"``:
        the process that analysed it died, or has another version. ``"output"``: its results cannot be written.
    reason : str
        A sentence for people.

    Examples
    --------
    >>> from CovidSeverityLib.batch.values import CaseFailure
    >>> CaseFailure("P007", "limit", "The analysis took longer than 600 s.").kind
    'limit'
    """

    case: str
    kind: str
    reason: str
