"""Images of CTs on the disk, made once: one compressed file per CT, whose slices are read one at a time.

The name of a file is a checksum of everything that determines its content. It reveals neither a path nor a name.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.features.classification_image import ClassificationImageConfig
from CovidSeverityLib.version import __version__

from .cases import TrainingCase

CACHE_REVISION = 1
"""Increase this if the images change and the version of the library does not."""

IMAGE_ENDING = ".npz"

HEADER_ENDINGS = (".mhd", ".nhdr")
"""Endings of images whose voxels are in a separate file."""

_SLICE_NAMES = "slice{:04d}"


@dataclass(frozen=True)
class CachedImages:
    """The images of one CT.

    Parameters
    ----------
    path : Path
        Path of the file.
    count : int
        Number of slices, which are in the order of the vote (superior to inferior).
    """

    path: Path
    count: int

    @property
    def key(self) -> str:
        """Checksum of everything that determines these images."""
        return self.path.name.removesuffix(IMAGE_ENDING)

    def read(self, slices: Sequence[int]) -> NDArray[np.uint8]:
        """(n, size, size) uint8, the images of the given slices, numbered from 0."""
        with np.load(self.path) as stored:
            return np.stack([stored[_SLICE_NAMES.format(n)] for n in slices])


def image_key(case: TrainingCase, config: ClassificationImageConfig, size_px: int) -> str:
    """A checksum of what determines the images of a CT: the program, the configuration, and the files.

    A file is identified by path, size and time of its last change. Reading the content of a thousand CTs would take as
    long as making the images.
    """
    made_with = {
        "revision": CACHE_REVISION,
        "version": __version__,
        "image": asdict(config),
        "size_px": size_px,
        "folder": str(case.image.resolve()),
        "files": [(path.name, *_state(path)) for path in _files_of(case.image)],
    }
    return sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()


def image_path(cache: Path, key: str) -> Path:
    """The path for the images of ``key``."""
    return cache / f"{key}{IMAGE_ENDING}"


def write_images(path: Path, images: NDArray[np.uint8]) -> None:
    """Write the images of a CT so that each one can be read separately."""
    np.savez_compressed(path, **{_SLICE_NAMES.format(n): image for n, image in enumerate(images)})


def cached_images(path: Path) -> CachedImages | None:
    """The cached images at ``path``; None if there is no complete file."""
    try:
        with zipfile.ZipFile(path) as file:
            return CachedImages(path, len(file.namelist()))
    except (OSError, zipfile.BadZipFile):
        return None


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _files_of(image: Path) -> Iterator[Path]:
    """The files of a DICOM folder or of an image, including the voxel files of an .mhd or .nhdr header."""
    if image.is_dir():
        yield from sorted(path for path in image.iterdir() if path.is_file())
    elif image.suffix.lower() in HEADER_ENDINGS:
        yield from sorted(path for path in image.parent.iterdir() if path.stem == image.stem and path.is_file())
    else:
        yield image
