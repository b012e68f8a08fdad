"""``covid-severity evaluate``: the tables of the published method's paper, and what the profiles are worth."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from CovidSeverityLib.config import PROFILES
from CovidSeverityLib.evaluation.paper.segmentation import LungsUsed
from CovidSeverityLib.features.classification_image import CLASSIFICATION_IMAGES

from .ct_input import add_independent_slices
from .debugging import add_debug
from .evaluate_accuracy import accuracy
from .evaluations import PROTOCOLS, ablation, classification, ctss, segmentation


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe this command, and add its options."""
    parser.description = (
        "Measure the results of many CTs against the truth. Each evaluation writes results.csv, "
        "summary.json, table.md, failures.csv and plots to a folder. What it needs beside the program: "
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
        "infection masks against radiologists' (the paper's tables 2 to 4)",
        "Dice, sensitivity, specificity, precision, Jaccard, MCC, MAE and accuracy of the infection mask, per slice "
        "and per case; recall by label of the masks; our own lungs against given ones.",
    )
    _add_mask_options(parser)
    parser.add_argument(
        "--in-lungs",
        choices=tuple(used.value for used in LungsUsed),
        help="lungs in which the infection is marked: own, given (--lungs), or both, each for itself (default: given "
        "where there are lung masks, else own); with own and both our own lungs are compared with the given ones",
    )
    add_independent_slices(parser)
    _add_output_options(parser)


def _add_classification(kinds: argparse._SubParsersAction) -> None:
    parser = _add(
        kinds,
        "classification",
        classification,
        "diagnoses against the truth (the paper's tables 5 and 6)",
        "Confusion matrix, accuracy, sensitivity, precision, F1 and ROC curves over patients.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", metavar="DIR", help="folder of CTs, which are classified (with --classifier)")
    source.add_argument("--predictions", metavar="CSV", help="diagnoses that exist: case, label, probabilities")
    parser.add_argument(
        "--labels",
        metavar="CSV",
        required=True,
        help="true diagnoses, in the layout of COVID-CT-MD and SPGC, of MosMed or of the LDCT sets, or case and label",
    )
    parser.add_argument(
        "--classifier", metavar="NAME|FILE", help="an installed model, or a file of Keras weights (.hdf5)"
    )
    parser.add_argument(
        "--image",
        metavar="NAME",
        choices=tuple(CLASSIFICATION_IMAGES),
        help="images that the classifier is given (default: those that it was trained with), for ablation studies: "
        f"{', '.join(CLASSIFICATION_IMAGES)}",
    )
    _add_output_options(parser)


def _add_ctss(kinds: argparse._SubParsersAction) -> None:
    parser = _add(
        kinds,
        "ctss",
        ctss,
        "severity scores against radiologists'",
        "Correlation, intraclass correlation, error, limits of agreement and weighted kappa of the CT severity score.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", metavar="DIR", help="folder of CTs, which are analysed")
    source.add_argument(
        "--predictions",
        metavar="CSV",
        help="scores that exist: case and ctss, or truth and scores in the truth's order",
    )
    parser.add_argument("--truth", metavar="CSV", help="radiologists' scores: case and CTSS (0-25)")
    _add_profile(parser)
    _add_output_options(parser)


def _add_ablation(kinds: argparse._SubParsersAction) -> None:
    parser = _add(
        kinds,
        "ablation",
        ablation,
        "what each step of the preprocessing is worth",
        "Switch off the steps of the profile's infection mask and of the classification image one at a time, and "
        "compare both with radiologists' masks.",
    )
    _add_mask_options(parser)
    _add_output_options(parser)


def _add_accuracy(kinds: argparse._SubParsersAction) -> None:
    parser = _add(
        kinds,
        "accuracy",
        accuracy,
        "all profiles on the same work, beside what is asked of them",
        "One table of the profiles side by side: radiologists' labels of slices and lobes, lesions of known extent in "
        "healthy chests, healthy chests that must stay so, the same CTs with other slices, pixels and noise. Figures "
        "that are not as asked are marked.",
    )
    parser.add_argument(
        "--images", metavar="DIR", help="folder of CTs: image files or DICOM folders; 'DIR/normal*' takes some of them"
    )
    parser.add_argument(
        "--slice-labels",
        metavar="DIR",
        help="folder of radiologists' labels, NAME_labels.csv for the CT NAME: z_mm, infected, and a column a lobe",
    )
    parser.add_argument("--normal", metavar="NAMES", help="CTs in which nothing is infected: names with commas between")
    _add_chest_options(parser)
    parser.add_argument(
        "--profiles",
        metavar="NAMES",
        default=",".join(PROFILES),
        help="columns of the table: names with commas between (default: %(default)s)",
    )
    _add_output_options(parser)


def _add_chest_options(parser: argparse.ArgumentParser) -> None:
    """What is done to CTs and to healthy chests before they are analysed."""
    parser.add_argument(
        "--simulated",
        "--implants",  # its old name
        metavar="N",
        type=int,
        default=0,
        help="cases of lesions that fill 1 to 60 %% of the lungs, over all healthy chests: --normal and --synthetic",
    )
    parser.add_argument(
        "--single-lesions",
        metavar="N",
        type=int,
        default=0,
        help="cases of one lesion of 2 to 25 ml, of every kind and place, over all healthy chests",
    )
    parser.add_argument(
        "--healthy", action="store_true", help="every healthy chest as it is, tilted, resliced and with shifted HU"
    )
    parser.add_argument(
        "--synthetic",
        metavar="M",
        type=int,
        default=1,
        help="healthy synthetic chests, 0 to 10; their seeds are 0, 1, ... (default: %(default)s)",
    )
    parser.add_argument(
        "--pixels",
        metavar="P",
        type=int,
        help="reduce CTs to P x P pixels first, for a quick look: an analysis takes 10 to 20 s at 512 x 512 pixels",
    )
    parser.add_argument(
        "--resampling", action="store_true", help="every CT with slices of 1 to 8 mm, 256 x 256 pixels and added noise"
    )
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="of lesions and noise (default: %(default)s)")


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
        "--resume", action="store_true", help="go on with an interrupted run; of a finished one, retry what failed"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON on standard output")
    parser.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    parser.add_argument(
        "--progress",
        choices=("bar", "json", "none"),
        default="bar",
        help="bar: on a terminal (default); json: one object a line with done, total and seconds_left",
    )
    add_debug(parser, default=argparse.SUPPRESS)


def _add_mask_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images",
        metavar="DIR",
        required=True,
        help="folder of CTs: image files or DICOM folders; where masks lie beside them: 'DIR/*_ct.nii.gz', quoted",
    )
    parser.add_argument(
        "--masks", metavar="DIR", required=True, help="folder of true infection masks, named as their CTs; likewise"
    )
    parser.add_argument("--lungs", metavar="DIR", help="folder of lung masks (default: the lungs are found); likewise")
    parser.add_argument(
        "--slices",
        metavar="LIST",
        help="slices to compare, the first of the file being 1: 7-10,19,22, or a CSV file of case and slices",
    )
    parser.add_argument(
        "--mask-labels", metavar="LIST", help="labels of the masks that are infection: 1,2 (default: all but 0)"
    )
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default=PROTOCOLS[0],
        help="all: every slice counts (default); paper: slices in which nothing was found do not",
    )
    _add_profile(parser)


def _add_profile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--profile",
        default=PROFILES[0],
        metavar="NAME",
        help=f"{' or '.join(PROFILES)}: our best result (default), or the published method as its authors run it",
    )
