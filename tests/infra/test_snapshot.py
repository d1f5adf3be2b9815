"""Functions that start from a snapshot share no state that each copy must have for itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

from infra.bundle.closure import closure_of
from infra.bundle.target import ROOT
from infra.services import SERVICES
from services.core.service import API, AUTHORIZER
from tests.infra.sample_services import SAMPLES
from tests.infra.templates import Json, Templates, text_of

ROUTED = [one for service in SERVICES for one in service.functions if one.routes]


class TestImport:
    def test_of_a_handler_creates_no_shared_state(self) -> None:
        handlers = [API.handler, AUTHORIZER.handler, *(one.handler for one in ROUTED)]
        command = [sys.executable, "-m", "tests.infra.snapshot_probe", *handlers]
        completed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 — our own probe
        assert json.loads(completed.stdout) == {"drawn": [], "random_used": False, "made": [], "sockets": 0}


class TestRestore:
    def test_reseeds_the_random_generator(self, tmp_path: Path) -> None:
        (tmp_path / "snapshot_restore_py.py").write_text(
            "hooks = []\ndef register_after_restore(hook):\n    hooks.append(hook)\n"
        )
        state = "random.getstate()"
        script = (
            f"import random, snapshot_restore_py, services.runs.functions.api; before = {state}; "
            f"[hook() for hook in snapshot_restore_py.hooks]; print(before != {state})"
        )
        environ = {
            **os.environ,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
        }
        command = [sys.executable, "-c", script]
        completed = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)  # noqa: S603 — our own script
        assert completed.stdout.split() == ["True"]

    def test_hook_is_imported_by_every_function_with_a_snapshot(self) -> None:
        for declared in (AUTHORIZER, *ROUTED):
            module = declared.handler.rpartition(".")[0]
            assert Path("shared/randomness.py") in closure_of(module, root=ROOT).files


class TestAlias:
    def test_has_the_newest_version_of_every_function_with_routes(self, prod: Templates) -> None:
        declared = [(service.name, one.name) for service in SAMPLES for one in service.functions if one.routes]
        routed = {
            "ainexus-prod-api",
            "ainexus-prod-authorizer",
            *(f"ainexus-prod-{service}-{name}" for service, name in declared),
        }
        assert {
            one["FunctionName"] for stack in prod.stacks for one in _functions_with_snapshot(prod, stack).values()
        } == routed
        for stack, template in prod.stacks.items():
            resources, with_snapshot = template["Resources"], _functions_with_snapshot(prod, stack)
            for alias in _properties_of(template, "AWS::Lambda::Alias").values():
                version = resources[alias["FunctionVersion"]["Fn::GetAtt"][0]]
                assert version["Properties"]["FunctionName"]["Ref"] in with_snapshot
                assert version.get("DeletionPolicy") != "Retain"

    def test_is_invoked_by_the_api(self, prod: Templates) -> None:
        for template in prod.stacks.values():
            aliases = _properties_of(template, "AWS::Lambda::Alias")
            for one in _properties_of(template, "AWS::ApiGateway::Method").values():
                if one["HttpMethod"] != "OPTIONS":
                    assert any(name in text_of(one["Integration"]["Uri"]) for name in aliases)
            for one in _properties_of(template, "AWS::Lambda::Permission").values():
                if one["Principal"] == "apigateway.amazonaws.com":
                    assert one["FunctionName"]["Ref"] in aliases

    def test_does_not_exist_without_snapshots(self, dev: Templates) -> None:
        assert dev.resources("AWS::Lambda::Alias") == []
        assert not any(_functions_with_snapshot(dev, stack) for stack in dev.stacks)


def _properties_of(template: Json, kind: str) -> dict[str, Json]:
    return {name: one["Properties"] for name, one in template["Resources"].items() if one["Type"] == kind}


def _functions_with_snapshot(templates: Templates, stack: str) -> dict[str, Json]:
    functions = _properties_of(templates.stacks[stack], "AWS::Lambda::Function")
    return {name: one for name, one in functions.items() if one.get("SnapStart") == {"ApplyOn": "PublishedVersions"}}
