"""Loaded by Dask in every process of a local batch, before its first case.

Ctrl-C reaches all processes of a terminal. The batch itself ends its workers; they must not end on their own, with a
traceback each.
"""

from __future__ import annotations

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
