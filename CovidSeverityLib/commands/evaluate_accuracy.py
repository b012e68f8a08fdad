"""Run ``covid-severity evaluate accuracy`` with its options."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from CovidSeverityLib.config import AnalysisConfig
from CovidSeverityLib.errors import InputError
from CovidSeverityLib.evaluation.accuracy.measurement import CHEST_SEEDS, Chest, Work, Workbench, accuracy_cases
from CovidSeverityLib.evaluation.accuracy.report import accuracy_outputs
from CovidSeverityLib.evaluation.accuracy.slice_labels import LABELS_ENDING, read_slice_labels
from CovidSeverityLib.evaluation.accuracy.variations import VARIATIONS
from CovidSeverityLib.evaluation.case_names import find_name
from CovidSeverityLib.evaluation.extras import require
from CovidSeverityLib.io.image_search import find_images

from .evaluation_run import EvaluationPlan, listed, path_mark, run_plan
from .paths import existing_path, folder_and_pattern

PHANTOM_NAME = "synthetic"
"""Name of healthy synthetic chests in tables, before their seed."""

FEWEST_PIXELS = 64
"""Smaller images cannot be analysed."""


def accuracy(arguments: argparse.Namespace) -> None:
    """Run ``evaluate accuracy``."""
    require("scipy", "sklearn")
    profiles = _names(arguments.profiles, "--profiles")
    configs = {profile: AnalysisConfig.for_profile(profile) for profile in profiles}
    _check(arguments)
    images = None if arguments.images is None else folder_and_pattern(arguments.images, "folder of images")
    labels = _folder(arguments, "slice_labels")
    chests, remarks = _chests(arguments, images, labels)
    variations = VARIATIONS if arguments.resampling else ()
    work = Work(variations, arguments.simulated, arguments.single_lesions, arguments.healthy, arguments.seed)
    cases = {case.name: case for case in accuracy_cases(chests, profiles, work)}
    bench = Workbench(configs, arguments.seed)
    run_plan(
        EvaluationPlan(
            names=tuple(cases),
            evaluate=lambda name: bench.measure(cases[name]),
            finish=lambda records, facts: accuracy_outputs(
                records,
                profiles,
                facts,
                resampling=arguments.resampling,
                healthy=arguments.healthy,
                pixels=arguments.pixels,
            ),
            made_with=_made_with(arguments, configs, images, labels),
            profile=" and ".join(profiles),
            remarks=remarks,
        ),
        arguments,
    )


def _made_with(
    arguments: argparse.Namespace,
    configs: Mapping[str, AnalysisConfig],
    images: tuple[Path, str] | None,
    labels: Path | None,
) -> dict[str, Any]:
    """Everything that determines a record; ``--resampling`` and ``--healthy`` only add records."""
    return {
        "evaluation": "accuracy",
        "configuration": {profile: config.as_dict() for profile, config in configs.items()},
        "images": None if images is None else path_mark(images[0] / images[1]),
        "slice-labels": path_mark(labels),
        "normal": list(_names(arguments.normal, "--normal")) if arguments.normal else [],
        "simulated": arguments.simulated,
        "single-lesions": arguments.single_lesions,
        "synthetic": arguments.synthetic,
        "pixels": arguments.pixels,
        "seed": arguments.seed,
    }


def _check(arguments: argparse.Namespace) -> None:
    for name in ("seed", "simulated", "single_lesions"):
        if getattr(arguments, name) < 0:
            raise InputError(f"--{_option(name)} {getattr(arguments, name)} is negative; 0 or more is needed")
    if not 0 <= arguments.synthetic <= len(CHEST_SEEDS):
        raise InputError(f"--synthetic {arguments.synthetic} is not between 0 and {len(CHEST_SEEDS)}")
    if arguments.pixels is not None and arguments.pixels < FEWEST_PIXELS:
        raise InputError(f"--pixels {arguments.pixels} is too few; at least {FEWEST_PIXELS} are needed")
    on_healthy = tuple(name for name in ON_HEALTHY if getattr(arguments, name))
    if arguments.images is None and not on_healthy:
        raise InputError("there is nothing to measure; --images DIR, --simulated N or --healthy is needed")
    if on_healthy and not (arguments.synthetic or arguments.normal):
        raise InputError(f"--{_option(on_healthy[0])} needs healthy chests: --normal NAMES or --synthetic M")
    for name in ("slice_labels", "normal", "resampling"):
        if getattr(arguments, name) and arguments.images is None:
            raise InputError(f"--{_option(name)} needs CTs: --images DIR")


ON_HEALTHY = ("simulated", "single_lesions", "healthy")
"""Options that need healthy chests."""


def _option(name: str) -> str:
    return name.replace("_", "-")


def _folder(arguments: argparse.Namespace, name: str) -> Path | None:
    given = getattr(arguments, name)
    return None if given is None else existing_path(given, f"folder of {name.replace('_', ' ')}")


def _names(text: str, option: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise InputError(f"{option} names nothing; names with commas between them are needed")
    return names


def _chests(
    arguments: argparse.Namespace, images: tuple[Path, str] | None, labels: Path | None
) -> tuple[tuple[Chest, ...], tuple[str, ...]]:
    """The CTs with their labels, then the synthetic chests, and remarks."""
    paths = {} if images is None else find_images(*images)
    normal = {_the_image(name, paths) for name in _names(arguments.normal, "--normal")} if arguments.normal else set()
    files = {name: labels / f"{Path(name).name}{LABELS_ENDING}" for name in paths} if labels is not None else {}
    chests = tuple(
        Chest(
            name,
            path,
            labels=read_slice_labels(files[name]) if name in files and files[name].exists() else None,
            normal=name in normal,
            pixels=arguments.pixels,
        )
        for name, path in paths.items()
    )
    if labels is not None and not any(chest.labels for chest in chests):
        raise InputError(f"{labels.name} has labels of no CT; NAME{LABELS_ENDING} holds those of the CT NAME")
    bare = tuple(chest.name for chest in chests if chest.labels is None and not chest.normal)
    remarks = (f"no labels, and not named as normal: {listed(bare)}",) if bare and (labels or normal) else ()
    return (*chests, *_synthetic_chests(arguments)), remarks


def _synthetic_chests(arguments: argparse.Namespace) -> tuple[Chest, ...]:
    if not any(getattr(arguments, name) for name in ON_HEALTHY):
        return ()
    return tuple(
        Chest(f"{PHANTOM_NAME} {seed}", None, normal=True, seed=seed, pixels=arguments.pixels)
        for seed in CHEST_SEEDS[: arguments.synthetic]
    )


def _the_image(name: str, paths: Mapping[str, Path]) -> str:
    found = find_name(name, paths)
    if len(found) != 1:
        raise InputError(
            f"--normal names {name}, which {'may be ' + listed(found) if found else 'is no CT of --images'}"
        )
    return found[0]
