"""The page of environment variables lists every variable, and no others."""

import re
from collections.abc import Iterator

from infra.bundle.target import ROOT
from infra.documents.variables import OF_COMMANDS, OF_FUNCTIONS, OF_TESTS
from tests.infra.templates import Templates

OURS = re.compile(r"\b(?:AINEXUS|PROOF|LOAD)_[A-Z_]+\b")
FOLDERS = ("cli", "infra", "sandbox", "bench", "tests", ".ci")


def test_lists_the_variables_of_functions(mesh: Templates) -> None:
    functions = mesh.resources("AWS::Lambda::Function")
    found = {name for one in functions for name in one.get("Environment", {}).get("Variables", {})}
    # The engine sets its own address.
    assert found - {"AWS_ENDPOINT_URL"} == {*OF_FUNCTIONS}


def test_lists_the_variables_of_commands_and_tests() -> None:
    assert {*OF_COMMANDS, *OF_TESTS} == {name for text in _sources() for name in OURS.findall(text)}


def _sources() -> Iterator[str]:
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            is_read = path.suffix == ".py" or path.name == "run"
            if path.is_file() and is_read and path.name not in {"variables.py", "test_variables.py"}:
                yield path.read_text()
