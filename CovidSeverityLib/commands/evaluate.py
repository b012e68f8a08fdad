"""``covid-severity evaluate``: the tables of the published method's paper, and the accuracy of the profiles."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from CovidSeverityLib.config import PROFILES
from CovidSeverityLib.evaluation.paper.segmentation import LungsUsed
from CovidSeverityLib.features.classification_image import CLASSIFICATION_IMAGES

from .ct_input import add_independent_slices, add_profile
from .debugging import add_debug
from .evaluate_accuracy import accuracy
from .evaluations import PROTOCOLS, ablation, classification, ctss, segmentation


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe this command, and add its options."""
    parser.description = (
        "Compare the results for many CTs with the truth. Each evaluation writes results.csv, "
        "summary.json, table.md, failures.csv and plots to a folder. It needs more packages: "
        'pip install "covid-severity[evaluate]".'
    )
    kinds = parser.add_subparsers(title="evaluations", required=True, metavar="WHAT")
    for add in (_add_segmentation, _add_classification, _add_ctss, _add_ablation, _add_accuracy):
        add(kinds)


def _add_segmentation(kinds: argparse._SubParsersAction) -> None:
    parser = _add(
        kinds,
        "segmentation",
        segmentation,
        "opacity masks compared with radiologists' masks (tables 2 to 4 of the paper)",
        "Dice, sensitivity, specificity, precision, Jaccard, MCC, MAE and accuracy of the opacity mask, per slice "
        "and per case; recall for each label of the masks; own lungs compared with given lungs.",
    )
    _add_mask_options(parser)
    parser.add_argument(
        "--in-lungs",
        choices=tuple(used.value for used in LungsUsed),
        help="lungs in which opacities are marked: own lungs of the program, given lungs (--lungs), or both, "
        "separately (default: given if there are lung masks, otherwise own); with own and both, own lungs are "
        "compared with the given ones",
    )
    add_independent_slices(parser)
    _add_output_options(parser)


def _add_classification(kinds: argparse._SubParsersAction) -> None:
    parser = _add(
        kinds,
        "classification",
        classification,
        "diagnoses compared with the truth (tables 5 and 6 of the paper)",
        "Confusion matrix, accuracy, sensitivity, precision, F1 and ROC curves over patients.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", metavar="DIR", help="folder of CTs to classify (with --classifier)")
    source.add_argument("--predictions", metavar="CSV", help="existing diagnoses: case, label, probabilities")
    parser.add_argument(
        "--labels",
        metavar="CSV",
        required=True,
        help="true diagnoses: the layout of COVID-CT-MD and SPGC, of MosMed or of the LDCT sets, or case and label",
    )
    parser.add_argument(
        "--classifier", metavar="NAME|FILE", help="an installed model, or a file of Keras weights (.hdf5)"
    )
    parser.add_argument(
        "--image",
        metavar="NAME",
        choices=tuple(CLASSIFICATION_IMAGES),
        help="kind of image for the classifier (default: the kind that it was trained with), for ablation studies: "
        f"{', '.join(CLASSIFICATION_IMAGES)}",
    )
    _add_output_options(parser)


def _add_ctss(kinds: argparse._SubParsersAction) -> None:
    parser = _add(
        kinds,
        "ctss",
        ctss,
        "severity scores compared with radiologists' scores",
        "Correlation, intraclass correlation, error, limits of agreement and weighted kappa of the CT severity score.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", metavar="DIR", help="folder of CTs to analyse")
    source.add_argument(
        "--predictions",
        metavar="CSV",
        help="existing scores: case and ctss, or truth and scores in the order of the truth",
    )
    parser.add_argument("--truth", metavar="CSV", help="radiologists' scores: case and CTSS (0-25)")
    add_profile(parser)
    _add_output_options(parser)


def _add_ablation(kinds: argparse._SubParsersAction) -> None:
    parser = _add(
        kinds,
        "ablation",
        ablation,
        "effect of each step of the preprocessing",
        "Switch off the steps of the profile's opacity mask and of the classification image, one at a time, and "
        "compare both with radiologists' masks.",
    )
    _add_mask_options(parser)
    _add_output_options(parser)


