"""How long a PACS is waited for, and how often it is asked again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from CovidSeverityLib.checked import Checked, Count, NotNegative, Positive, Range


@dataclass(frozen=True)
class PacsConfig(Checked):
    """Time-outs and repetitions of requests to a PACS.

    No result depends on them: a series is either read whole or refused.

    Parameters
    ----------
    connect_timeout_s : float, s
        For a connection. A server in the same institution answers within milliseconds.
    read_timeout_s : float, s
        For the next bytes. A PACS that fetches a study from its slow archive first takes many seconds.
    tries : int, requests
        Number of times that a request is made if the connection breaks, or if the server says that it is busy.
    pause_s : float, s
        Before the second try; it doubles with every further one (0.5 + 1 + 2 + 4 s in all).
    longest_pause_s : float, s
        A server may ask for a longer pause (``Retry-After``), up to this one.
    busy_statuses : tuple of int, HTTP status codes
        Too Many Requests, Bad Gateway, Service Unavailable, Gateway Timeout (RFC 6585, RFC 9110): they pass.
    piece_bytes : int, bytes
        Pieces in which a series is received: an interruption loses less than this. A slice has a few of them.
    """

    connect_timeout_s: Positive = 10.0
    read_timeout_s: Positive = 60.0
    tries: Count = 5
    pause_s: NotNegative = 0.5
    longest_pause_s: NotNegative = 30.0
    busy_statuses: tuple[Annotated[int, Range(400, 599)], ...] = (429, 502, 503, 504)
    piece_bytes: Count = 1 << 16
