"""The tables of an analysis, of a diagnosis alone, and of corrections in Slicer."""

from __future__ import annotations

from CovidSeverityLib.types import LOBE_NAMES, Lobe

from .columns import Column, Kind, TableFormat, count, ml, mm, percent, points, share, text

INTEGER, NUMBER = Kind.INTEGER, Kind.NUMBER

CTSS_SOURCE = "Francone 2020, doi 10.1007/s00330-020-07033-y"
TSS_SOURCE = "Chung 2020, doi 10.1148/radiol.2020200230"
LOW_ATTENUATION_SOURCE = "Gevenois 1996, doi 10.1164/ajrccm.154.1.8680679; Mueller 1988, doi 10.1378/chest.94.4.782"
PERCENTILE_SOURCE = "Parr 2006, doi 10.1136/thx.2005.054890"
QUANTIFICATION = "`features/quantification.py`"
GEOMETRY = "geometry of the CT"
NOT_COMPARED = "there is no second engine, the lobe is in neither, or it was corrected"
MIXTURE_COMPONENTS = 3
DIAGNOSES = ("normal", "CAP", "COVID-19")

LOBES = TableFormat(
    file="lobes.csv",
    written_by="`analyze`",
    rows="One row per lobe: RUL, RML, RLL, LUL, LLL.",
    columns=(
        text(
            "lobe",
            "Code of the lobe: right or left; upper, middle or lower; L for lobe.",
            "`types.py`",
            values=tuple(lobe.name for lobe in Lobe),
        ),
        text("name", "The lobe in words.", "`types.py`", values=tuple(LOBE_NAMES.values())),
        points(
            "score",
            "CTSS of the lobe: 0 (no opacity), 1 (up to 5 % of it), 2 (up to 25 %), 3 (up to 50 %), 4 (up to 75 %), 5 "
            "(above). The published profile counts it by slices.",
            CTSS_SOURCE,
            high=5,
        ),
        points(
            "score_low",
            "Lowest CTSS of the lobe with thresholds and fissures moved by their standard uncertainty.",
            "`features/score_range.py`",
            empty="no range was looked for",
            high=5,
        ),
        points(
            "score_high",
            "Highest CTSS of the lobe in the same way.",
            "`features/score_range.py`",
            empty="no range was looked for",
            high=5,
        ),
        points(
            "total_severity_score",
            "TSS of the lobe: 0 (no opacity), 1 (up to 25 % of it), 2 (up to 50 %), 3 (up to 75 %), 4 (above).",
            TSS_SOURCE,
            high=4,
        ),
        percent("involvement_percent", "Opacity in the lobe, part of its volume.", QUANTIFICATION),
        ml("volume_ml", "Volume of the lobe, with its vessels and opacities.", QUANTIFICATION),
        ml("infection_ml", "Volume of the opacities in the lobe.", QUANTIFICATION),
        share(
            "confidence",
            "Expected Dice coefficient of the lobe with the true one.",
            "`segmentation/lobes/lobe_segmentation.py`",
            empty="it is not known: lobes from a file, or the published profile's regions",
        ),
        share(
            "compared_dice",
            "Dice coefficient of the lobe with that of the engine of `--compare-lobes-with`.",
            "`features/agreement.py`",
            empty=NOT_COMPARED,
        ),
        percent(
            "low_attenuation_percent",
            "Part of the lobe's volume under the threshold (-950 HU, or -910 HU in slices over 2.5 mm), noise taken "
            "off.",
            LOW_ATTENUATION_SOURCE,
            empty="it is not valid after a correction",
        ),
        percent(
            "low_attenuation_measured_percent",
            "The same as the image shows it, with its noise.",
            LOW_ATTENUATION_SOURCE,
            empty="it is not valid after a correction",
        ),
        percent(
            "low_attenuation_noise_percent",
            "Part of the lobe's volume that noise alone brings under the threshold.",
            "`features/low_attenuation.py`",
            empty="it is not valid after a correction",
        ),
        Column(
            "density_percentile_hu",
            NUMBER,
            "HU",
            "15th percentile of the lobe's density, noise taken off.",
            PERCENTILE_SOURCE,
            empty="the lobe is absent or the percentile is above -400 HU; it is not valid after a correction",
            low=-1100,
        ),
    ),
)

SLICE_PLACE = (
    Column(
        "index",
        INTEGER,
        "",
        "Number of the axial slice, from 0 at the inferior end, interpolated slices counted.",
        GEOMETRY,
        low=0,
    ),
    mm("z_mm", "Position of the slice, LPS z, towards the head.", GEOMETRY),
    ml("lung_ml", "Volume of both lungs in the slice.", QUANTIFICATION),
)

SLICE_OPACITIES = (
    percent("infection_percent", "Opacity in the slice, part of both lungs there.", QUANTIFICATION),
    *(
        percent(
            f"infection_percent_{lobe.name}",
            f"Opacity in the slice in the {LOBE_NAMES[lobe]}, part of this lobe there.",
            QUANTIFICATION,
        )
        for lobe in Lobe
    ),
)

_NOT_CLASSIFIED = "the slice was not classified"
SLICE_DIAGNOSIS = (
    *(
        share(
            name,
            f"The network's probability of {disease} for the slice; not calibrated.",
            "`classification/diagnosis.py`",
            empty=_NOT_CLASSIFIED,
        )
        for name, disease in (
            ("p_normal", "no disease"),
            ("p_cap", "community-acquired pneumonia"),
            ("p_covid19", "COVID-19"),
        )
    ),
    text(
        "label",
        "Diagnosis for which the slice votes: the most probable one.",
        "`classification/voting.py`",
        empty=_NOT_CLASSIFIED,
        values=DIAGNOSES,
    ),
    Column(
        "vote_weight",
        NUMBER,
        "votes",
        "Weight of its vote: 1 in the middle third, elsewhere 0.7, or 0.5 for normal.",
        "`classification/voting.py`",
        empty=_NOT_CLASSIFIED,
    ),
)

SLICES = TableFormat(
    file="slices.csv",
    written_by="`analyze`",
    rows="One row per axial slice that was acquired, from inferior to superior. Interpolated slices have none.",
    columns=(*SLICE_PLACE, *SLICE_OPACITIES, *SLICE_DIAGNOSIS),
)

CLASSIFIED_SLICES = TableFormat(
    file="slices.csv", written_by="`classify`", rows=SLICES.rows, columns=(*SLICE_PLACE, *SLICE_DIAGNOSIS)
)

HISTOGRAM = TableFormat(
    file="histogram.csv",
    written_by="`analyze`",
    rows="One row per Hounsfield unit.",
    columns=(
        Column("hu", INTEGER, "HU", "The density.", "CT in Hounsfield units"),
        count("voxels", "voxels", "Voxels of both lungs with this density.", QUANTIFICATION),
        *(
            Column(
                f"component_{n}_voxels",
                NUMBER,
                "voxels",
                f"Voxels that component {n} of the Gaussian mixture expects at this density; components have "
                "ascending means.",
                "`segmentation/opacity/published/mixture.py`",
                empty="no mixture was fitted",
            )
            for n in range(1, MIXTURE_COMPONENTS + 1)
        ),
    ),
)

_AFTER_CORRECTIONS = "3D Slicer, after corrections (*Save report*)"
CORRECTED_LOBES = TableFormat("corrected_lobes.csv", _AFTER_CORRECTIONS, LOBES.rows, LOBES.columns)
CORRECTED_SLICES = TableFormat("corrected_slices.csv", _AFTER_CORRECTIONS, SLICES.rows, SLICES.columns)
