"""``covid-severity phantom``: a synthetic chest CT with its true masks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from CovidSeverityLib.errors import InputError
from CovidSeverityLib.reporting import check_output_folder

EXTENT_MM = (384.0, 384.0, 316.8)
"""Field of view (I, J, K), mm: an adult's chest with neck and upper abdomen."""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add this command to the command line."""
    parser = commands.add_parser(
        "phantom",
        help="make a synthetic chest CT and its true masks",
        description="Write ct.nii.gz, lungs.nii.gz, lobes.nii.gz, infection.nii.gz and truth.json to a folder.",
    )
    parser.add_argument("output", metavar="OUT", type=Path, help="folder for the files")
    parser.add_argument("--seed", type=int, default=0, help="another number is another patient (default 0)")
    parser.add_argument("--healthy", action="store_true", help="a chest without disease")
    parser.add_argument("--pixel-mm", type=float, default=1.2, help="pixel spacing, mm (default 1.2)")
    parser.add_argument("--slice-mm", type=float, default=2.2, help="slice spacing, mm (default 2.2)")
    parser.add_argument("--noise-hu", type=float, default=18.0, help="noise, standard deviation in HU (default 18)")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command; raises :class:`~CovidSeverityLib.errors.InputError` for what the user can put right."""
    from CovidSeverityLib.phantom import make_phantom, write_phantom

    if not (arguments.pixel_mm > 0 and arguments.slice_mm > 0):
        raise InputError(
            f"pixels of {arguments.pixel_mm} mm and slices of {arguments.slice_mm} mm: both must be above 0"
        )
    spacing = (arguments.pixel_mm, arguments.pixel_mm, arguments.slice_mm)
    shape = tuple(round(extent / mm) for extent, mm in zip(EXTENT_MM[::-1], spacing[::-1], strict=True))
    folder = check_output_folder(arguments.output)
    try:
        phantom = make_phantom(
            arguments.seed,
            shape=shape,
            spacing_mm=spacing,
            noise_sd_hu=arguments.noise_hu,
            healthy=arguments.healthy,
        )
        files = write_phantom(phantom, folder.path)
    except BaseException:
        folder.discard_if_empty()
        raise
    if not arguments.quiet:
        names = ", ".join(path.name for path in files)
        sys.stdout.write(
            f"Synthetic chest {arguments.seed}: {len(phantom.lesions)} lesions, "
            f"{phantom.infection_percent:.1f} % of the lungs\n{names} are in {folder.path}\n"
        )
