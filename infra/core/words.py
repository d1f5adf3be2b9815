"""What the models of bodies say of their fields: the text below a field, which its schema does not hold by itself."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from infra.bundle.target import ROOT

_SPOKEN = ("services", "shared")


def describe(schemas: dict[str, Any]) -> None:
    """Give every field of a model the words that stand below it, unless it has some."""
    for name, schema in schemas.items():
        for field, said in schema.get("properties", {}).items():
            words = _words_of(name, field)
            if words and "$ref" not in said:
                said.setdefault("description", words)


def _words_of(model: str, field: str) -> str | None:
    """Those of the class itself, or of one that it inherits from."""
    fields, bases = _models().get(model, ({}, ()))
    found = fields.get(field)
    return found or next((words for base in bases if (words := _words_of(base, field))), None)


Model = tuple[dict[str, str], tuple[str, ...]]


@cache
def _models() -> dict[str, Model]:
    """Fields with their words, and names of bases, by the name of the class."""
    return {
        node.name: (dict(_fields(node)), tuple(base.id for base in node.bases if isinstance(base, ast.Name)))
        for path in _sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }


def _sources() -> list[Path]:
    """The modules of bodies last: their class of a name is meant, where the domain has one too."""
    found = (path for folder in _SPOKEN for path in sorted((ROOT / folder).rglob("*.py")))
    return sorted(found, key=lambda path: "api" in (path.stem, path.parent.name))


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for before, after in zip(node.body, node.body[1:], strict=False):
        match before, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                yield name, " ".join(words.split())
            case _:
                pass
