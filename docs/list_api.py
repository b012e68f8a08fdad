"""Write ``api.md``: every public name of the library with its parameters and an example, as the code has them.

Run from the root of the repository, whose library has to be installed::

    python docs/list_api.py

The page is made of the docstrings of the names in ``CovidSeverityLib.api.__all__``. ``python docs/list_api.py FOLDER``
writes the files that the examples read to FOLDER instead. A test compares the page with the code and runs the examples.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path

from CovidSeverityLib import api
from CovidSeverityLib.evaluation.synthetic.phantom import make_phantom, write_phantom

PAGE = Path(__file__).with_name("api.md")

HEAD = """# The library's public names

`from CovidSeverityLib import ...` gives every name on this page, and `CovidSeverityLib.api.__all__` lists them. Other
modules may change without notice. Arrays are (K, J, I): slices from inferior to superior, rows from anterior to
posterior, columns from the patient's right to left. Triples that describe a geometry are in (I, J, K) order. World
coordinates are LPS millimetres.

The examples run in a folder with a synthetic chest, `ct.nii.gz`, its true masks `lungs.nii.gz` and `lobes.nii.gz`, and
what `analyze("ct.nii.gz").save("results")` writes. `python docs/list_api.py FOLDER` makes such a folder. This page is
written by `docs/list_api.py` from the code.
"""

CHAPTERS = {
    "Functions": lambda value: inspect.isfunction(value),
    "Results, CTs and masks": lambda value: inspect.isclass(value) and not issubclass(value, Exception),
    "Errors": lambda value: inspect.isclass(value) and issubclass(value, Exception),
}

HEADING = re.compile(r"^(\w[\w ]*)\n-+\n", re.MULTILINE)


def page() -> str:
    """The whole page."""
    lines = [HEAD.rstrip()]
    for chapter, belongs in CHAPTERS.items():
        lines += ["", f"## {chapter}"]
        for name in sorted(api.__all__, key=str.lower):
            value = getattr(api, name)
            if belongs(value):
                lines += ["", f"### {name}", "", *described(name, value)]
    return "\n".join(lines) + "\n"


def described(name: str, value: type) -> Iterator[str]:
    """Signature, text and members of a public name."""
    if inspect.isfunction(value):
        yield from ("```python", f"{name}{_signature(value)}", "```", "")
    yield from _markdown(inspect.getdoc(value) or "")
    if inspect.isclass(value):
        members = list(public_members(value))
        if members:
            yield from ("", "**Members**", "")
        for member, text in members:
            yield f"* `{member}`: {_plain(text)}"


def public_members(kind: type) -> Iterator[tuple[str, str]]:
    """Methods and properties of a class with the first sentence about them, its own ones and those it inherits."""
    seen = set()
    for base in kind.__mro__:
        if not base.__module__.startswith("CovidSeverityLib"):
            continue
        for name, member in vars(base).items():
            function = getattr(member, "__func__", member)
            called = inspect.isfunction(function)
            if name.startswith("_") or name in seen or not (called or isinstance(member, property)):
                continue
            seen.add(name)
            first = (inspect.getdoc(function) or "").split("\n\n")[0]
            yield f"{name}{_signature(function) if called else ''}", first


def write_examples(folder: Path) -> None:
    """Write a small synthetic chest with its masks, and its analysis in ``results``."""
    chest = make_phantom(0, shape=(36, 64, 64), spacing_mm=(6.0, 6.0, 8.8))
    folder.mkdir(parents=True, exist_ok=True)
    write_phantom(chest, folder)
    api.analyze(folder / "ct.nii.gz").save(folder / "results")


def _signature(function: object) -> str:
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    bare = [p.replace(annotation=inspect.Parameter.empty, default=_shown(p.default)) for p in parameters]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def _shown(default: object) -> object:
    """A default value; a whole configuration by its name alone."""
    if not is_dataclass(default) or isinstance(default, type):
        return default
    return _Code(f"{type(default).__name__}()")


class _Code(str):
    """Text that a signature shows without quotes."""

    def __repr__(self) -> str:
        return str(self)


def _markdown(docstring: str) -> Iterator[str]:
    """A numpydoc docstring: text as it is, parameters as a list, examples as code."""
    parts = HEADING.split(docstring)
    yield from _plain(parts[0].strip()).splitlines()
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        yield from ("", f"**{title}**", "")
        if title == "Examples":
            yield from _examples(body.strip())
        else:
            yield from _entries(body.strip())


def _entries(body: str) -> Iterator[str]:
    """``name : type`` with a description on the next lines, a line for each."""
    for entry in re.split(r"\n(?=\S)", body):
        head, *rest = entry.splitlines()
        names, colon, kind = head.partition(" : ")
        text = " ".join(line.strip() for line in rest)
        shown = ", ".join(f"`{name}`" for name in names.split(", ")) + (f" ({kind})" if colon else "")
        yield f"* {shown}{f': {_plain(text)}' if text else ''}"


def _examples(body: str) -> Iterator[str]:
    for block in body.split("\n\n"):
        if block.startswith(">>>"):
            code = re.sub(r"  # doctest: .*", "", block)
            yield from ("```pycon", *code.splitlines(), "```")
        else:
            yield from (*_plain(block).splitlines(), "")


def _plain(text: str) -> str:
    """Without the marks of reStructuredText."""
    text = re.sub(r":\w+:`~?([^`]+)`", lambda match: f"`{match[1].removeprefix('~').rpartition('.')[2]}`", text)
    return text.replace("``", "`")


if __name__ == "__main__":
    if sys.argv[1:]:
        write_examples(Path(sys.argv[1]))
    else:
        PAGE.write_text(page(), encoding="utf-8")
