"""Who imports whom in a package, read from its source without running it."""

from __future__ import annotations

import ast
import enum
from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple


class Kind(enum.Enum):
    """When an import runs."""

    MODULE = "when the module is loaded"
    FUNCTION = "when a function is called"
    TYPING = "never: for type checkers only"


class Import(NamedTuple):
    """One file imports another."""

    importer: str
    imported: str
    kind: Kind


def import_graph(root: Path, package: str, kinds: Collection[Kind] = tuple(Kind)) -> dict[str, set[str]]:
    """The files of the package that each of its files imports.

    Parameters
    ----------
    root : Path
        Folder that holds the folder of the package.
    package : str
        Name of the package.
    kinds : collection of Kind
        Which imports count; by default all.

    Returns
    -------
    dict of str to set of str
        By full name, as in ``CovidSeverityLib.io.reading``. A package stands for its ``__init__.py``. That an import
        of ``a.b.c`` also loads ``a`` and ``a.b`` is left out.
    """
    files = {_name(path, root): path for path in sorted((root / package).rglob("*.py"))}
    graph: dict[str, set[str]] = {name: set() for name in files}
    for name, path in files.items():
        for one in _imports(name, path, files):
            if one.kind in kinds:
                graph[one.importer].add(one.imported)
    return graph


def circles(graph: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Circles of imports; none is left when one import of each of them is taken out.

    Returns
    -------
    list of list of str
        Each name imports the next one; the first name is the smallest, and the last one again.
    """
    rest = {name: sorted(imported) for name, imported in sorted(graph.items())}
    found: list[list[str]] = []
    while True:
        try:
            TopologicalSorter(rest).prepare()
        except CycleError as error:
            names = error.args[1][:0:-1]  # graphlib tells it the other way round
            first = names.index(min(names))
            circle = [*names[first:], *names[: first + 1]]
            found.append(circle)
            rest[circle[0]].remove(circle[1])
        else:
            return found


def graph_of_packages(graph: Mapping[str, Collection[str]], depth: int = 2) -> dict[str, set[str]]:
    """The graph with each name cut to its first ``depth`` parts, without imports within one of them."""
    packages: dict[str, set[str]] = {}
    for name, imported in graph.items():
        package = _cut(name, depth)
        packages.setdefault(package, set()).update({_cut(other, depth) for other in imported} - {package})
    return packages


def against_order(graph: Mapping[str, Collection[str]], order: Sequence[Collection[str]]) -> list[str]:
    """Imports that do not go down.

    Parameters
    ----------
    graph : mapping of str to collection of str
        Who imports whom.
    order : sequence of collection of str
        Every name of the graph, the highest first. Names of one rank must not import each other.

    Returns
    -------
    list of str
        One sentence for each.
    """
    rank = {name: number for number, names in enumerate(order) for name in names}
    if set(rank) != set(graph):
        return [f"The order lacks or has without need: {sorted(set(rank) ^ set(graph))}."]
    return [
        f"{name} imports {other}, which is not below it."
        for name, imported in sorted(graph.items())
        for other in sorted(imported)
        if rank[other] <= rank[name]
    ]


def _name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _cut(name: str, depth: int) -> str:
    return ".".join(name.split(".")[:depth])


def _imports(name: str, path: Path, files: Mapping[str, Path]) -> Iterator[Import]:
    for node, kind in _import_statements(ast.parse(path.read_text(encoding="utf-8")), Kind.MODULE):
        if isinstance(node, ast.Import):
            candidates = [[alias.name] for alias in node.names]
        else:
            base = _base(node, name, is_package=path.name == "__init__.py")
            candidates = [[f"{base}.{alias.name}", base] for alias in node.names]
        for names in candidates:
            imported = next((candidate for candidate in names if candidate in files), None)
            if imported is not None:
                yield Import(name, imported, kind)


def _base(node: ast.ImportFrom, name: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    parent = parts[: len(parts) - node.level + is_package]
    return ".".join([*parent, *([node.module] if node.module else [])])


def _import_statements(node: ast.AST, kind: Kind) -> Iterator[tuple[ast.Import | ast.ImportFrom, Kind]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, kind
        elif isinstance(child, ast.If) and _asks_for_type_checking(child.test):
            for statement in child.body:
                yield from _import_statements(ast.Module([statement], []), Kind.TYPING)
            for statement in child.orelse:
                yield from _import_statements(ast.Module([statement], []), kind)
        else:
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from _import_statements(child, Kind.FUNCTION if is_function and kind is Kind.MODULE else kind)


def _asks_for_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
