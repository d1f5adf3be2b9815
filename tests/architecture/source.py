"""The product's source, parsed once."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLOORS = ("shared", "services", "sandbox", "infra", "cli")
SERVICES = ("tenants", "agents", "runs", "metering", "billing")

Definition = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file."""

    path: str
    """From the root of the repository."""
    text: str
    tree: ast.Module

    def definitions(self) -> Iterator[tuple[str, Definition]]:
        """All functions and methods, each with its qualified name as Python writes it."""
        return _definitions(self.tree, "")


def _definitions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Definition]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | Definition):
            name = f"{prefix}{child.name}"
            if isinstance(child, Definition):
                yield name, child
            inside = f"{name}.<locals>." if isinstance(child, Definition) else f"{name}."
            yield from _definitions(child, inside)
        else:
            yield from _definitions(child, prefix)


@cache
def modules() -> tuple[Module, ...]:
    """Every Python file of the product."""
    paths = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
    return tuple(_parsed(path) for path in paths)


def _parsed(path: Path) -> Module:
    text = path.read_text()
    return Module(str(path.relative_to(ROOT)), text, ast.parse(text))


def of_functions() -> tuple[Module, ...]:
    """Return the modules that are shipped in the functions of services."""
    return tuple(module for module in modules() if module.path.startswith(("shared/", "services/")))


def parts(*names: str) -> tuple[Module, ...]:
    """Return the modules of all services and their capabilities under these names, each a file or a folder."""
    return tuple(module for module in modules() if module.path.startswith("services/") and _is_part(module, names))


def _is_part(module: Module, names: tuple[str, ...]) -> bool:
    inside = module.path.removesuffix(".py").split("/")[2:4]
    return bool({*names} & {*inside})


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted names of all imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def attributes(tree: ast.AST) -> Iterator[str]:
    """Yield the `name.attribute` pairs in use; `?` replaces an owner that is no plain name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else "?"
            yield f"{owner}.{node.attr}"