def _add_accuracy(kinds: argparse._SubParsersAction) -> None:
    parser = _add(
        kinds,
        "accuracy",
        accuracy,
        "all profiles on the same cases, with targets",
        "Compare the profiles in one table: radiologists' labels of slices and lobes, simulated lesions in healthy "
        "chests, healthy chests without lesions, the same CTs with other slices, pixels and noise. Figures that miss "
        "their target are marked.",
    )
    parser.add_argument(
        "--images",
        metavar="DIR",
        help="folder of CTs: image files, DICOM folders or .zip archives; 'DIR/normal*' selects some",
    )
    parser.add_argument(
        "--slice-labels",
        metavar="DIR",
        help="folder of radiologists' labels, NAME_labels.csv for the CT NAME: z_mm, infected, one column per lobe",
    )
    parser.add_argument("--normal", metavar="NAMES", help="names of CTs without opacities, separated by commas")
    _add_chest_options(parser)
    parser.add_argument(
        "--profiles",
        metavar="NAMES",
        default=",".join(PROFILES),
        help="names of the profiles, separated by commas (default: %(default)s)",
    )
    _add_output_options(parser)


def _add_chest_options(parser: argparse.ArgumentParser) -> None:
    """Options for changes to CTs and to healthy chests before they are analysed."""
    parser.add_argument(
        "--simulated",
        "--implants",  # former name
        metavar="N",
        type=int,
        default=0,
        help="number of cases with simulated lesions in 1 to 60 %% of the lungs, over all healthy chests "
        "(--normal and --synthetic); former name: --implants",
    )
    parser.add_argument(
        "--single-lesions",
        metavar="N",
        type=int,
        default=0,
        help="number of cases with one lesion of 2 to 25 ml, in all kinds and places, over all healthy chests",
    )
    parser.add_argument(
        "--healthy", action="store_true", help="analyse healthy chests unchanged, tilted, resliced and with shifted HU"
    )
    parser.add_argument(
        "--synthetic",
        metavar="M",
        type=int,
        default=1,
        help="number of healthy synthetic chests, 0 to 10, with seeds 0, 1, ... (default: %(default)s)",
    )
    parser.add_argument(
        "--pixels",
        metavar="P",
        type=int,
        help="first reduce CTs to P x P pixels, for a quick look; an analysis takes 10 to 20 s at 512 x 512 pixels",
    )
    parser.add_argument(
        "--resampling",
        action="store_true",
        help="also analyse CTs in slices of 1 to 8 mm, in 256 x 256 pixels, with noise",
    )
    parser.add_argument(
        "--seed", metavar="S", type=int, default=0, help="seed for lesions and noise (default: %(default)s)"
    )


def _add(
    kinds: argparse._SubParsersAction,
    name: str,
    run: Callable[[argparse.Namespace], None],
    summary: str,
    description: str,
) -> argparse.ArgumentParser:
    parser = kinds.add_parser(name, help=summary, description=description)
    parser.set_defaults(run=run)
    return parser


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="folder for the results")
    parser.add_argument(
        "--resume", action="store_true", help="continue an interrupted run; in a finished run, repeat failed cases"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON on standard output")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    parser.add_argument(
        "--progress",
        choices=("bar", "json", "none"),
        default="bar",
        help="bar: on a terminal (default); json: one object per line with done, total and seconds_left",
    )
    add_debug(parser, default=argparse.SUPPRESS)


def _add_mask_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images",
        metavar="DIR",
        required=True,
        help="folder of CTs: image files, DICOM folders or .zip archives; if masks are in the same folder: "
        "'DIR/*_ct.nii.gz', in quotes",
    )
    parser.add_argument(
        "--masks", metavar="DIR", required=True, help="folder of true opacity masks, named as their CTs; or a pattern"
    )
    parser.add_argument("--lungs", metavar="DIR", help="folder of lung masks (default: own segmentation); or a pattern")
    parser.add_argument(
        "--slices",
        metavar="LIST",
        help="slices to compare, as in 7-10,19,22 (the first slice is 1), or a CSV file of case and slices",
    )
    parser.add_argument(
        "--mask-labels", metavar="LIST", help="labels of the masks that are opacity, as in 1,2 (default: all except 0)"
    )
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default=PROTOCOLS[0],
        help="all: every slice counts (default); paper: slices without marked opacity are left out",
    )
    add_profile(parser)
