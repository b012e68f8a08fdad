"""What can go wrong that a user can put right.

Every message is one sentence that says what was got and what would be right. The command line turns an
:class:`InputError` into exit status 2 and any other :class:`CovidSeverityError` into exit status 1, without
a traceback.
"""

from __future__ import annotations


class CovidSeverityError(Exception):
    """Base of every error that the library raises on purpose."""


class InputError(CovidSeverityError):
    """The input or an option cannot be used as it is: a missing file, a wrong modality, a mask of another geometry."""


class ConfigurationError(InputError, ValueError):
    """A configuration is none: a value of the wrong type or out of its range, or a profile that it is not."""


class NoLungsError(InputError):
    """The volume is readable but holds no lungs."""


class OutputError(InputError):
    """The results cannot be written where they were asked for."""


class DownloadError(CovidSeverityError):
    """A file could not be fetched though it was asked for rightly: the network or the server failed."""


class CancelledError(CovidSeverityError):
    """The caller's progress function asked to stop."""
