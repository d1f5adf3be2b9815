"""Five services of one shape."""

from pathlib import Path

import pytest

from infra.services import SERVICES as DECLARED
from shared.declaration import Service
from tests.architecture.source import ROOT, SERVICES, modules

FILES = {"__init__.py", "README.md", "service.py", "errors.py", "wiring.py"}
FILE_OR_FOLDER = {"api", "consumer", "operations", "domain", "table"}
OPTIONAL_FOLDERS = {"gateways"}
CATCH_ALL_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}


def contents(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if entry.name != "__pycache__"}


@pytest.mark.parametrize("service", SERVICES)
class TestService:
    def test_has_the_files_of_all_services_and_no_others(self, service: str) -> None:
        names = contents(ROOT / "services" / service)
        parted = {name.removesuffix(".py") for name in names - FILES} - OPTIONAL_FOLDERS
        assert names >= FILES
        assert parted == FILE_OR_FOLDER

    def test_no_part_is_both_a_file_and_a_folder(self, service: str) -> None:
        names = contents(ROOT / "services" / service)
        assert not [name for name in FILE_OR_FOLDER if {name, f"{name}.py"} <= names]

    def test_is_declared_under_its_own_name(self, service: str) -> None:
        assert [declared.name for declared in DECLARED].count(service) == 1


@pytest.mark.parametrize("service", DECLARED, ids=lambda service: service.name)
class TestDeclaration:
    def test_the_package_says_what_the_service_is(self, service: Service) -> None:
        text = (ROOT / "services" / service.name / "__init__.py").read_text()
        assert text == f'"""{service.purpose}"""\n'

    def test_handlers_are_its_own(self, service: Service) -> None:
        modules_of_handlers = {tuple(function.handler.split(".")[:3]) for function in service.functions}
        assert modules_of_handlers == {("services", service.name, "api"), ("services", service.name, "consumer")}

    def test_slice_has_a_name_of_its_own(self, service: Service) -> None:
        assert [other.slice.name for other in DECLARED].count(service.slice.name) == 1


def test_there_are_no_services_but_these() -> None:
    assert contents(ROOT / "services") == {*SERVICES, "__init__.py"}


def test_no_module_is_a_place_for_anything() -> None:
    parts = [(module.path, part) for module in modules() for part in module.path.removesuffix(".py").split("/")]
    assert not [path for path, part in parts if part in CATCH_ALL_NAMES]
