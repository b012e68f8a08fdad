"""``covid-severity phantom``: a synthetic chest CT with its true masks."""

from __future__ import annotations

import argparse
import math
import sys

from CovidSeverityLib.errors import InputError, OutputError
from CovidSeverityLib.reporting import check_output_folder

from .paths import given_path
from .progress import progress_for

EXTENT_MM = (384.0, 384.0, 316.8)
"""Field of view (I, J, K), mm: an adult's chest with neck and upper abdomen."""

PIXEL_MM, SLICE_MM, NOISE_HU = 1.2, 2.2, 18.0
"""Defaults: a routine-dose chest CT with slices of about 2 mm."""


MOST_NOISE_HU = 500.0
"""With more noise the anatomy is not visible."""

FEWEST_VOXELS, MOST_VOXELS = 16, 768
"""Voxels along one axis. A phantom of 768 x 768 x 768 voxels needs 20 GiB of memory, the default size 1 GiB."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe this command, and add its options."""
    parser.description = "Write ct.nii.gz, lungs.nii.gz, lobes.nii.gz, infection.nii.gz and truth.json to a folder."
    parser.add_argument("output", metavar="OUT", help="folder for the files")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="number of the synthetic patient (default 0)")
    parser.add_argument("--healthy", action="store_true", help="a chest without disease")
    for option, value, text in (
        ("--pixel-mm", PIXEL_MM, "pixel spacing, mm"),
        ("--slice-mm", SLICE_MM, "slice spacing, mm"),
        ("--noise-hu", NOISE_HU, "noise, standard deviation in HU"),
    ):
        parser.add_argument(option, metavar="X", type=float, default=value, help=f"{text} (default {value:g})")
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command; raise :class:`~CovidSeverityLib.errors.InputError` for errors that the user can correct."""
    from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom, write_phantom

    spacing = (arguments.pixel_mm, arguments.pixel_mm, arguments.slice_mm)
    shape = _shape(spacing)
    if not 0 <= arguments.noise_hu <= MOST_NOISE_HU:
        raise InputError(f"noise of {arguments.noise_hu:g} HU; 0 to {MOST_NOISE_HU:g} HU are possible")
    folder = check_output_folder(given_path(arguments.output, "output folder"))
    try:
        with progress_for("none" if arguments.quiet else "bar", sys.stdout) as progress:
            if progress is not None:
                progress("phantom", 0, 1)
            phantom = make_phantom(
                arguments.seed,
                shape=shape,
                spacing_mm=spacing,
                noise_sd_hu=arguments.noise_hu,
                healthy=arguments.healthy,
            )
            files = write_phantom(phantom, folder.path)
    except (OSError, RuntimeError) as error:  # SimpleITK raises RuntimeError if a file cannot be written
        folder.discard_if_empty()
        reason = getattr(error, "strerror", None) or "is the disk full?"
        raise OutputError(f"cannot write the phantom to {folder.path}: {reason}") from error
    except BaseException:
        folder.discard_if_empty()
        raise
    if not arguments.quiet:
        names = ", ".join(path.name for path in files)
        sys.stdout.write(
            f"Synthetic chest {arguments.seed}: {len(phantom.lesions)} lesions, "
            f"{phantom.infection_percent:.1f} % of the lungs\n{names} are in {folder.path}\n"
        )


def _shape(spacing_mm: tuple[float, float, float]) -> tuple[int, int, int]:
    """Array shape (K, J, I) that covers :data:`EXTENT_MM`."""
    if not all(math.isfinite(mm) and mm > 0 for mm in spacing_mm):
        raise InputError(
            f"pixels of {spacing_mm[0]:g} mm and slices of {spacing_mm[2]:g} mm: both must be lengths above 0"
        )
    i, j, k = (round(extent / mm) for extent, mm in zip(EXTENT_MM, spacing_mm, strict=True))
    if min(i, j, k) < FEWEST_VOXELS or max(i, j, k) > MOST_VOXELS:
        raise InputError(
            f"pixels of {spacing_mm[0]:g} mm and slices of {spacing_mm[2]:g} mm make {i:g} x {j:g} x {k:g} voxels; "
            f"{FEWEST_VOXELS} to {MOST_VOXELS} along each axis are possible"
        )
    return k, j, i
