"""Every imported package is declared in `pyproject.toml`; no import relies on the dependencies of another package."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from infra.bundle.lock import RUNTIME, normalized
from tests.architecture.source import ROOT

SHIPPED = ("shared", "services")
"""Folders whose imports are in the bundles of functions."""

ALL = (*SHIPPED, "infra", "sandbox", "cli", "tests", "bench")

RUNTIME_ONLY = {"snapshot-restore-py"}
"""Installed in Lambda alone; its import is optional."""


class TestImports:
    def test_of_functions_are_declared_as_dependencies_or_belong_to_the_runtime(self) -> None:
        assert undeclared(imported(*SHIPPED), declared("dependencies") | RUNTIME) == set()

    def test_are_all_declared(self) -> None:
        assert undeclared(imported(*ALL), declared("dependencies", "groups") | RUNTIME_ONLY) == set()


class TestUndeclared:
    def test_finds_a_dependency_of_a_dependency(self) -> None:
        assert undeclared({"jmespath", "boto3"}, declared("dependencies", "groups")) == {"jmespath"}

    def test_knows_distributions_whose_package_has_another_name(self) -> None:
        assert undeclared({"aws_cdk", "jsonschema_rs"}, declared("dependencies", "groups")) == set()


def undeclared(packages: set[str], declared: set[str]) -> set[str]:
    """Return the top-level packages of which no distribution is declared."""
    return {package for package in packages if not _distributions(package) & declared}


def imported(*folders: str) -> set[str]:
    """Return the third-party packages that the modules in these folders import, also for type checkers alone."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    names = {name.partition(".")[0] for path in paths for name in _imports(path)}
    return names - sys.stdlib_module_names - {*ALL}


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _distributions(package: str) -> set[str]:
    # A package of another environment has the name of its distribution.
    return {normalized(name) for name in _installed().get(package, [package])}


@cache
def _installed() -> dict[str, list[str]]:
    return dict(packages_distributions())


def declared(*sections: str) -> set[str]:
    """Return the distributions that `pyproject.toml` names, with the stubs that it names as extras of types-boto3."""
    document: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements: list[str] = []
    if "dependencies" in sections:
        requirements += document["project"]["dependencies"]
    if "groups" in sections:
        requirements += [one for group in document["dependency-groups"].values() for one in group]
    return {name for requirement in requirements for name in _names(requirement)}


def _names(requirement: str) -> Iterator[str]:
    name, extras = re.findall(r"^([\w.-]+)(?:\[(.*?)\])?", requirement)[0]
    yield normalized(name)
    if name == "types-boto3":
        yield from (f"types-boto3-{extra}" for extra in extras.split(","))
