"""Loaded by Dask in every process of a local batch, before its first case.

Ctrl-C reaches all processes of a terminal. The batch itself ends its workers; they must not end on their own, with a
traceback each. Decoders of JPEG write about damaged images to the terminal, from C; the batch says it better.
"""

from __future__ import annotations

import os
import signal

from .steady_clock import use_steady_clock

STANDARD_ERROR = 2

use_steady_clock()
signal.signal(signal.SIGINT, signal.SIG_IGN)
os.dup2(os.open(os.devnull, os.O_WRONLY), STANDARD_ERROR)
