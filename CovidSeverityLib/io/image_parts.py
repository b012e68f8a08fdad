"""The further files of an image: the data file of a header, the other half of a pair."""

from __future__ import annotations

from pathlib import Path

from CovidSeverityLib.errors import InputError

from .image_header import data_names, read_text_header
from .nifti import PAIR_ENDINGS

DATA_KEYS = {
    ".nrrd": (":", "datafile", False),
    ".nhdr": (":", "datafile", False),
    ".mha": ("=:", "elementdatafile", True),
    ".mhd": ("=:", "elementdatafile", True),
}
"""By ending: what separates a key from its value, the key of the data file, whether that key ends the header."""


def may_have_parts(name: str) -> bool:
    """Whether a file of this name may need further files.

    Examples
    --------
    >>> may_have_parts("P001.mhd"), may_have_parts("P001.nii.gz")
    (True, False)
    """
    return Path(name).suffix.lower() in {*DATA_KEYS, *PAIR_ENDINGS}


def names_of_parts(path: Path) -> tuple[str, ...]:
    """The names of further files that belong to an image, as its header has them; not all need exist.

    Parameters
    ----------
    path : Path
        The file that is named as the image. It is read if it is a header.

    Returns
    -------
    tuple of str
        Names relative to the folder of ``path``, without those of ``path`` itself. For a half of a pair all names that
        the other one may have. Empty for a whole image and for a header that is damaged.
    """
    ending = path.suffix.lower()
    if ending in PAIR_ENDINGS:
        return tuple(path.stem + form(other) for other in PAIR_ENDINGS[ending] for form in (str.lower, str.upper))
    if ending not in DATA_KEYS:
        return ()
    separators, key, ends = DATA_KEYS[ending]
    try:
        text = read_text_header(path, separators, key, ends_with_data_key=ends)
        value = text.fields.get(key, "")
        names = data_names(path, value, text.listed) if value and value.upper() != "LOCAL" else ()
    except InputError:
        return ()
    return tuple(name for name in dict.fromkeys(names) if name and name != path.name)
