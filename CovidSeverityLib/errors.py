"""What can go wrong that a user can put right.

Every message is one sentence that says what was got and what would be right. The command line turns an
:class:`InputError` into exit status 2 and any other :class:`CovidSeverityError` into exit status 1, without
a traceback.
"""

from __future__ import annotations


def on_one_line(text: str) -> str:
    """``text`` on one line, without characters that a terminal acts on.

    Parameters
    ----------
    text : str
        Any text, also of bytes that are not UTF-8.

    Examples
    --------
    >>> on_one_line("a\\nb\\x1b[31m.nii")
    'a b?[31m.nii'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


class CovidSeverityError(Exception):
    """Base of every error that the library raises on purpose.

    Examples
    --------
    >>> from CovidSeverityLib import CovidSeverityError, analyze
    >>> try:
    ...     analyze("lungs.nii.gz")
    ... except CovidSeverityError as error:
    ...     print(type(error).__name__)
    InputError
    """

    def __str__(self) -> str:
        """The sentence on one line: names of files and texts of headers may hold what breaks lines or terminals."""
        return on_one_line(super().__str__())


class InputError(CovidSeverityError):
    """The input or an option cannot be used as it is: a missing file, a wrong modality, a mask of another geometry.

    Examples
    --------
    >>> from CovidSeverityLib import read_ct
    >>> read_ct("missing.nii.gz")
    Traceback (most recent call last):
    ...
    CovidSeverityLib.errors.InputError: no such file or folder: missing.nii.gz
    """


class ConfigurationError(InputError, ValueError):
    """A configuration is none: a value of the wrong type or out of its range, or a profile that it is not.

    Examples
    --------
    >>> from CovidSeverityLib import AnalysisConfig
    >>> AnalysisConfig.for_profile("fast")
    Traceback (most recent call last):
    ...
    CovidSeverityLib.errors.ConfigurationError: no profile 'fast'; there are default and reference
    """


class NoLungsError(InputError):
    """The volume is readable but holds no lungs.

    Examples
    --------
    >>> import numpy as np
    >>> from CovidSeverityLib import CtVolume
    >>> CtVolume.from_array(np.full((20, 64, 64), -1000), spacing_mm=(6, 6, 8))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    CovidSeverityLib.errors.NoLungsError: every voxel is -1000: the volume holds nothing but air, ...
    """


class TooLargeError(InputError):
    """The analysis of a volume needs more memory than there is.

    Examples
    --------
    >>> from CovidSeverityLib.io.cost import check_cost
    >>> check_cost((100_000, 100_000, 1000), "chest.nii.gz")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    CovidSeverityLib.errors.TooLargeError: chest.nii.gz: the analysis of 100000 x 100000 x 1000 voxels would need ...
    """


class NotComparableError(InputError):
    """Two examinations cannot be compared: the lungs do not fit onto each other, or they are of two persons.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis, NotComparableError, analyze, compare
    >>> slices = analyze("ct.nii.gz", independent_slices=True)
    >>> try:
    ...     compare(slices, Analysis.load("results"))
    ... except NotComparableError as error:
    ...     print(error)
    BEFORE (ct.nii.gz) has no lobes, because its slices were analysed one by one; a comparison needs a whole chest
    """


class OutputError(InputError):
    """The results cannot be written where they were asked for.

    Examples
    --------
    >>> from CovidSeverityLib import Analysis
    >>> Analysis.load("results").save("ct.nii.gz")
    Traceback (most recent call last):
    ...
    CovidSeverityLib.errors.OutputError: cannot write results to ct.nii.gz: it is a file, not a folder
    """


class DownloadError(CovidSeverityError):
    """A file could not be fetched though it was asked for rightly: the network or the server failed."""


class PacsError(CovidSeverityError):
    """A PACS cannot be reached, is busy, or sent or took only a part of what it should.

    Examples
    --------
    >>> from CovidSeverityLib import read_ct_from_pacs
    >>> read_ct_from_pacs("http://127.0.0.1:9/dicom-web", "1.2.840.1")
    Traceback (most recent call last):
    ...
    CovidSeverityLib.errors.PacsError: http://127.0.0.1:9/dicom-web cannot be reached
    """


class CancelledError(CovidSeverityError):
    """The caller's progress function asked to stop.

    Examples
    --------
    >>> from CovidSeverityLib import CancelledError, analyze
    >>> def stop(stage, done, total):
    ...     raise CancelledError(f"stopped in stage {stage}")
    >>> analyze("ct.nii.gz", progress=stop)
    Traceback (most recent call last):
    ...
    CovidSeverityLib.errors.CancelledError: stopped in stage read
    """
