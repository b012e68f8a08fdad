"""A clock for Dask that does not jump.

Dask and Tornado wait by the clock of the computer. Where that is set back (by NTP, by a user, in a virtual machine that
was moved), messages between the processes of a batch would wait until it has made up for it; where it is set forward,
connections time out and all workers are taken for dead.
"""

from __future__ import annotations

import sys
import time

BEGUN_S = time.time() - time.monotonic()
"""The clock of the computer when the monotonic one was 0: the sum of both is the time, but for later jumps."""


def steady_time() -> float:
    """Seconds since 1970 by the clock of the computer as it was when this process began, which never jumps."""
    return BEGUN_S + time.monotonic()


def use_steady_clock() -> None:
    """Let Dask and Tornado, in this process, wait by :func:`steady_time`."""
    from distributed import metrics
    from tornado.ioloop import IOLoop

    jumping = metrics.time
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "distributed" and vars(module).get("time") is jumping:
            vars(module)["time"] = steady_time
    setattr(IOLoop, "time", lambda _loop: steady_time())  # noqa: B010 (of a class of others)
