"""``covid-severity models``: list, install and remove the weights of networks."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from CovidSeverityLib.checksums import sha256_of
from CovidSeverityLib.classification.description import BACKBONES, CLASS_NAMES
from CovidSeverityLib.classification.store.adding import add_model
from CovidSeverityLib.classification.store.catalogue import ModelEntry, known_models, read_manifest
from CovidSeverityLib.classification.store.download import discard_download, download_model, kept_bytes
from CovidSeverityLib.classification.store.folder import (
    FolderFile,
    chosen_file,
    consent_sentence,
    download_from_folder,
    folder_files,
)
from CovidSeverityLib.classification.store.installed import (
    FOLDER_VARIABLE,
    InstalledModel,
    find_installed,
    get_installed,
    models_folder,
    remove_model,
    taken_name,
)
from CovidSeverityLib.classification.store.placement import check_free
from CovidSeverityLib.errors import CancelledError, InputError
from CovidSeverityLib.features.classification_image import CLASSIFICATION_IMAGES
from CovidSeverityLib.types import Diagnosis

from .debugging import add_debug
from .engines import LOBE_ENGINES, LUNG_ENGINES
from .model_table import model_rows, write_table
from .paths import existing_path
from .progress import progress_for, progress_kind

OPTIONS = (
    *(("--lung-engine", value, model) for value, model in LUNG_ENGINES.items()),
    *(("--lobe-engine", value, model) for value, model in LOBE_ENGINES.items()),
)
"""Options that use weights of lungmask."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe this command, and add its options."""
    parser.description = (
        "Models are files of weights, for --classifier and for lungmask. The program contains none, and downloads one "
        "only with the action download. Models are stored in the user's cache, or in the folder that "
        f"{FOLDER_VARIABLE} names."
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    for add in (_add_list, _add_path, _add_add, _add_download, _add_files, _add_remove):
        add_debug(add(actions), default=argparse.SUPPRESS)


def _add_list(actions: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = _action(actions, "list", list_models, "the installed models, and those that can be installed")
    _add_manifest(parser)
    parser.add_argument("--json", action="store_true", help="print everything that is known about them as JSON")
    return parser


def _add_path(actions: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = _action(actions, "path", print_path, "print the folder of the models, or the file of one model")
    parser.add_argument("name", metavar="NAME", nargs="?", help="installed model (default: the folder of all models)")
    return parser


def _add_add(actions: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = _action(
        actions,
        "add",
        add,
        "install a model from a file of weights",
        "Copy a file of Keras weights (.hdf5, .h5) to the models, after checking that it contains a network that the "
        "program can use. The description comes from the file or from a manifest.json beside it, as training writes "
        "them. For other files the published values are used unless options give others. Needs TensorFlow (extra "
        "classify).",
    )
    parser.add_argument("file", metavar="FILE", help="file of weights, or whole model, saved by Keras 2")
    parser.add_argument("--as", dest="name", metavar="NAME", required=True, help="name for the model")
    _add_replace(parser)
    _add_manifest(parser)
    known = parser.add_argument_group("description, if the file does not contain it")
    known.add_argument("--backbone", choices=BACKBONES, metavar="NAME", help=f"one of {', '.join(BACKBONES)}")
    known.add_argument("--size", type=int, metavar="PX", help="edge length of the images that it was trained on")
    images = tuple(CLASSIFICATION_IMAGES)
    known.add_argument("--image", choices=images, metavar="NAME", help=f"kind of image: {', '.join(images)}")
    known.add_argument(
        "--classes", metavar="A,B,C", help=f"classes of its outputs, in order: {','.join(CLASS_NAMES.values())}"
    )
    known.add_argument("--licence", metavar="TEXT", help="licence, for example CC-BY-4.0")
    known.add_argument("--source", metavar="TEXT", help="where it comes from")
    _add_progress(parser)
    return parser


def _add_download(actions: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = _action(
        actions,
        "download",
        download,
        "download a model, or take it from its authors' folder",
        "Download a model, continue an interrupted download, verify its SHA-256 and install it. If its authors state "
        "neither licence nor checksum, say so, ask for consent, and add a file of their public Google Drive folder "
        "(extras download and classify).",
    )
    parser.add_argument("name", metavar="NAME", help="model of the manifest")
    _add_yes(parser)
    parser.add_argument("--file", metavar="PATH", help="file of the authors' folder (models files NAME lists them)")
    _add_replace(parser)
    _add_manifest(parser)
    _add_progress(parser)
    return parser


def _add_files(actions: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = _action(actions, "files", list_files, "the files of weights in the public folder of a model's authors")
    parser.add_argument("name", metavar="NAME", help="model of the manifest")
    _add_yes(parser)
    _add_manifest(parser)
    parser.add_argument("--json", action="store_true", help="print them as JSON")
    return parser


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--yes",
        action="store_true",
        help="agree to what is said about the authors' folder; without a terminal nothing is fetched otherwise",
    )


def _add_remove(actions: argparse._SubParsersAction) -> argparse.ArgumentParser:
    parser = _action(actions, "remove", remove, "delete an installed model, or an unfinished download")
    parser.add_argument("name", metavar="NAME", help="installed model")
    return parser


def _action(
    actions: argparse._SubParsersAction,
    name: str,
    run: Callable[[argparse.Namespace], None],
    summary: str,
    description: str | None = None,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=description or f"{summary[0].upper()}{summary[1:]}.")
    parser.set_defaults(run=run)
    return parser


def _add_manifest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--manifest", metavar="FILE", help="your own list of models, instead of the program's (models/README.md)"
    )


def _add_replace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--replace", action="store_true", help="replace an installed model of the same name")


def _add_progress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="print only errors and the output of --progress json")
    parser.add_argument(
        "--progress",
        choices=("bar", "json", "none"),
        default="bar",
        help="bar: on a terminal (default); json: one object per line with stage, done and total (bytes)",
    )


def list_models(arguments: argparse.Namespace) -> None:
    """Run ``models list``."""
    rows = model_rows(_known(arguments))
    if arguments.json:
        stored = {"folder": str(models_folder()), "models": [row.as_dict() for row in rows]}
        sys.stdout.write(json.dumps(stored, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        write_table(rows, models_folder(), sys.stdout)


def print_path(arguments: argparse.Namespace) -> None:
    """Run ``models path``."""
    path = models_folder() if arguments.name is None else get_installed(arguments.name).path
    sys.stdout.write(f"{path}\n")


def add(arguments: argparse.Namespace) -> None:
    """Run ``models add``."""
    file = existing_path(arguments.file, "file of weights")
    network: dict[str, Any] = {"backbone": arguments.backbone, "size_px": arguments.size, "image": arguments.image}
    network["classes"] = None if arguments.classes is None else _classes(arguments.classes)
    facts = {"licence": arguments.licence, "source": arguments.source}
    with _progress(arguments) as progress:
        model = add_model(
            file,
            arguments.name,
            _known(arguments),
            {field: value for field, value in network.items() if value is not None},
            {field: value for field, value in facts.items() if value is not None},
            arguments.replace,
            progress,
        )
    _say_installed(arguments, model)


def download(arguments: argparse.Namespace) -> None:
    """Run ``models download``."""
    entry = _named(arguments.name, _known(arguments), arguments.manifest)
    if entry.folder is not None and not entry.downloadable:
        _say_installed(arguments, _from_folder(arguments, entry))
        return
    there = None if taken_name(entry.name) is None or arguments.replace else find_installed(entry.name)
    if there is not None and entry.is_file(there.entry.sha256) and there.entry.is_file(sha256_of(there.path)):
        _say_installed(arguments, there)
        return
    try:
        with _progress(arguments) as progress:
            model = download_model(entry, arguments.replace, progress)
    except KeyboardInterrupt as error:
        kept = kept_bytes(entry)
        more = f"; {kept / 1e6:.1f} MB are kept, and the same command goes on from there" if kept else ""
        raise CancelledError(f"stopped{more}") from error
    _say_installed(arguments, model)


def list_files(arguments: argparse.Namespace) -> None:
    """Run ``models files``."""
    entry = _named(arguments.name, _known(arguments), arguments.manifest)
    files = folder_files(entry, agreed=_agrees(arguments, entry))
    if arguments.json:
        stored = {"name": entry.name, "files": [{"path": file.path} for file in files]}
        sys.stdout.write(json.dumps(stored, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("".join(f"{file.path}\n" for file in files))


def _from_folder(arguments: argparse.Namespace, entry: ModelEntry) -> InstalledModel:
    """The model from its authors' folder, after consent and with the file that the user chooses."""
    check_free(entry.name, arguments.replace)
    agreed = _agrees(arguments, entry)
    files = folder_files(entry, agreed=agreed)
    asked = arguments.file
    if asked is None and len(files) > 1 and sys.stdin.isatty():
        asked = _asked_file(files)
    file = chosen_file(files, asked)
    with _progress(arguments) as progress:
        return download_from_folder(entry, file, arguments.replace, progress, agreed=agreed)


def _agrees(arguments: argparse.Namespace, entry: ModelEntry) -> bool:
    """Whether the user agrees to :func:`consent_sentence`; asked on a terminal.

    Raises
    ------
    InputError
        If nobody can be asked, or the answer is no.
    """
    sentence = consent_sentence(entry)
    if arguments.yes:
        return True
    if not sys.stdin.isatty():
        raise InputError(f"{sentence} Nothing was downloaded; --yes agrees")
    sys.stderr.write(f"{sentence}\nDownload from there? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError("nothing was downloaded, because you did not agree")
    return True


def _asked_file(files: Sequence[FolderFile]) -> str:
    lines = [f"{number:>3}  {file.path}" for number, file in enumerate(files, 1)]
    sys.stderr.write("\n".join(["The folder has several files:", *lines, f"Which one? [1-{len(files)}] "]))
    sys.stderr.flush()
    answer = sys.stdin.readline().strip()
    if not answer.isdecimal() or not 1 <= int(answer) <= len(files):
        raise InputError(f"nothing was downloaded: {answer!r} is not a number from 1 to {len(files)}")
    return files[int(answer) - 1].path


def remove(arguments: argparse.Namespace) -> None:
    """Run ``models remove``."""
    if taken_name(arguments.name) is not None:
        sys.stdout.write(f"{remove_model(arguments.name)} is deleted\n")
    elif discard_download(arguments.name):
        sys.stdout.write(f"What was left of the download of {arguments.name} is deleted\n")
    else:
        raise InputError(f"no model {arguments.name} is installed; covid-severity models list shows those that are")


def _known(arguments: argparse.Namespace) -> tuple[ModelEntry, ...]:
    if arguments.manifest is None:
        return known_models()
    return read_manifest(existing_path(arguments.manifest, "manifest"))


def _named(name: str, known: Sequence[ModelEntry], manifest: str | None) -> ModelEntry:
    found = next((entry for entry in known if entry.name.lower() == name.lower()), None)
    if found is None:
        where = "--manifest" if manifest else "the program's manifest"
        raise InputError(f"no model {name} in {where}; there are {', '.join(entry.name for entry in known) or 'none'}")
    return found


def _classes(text: str) -> tuple[Diagnosis, ...]:
    diagnoses = {name.lower(): diagnosis for diagnosis, name in CLASS_NAMES.items()}
    try:
        return tuple(diagnoses[name.strip().lower()] for name in text.split(","))
    except KeyError as error:
        raise InputError(f"--classes {text} names no class {error}; {', '.join(CLASS_NAMES.values())} are") from error


def _progress(arguments: argparse.Namespace) -> Any:  # noqa: ANN401 - a context manager of contextlib's own type
    kind = progress_kind(arguments)
    return progress_for(kind, sys.stdout, of_bytes=True)


def _say_installed(arguments: argparse.Namespace, model: InstalledModel) -> None:
    if arguments.quiet or arguments.progress == "json":
        return
    entry, network = model.entry, model.entry.network
    if network is None:
        option = next((f"{option} {value}" for option, value, model in OPTIONS if model.model == entry.name), None)
        what, use = entry.title, option and f"covid-severity analyze INPUT {option}"
    else:
        classes = ", ".join(CLASS_NAMES[c] for c in network.classes)
        image = f"{network.size_px} x {network.size_px} {network.image}"
        what = f"{network.backbone}; image {image}; classes {classes}"
        use = f"covid-severity classify INPUT --classifier {entry.name}"
    lines = [
        f"{entry.name} is installed: {what}",
        f"Licence: {entry.licence or 'not known'}",
        *([f"Note: {entry.limits}"] if entry.limits else []),
        *([f"To use it: {use}"] if use else []),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
