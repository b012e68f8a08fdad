"""The numbers that decide where lungs, lobes and opacities are, collected from the modules that hold them.

A report prints their values, and ``docs/numbers.md`` their texts too. What a number is called, and the text under it,
is read from the source; its value is the module's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from .plain import plain

LIBRARY = Path(__file__).parent

CHAPTERS: dict[str, tuple[str, ...]] = {}
"""Modules, by what they find."""


@dataclass(frozen=True)
class Number:
    """A constant or a field of a configuration: its name, its value as the code has it, and the text under it."""

    name: str
    value: str
    reason: str


def deciding_numbers() -> dict[str, dict[str, Any]]:
    """Values of all constants of these modules as JSON knows them: by module, and by name.

    Fields of configurations are not among them: a configuration may have changed them, and tells them itself.
    """
    found = {}
    for module in (module for modules in CHAPTERS.values() for module in modules):
        names = [number.name for number in numbers_of(LIBRARY / module) if number.name.isupper()]
        loaded = import_module(f"{__package__}.{module.removesuffix('.py').replace('/', '.')}")
        found[Path(module).stem] = {name: plain(getattr(loaded, name)) for name in names}
    return found


@cache
def numbers_of(path: Path) -> tuple[Number, ...]:
    """The numbers of a module, in its order; constants that share a text follow each other."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return tuple(_with_reasons(list(_statements(tree))))


def _statements(tree: ast.Module) -> Iterator[tuple[str, str] | str]:
    """Names with their values, and texts, in a module's order; fields of configurations have their class's text."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("Config"):
            reasons = _field_reasons(ast.get_docstring(node) or "")
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and field.value is not None and _has_number(field.value):
                    yield ast.unparse(field.target), ast.unparse(field.value)
                    yield reasons[ast.unparse(field.target)]
        elif isinstance(node, ast.Assign) and _is_number(node):
            yield from _pairs(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield " ".join(node.value.value.split())


def _is_number(node: ast.Assign) -> bool:
    return ast.unparse(node.targets[0]).replace("(", "").isupper() and _has_number(node.value)


def _has_number(value: ast.expr) -> bool:
    numbers = (int, float)
    return any(isinstance(n, ast.Constant) and type(n.value) in numbers for n in ast.walk(value))


def _pairs(node: ast.Assign) -> Iterator[tuple[str, str]]:
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        yield from ((ast.unparse(t), ast.unparse(v)) for t, v in zip(target.elts, value.elts, strict=True))
    else:
        yield ast.unparse(target), ast.unparse(value)


def _field_reasons(docstring: str) -> dict[str, str]:
    """The text of every parameter of a numpydoc text that is written ``name : text``."""
    reasons: dict[str, str] = {}
    names: list[str] = []
    for line in docstring.splitlines():
        if " : " in line and not line.startswith(" "):
            listed, _, text = line.partition(" : ")
            names = listed.split(", ")
            reasons |= dict.fromkeys(names, text)
        elif line.startswith(" "):
            reasons |= {name: f"{reasons[name]} {line.strip()}" for name in names}
    return reasons


def _with_reasons(statements: list[tuple[str, str] | str]) -> list[Number]:
    found: list[Number] = []
    waiting: list[tuple[str, str]] = []
    for statement in statements:
        if isinstance(statement, tuple):
            waiting.append(statement)
        else:
            found += [Number(name, value, statement) for name, value in waiting]
            waiting = []
    return found + [Number(name, value, "") for name, value in waiting]
