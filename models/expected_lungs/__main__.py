"""Write the expected lungs: the shape that the library fits to a chest whose lungs are partly hidden.

Run from the root of the repository::

    python -m models.expected_lungs [FILE]

The shape is the lungs of the synthetic chest's anatomy with every variable in the middle of its range. It is written to
a file, so that the library does not depend on the generator of synthetic chests. It still comes from that generator:
figures on synthetic chests are not independent of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from CovidSeverityLib.evaluation.synthetic.phantom.anatomy import Anatomy
from CovidSeverityLib.evaluation.synthetic.phantom.cavity import build_cavity
from CovidSeverityLib.evaluation.synthetic.phantom.grid import Grid
from CovidSeverityLib.evaluation.synthetic.phantom.mediastinum import build_mediastinum
from CovidSeverityLib.segmentation.lungs.expected_shape import EXPECTED_LUNGS_FILE
from CovidSeverityLib.types import Geometry

SHIPPED = Path(__file__).parents[2] / "CovidSeverityLib" / "segmentation" / "lungs" / EXPECTED_LUNGS_FILE

MIDDLE = Anatomy(
    scale=(1.0, 1.0, 1.0),
    width=1.0,
    depth=1.0,
    dome_mm=(-90.0, -103.0),
    recess_mm=(-126.0, -152.0, -167.0),
    heart=1.0,
    heart_shift_mm=1.0,
    septum_mm=1.5,
    fat_mm=15.0,
    muscle_mm=11.0,
    breast_mm=0.0,
    oblique=((-53.0, 1.17, 0.0), (-53.0, 1.17, 0.0)),
    horizontal_mm=-27.0,
    fissure_wave_mm=0.0,
    fissure_phase=(0.0,) * 6,
    parenchyma_hu=-880.0,
    gravity_hu=70.0,
    stomach_gas=0.4,
)
"""The middle of the ranges that synthetic chests are drawn from."""

STEP_MM = 4.0
SIZE = (80, 57, 80)
ORIGIN_MM = (-160.0, -110.0, -190.0)
"""Grid, (I, J, K): both lungs with a margin of 2 cm."""


def sides_of_the_middle_chest() -> NDArray[np.uint8]:
    """(K, J, I) ndarray of uint8: labels of :class:`~CovidSeverityLib.types.Side`."""
    axes = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    grid = Grid(Geometry(SIZE, (STEP_MM,) * 3, ORIGIN_MM, axes), (1.0,) * 3)
    return np.asarray(build_cavity(grid, MIDDLE, build_mediastinum(grid, MIDDLE)).sides, dtype=np.uint8)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Write the expected lungs.")
    parser.add_argument("file", nargs="?", type=Path, default=SHIPPED)
    np.savez_compressed(
        parser.parse_args(arguments).file,
        sides=sides_of_the_middle_chest(),
        step_mm=np.float64(STEP_MM),
        origin_mm=np.array(ORIGIN_MM),
    )


if __name__ == "__main__":
    main()
