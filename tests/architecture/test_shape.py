"""Five services of one shape, organized by capability, and core."""

import re
import tomllib
from pathlib import Path

import pytest

from infra.services import SERVICES as DECLARED
from services.core.service import API, PUBLISHER
from shared.declaration import Service
from tests.architecture.source import ROOT, SERVICES, modules

SERVICE_FILES = {"__init__.py", "README.md", "service.py", "errors.py", "wiring.py", "partitions.py", "functions"}
CORE_FILES = {"__init__.py", "README.md", "service.py", "functions"}
CAPABILITY_MODULES = {"api", "schemas", "consumer", "operations", "domain", "table", "gateway"}
CATCH_ALL_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}


def contents(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if entry.name not in {"__pycache__", "openapi.json"}}


def capabilities_of(service: str) -> list[Path]:
    folder = ROOT / "services" / service
    return [folder / name for name in sorted(contents(folder) - SERVICE_FILES)]


CAPABILITIES = [folder for service in (*SERVICES, "core") for folder in capabilities_of(service)]


@pytest.mark.parametrize("service", SERVICES)
class TestService:
    def test_has_the_files_of_all_services_and_otherwise_only_capabilities(self, service: str) -> None:
        assert contents(ROOT / "services" / service) >= SERVICE_FILES
        assert all((folder / "__init__.py").exists() for folder in capabilities_of(service))
        assert len(capabilities_of(service)) > 1

    def test_is_declared_under_its_own_name(self, service: str) -> None:
        assert [declared.name for declared in DECLARED].count(service) == 1


@pytest.mark.parametrize("folder", CAPABILITIES, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
class TestCapability:
    def test_has_only_modules_of_the_known_names(self, folder: Path) -> None:
        names = contents(folder) - {"__init__.py"}
        assert names
        assert {name.removesuffix(".py") for name in names} <= CAPABILITY_MODULES

    def test_has_no_module_that_is_both_a_file_and_a_package(self, folder: Path) -> None:
        assert not [name for name in CAPABILITY_MODULES if {name, f"{name}.py"} <= contents(folder)]


@pytest.mark.parametrize("service", DECLARED, ids=lambda service: service.name)
class TestDeclaration:
    def test_repeats_the_docstring_of_the_package(self, service: Service) -> None:
        text = (ROOT / "services" / service.name / "__init__.py").read_text()
        assert text == f'"""{service.purpose}"""\n'

    def test_names_one_module_for_each_function(self, service: Service) -> None:
        for function in service.functions:
            module = function.name.replace("-", "_")
            assert function.handler == f"services.{service.name}.functions.{module}.handler"
        declared = {f"{function.name.replace('-', '_')}.py" for function in service.functions}
        assert contents(ROOT / "services" / service.name / "functions") == {"__init__.py", *declared}

    def test_has_a_slice_of_its_own(self, service: Service) -> None:
        assert [other.slice.name for other in DECLARED].count(service.slice.name) == 1


class TestCore:
    def test_has_only_its_declaration_its_functions_and_capabilities(self) -> None:
        capabilities = {folder.name for folder in CAPABILITIES if folder.parent.name == "core"}
        assert contents(ROOT / "services" / "core") == CORE_FILES | capabilities

    def test_names_one_module_for_each_function(self) -> None:
        names = {f"services.core.functions.{function.name}.handler" for function in (API, PUBLISHER)}
        assert {API.handler, PUBLISHER.handler} == names


class TestListsOfCapabilities:
    @pytest.mark.parametrize("service", [*SERVICES, "core"])
    def test_architecture_names_every_capability_of_a_service(self, service: str) -> None:
        assert sorted(listed_in_architecture(service)) == [folder.name for folder in capabilities_of(service)]

    def test_the_import_contract_names_every_capability(self) -> None:
        contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
        [contract] = [contract for contract in contracts if contract["id"] == "capability"]
        folders = [f"services.{folder.parent.name}.{folder.name}" for folder in CAPABILITIES]
        assert sorted(contract["containers"]) == sorted(folders)


def listed_in_architecture(service: str) -> list[str]:
    """Return the capabilities of a service in the list of folders of ARCHITECTURE.md."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    entry = re.search(rf"^  {service}/ +(?:[^\n]*: )?(.*?)\n(?=  {{1,4}}\S)", text, re.DOTALL | re.MULTILINE)
    assert entry, f"ARCHITECTURE.md does not list the folder services/{service}"
    return entry[1].split()


def test_there_are_no_services_but_these_and_core() -> None:
    assert contents(ROOT / "services") == {*SERVICES, "core", "__init__.py"}


def test_no_module_is_a_place_for_anything() -> None:
    parts = [(module.path, part) for module in modules() for part in module.path.removesuffix(".py").split("/")]
    assert not [path for path, part in parts if part in CATCH_ALL_NAMES]
