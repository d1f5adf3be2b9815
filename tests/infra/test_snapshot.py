"""Functions that start from a snapshot: what all their copies would share is nothing that must be one's own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from infra.bundle.closure import closure_of
from infra.bundle.target import ROOT
from infra.core.functions import API
from infra.services import SERVICES
from tests.infra.sample_services import SAMPLES
from tests.infra.templates import Json, Templates, text_of

ROUTED = [one for service in SERVICES for one in service.functions if one.routes]


class TestImport:
    def test_of_a_handler_draws_opens_and_makes_nothing(self) -> None:
        handlers = [API.handler, *(one.handler for one in ROUTED)]
        command = [sys.executable, "-m", "tests.infra.snapshot_probe", *handlers]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 — our own probe
        assert json.loads(done.stdout) == {"drawn": [], "random_used": False, "made": [], "sockets": 0}


class TestRestore:
    def test_seeds_the_generator_of_libraries_anew(self, tmp_path: Path) -> None:
        (tmp_path / "snapshot_restore_py.py").write_text(
            "hooks = []\ndef register_after_restore(hook):\n    hooks.append(hook)\n"
        )
        state = "random.getstate()"
        script = (
            f"import random, snapshot_restore_py, services.runs.api.runs; before = {state}; "
            f"[hook() for hook in snapshot_restore_py.hooks]; print(before != {state})"
        )
        environ = {
            **os.environ,
            "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
        }
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)  # noqa: S603 — our own script
        assert done.stdout.split() == ["True"]

    def test_is_heard_of_by_every_function_that_starts_from_a_snapshot(self) -> None:
        for declared in ROUTED:
            module = declared.handler.rpartition(".")[0]
            assert Path("shared/randomness.py") in closure_of(module, root=ROOT).files


class TestAlias:
    def test_is_of_the_newest_version_of_every_function_with_routes(self, prod: Templates) -> None:
        declared = [(service.name, one.name) for service in SAMPLES for one in service.functions if one.routes]
        routed = {"ainexus-prod-api", *(f"ainexus-prod-{service}-{name}" for service, name in declared)}
        assert {one["FunctionName"] for stack in prod.stacks for one in _snapped(prod, stack).values()} == routed
        for stack, template in prod.stacks.items():
            resources, snapped = template["Resources"], _snapped(prod, stack)
            for alias in _of(template, "AWS::Lambda::Alias").values():
                version = resources[alias["FunctionVersion"]["Fn::GetAtt"][0]]
                assert version["Properties"]["FunctionName"]["Ref"] in snapped
                assert version.get("DeletionPolicy") != "Retain"

    def test_is_what_the_api_calls(self, prod: Templates) -> None:
        for template in prod.stacks.values():
            aliases = _of(template, "AWS::Lambda::Alias")
            for one in _of(template, "AWS::ApiGateway::Method").values():
                if one["HttpMethod"] != "OPTIONS":
                    assert any(name in text_of(one["Integration"]["Uri"]) for name in aliases)
            for one in _of(template, "AWS::Lambda::Permission").values():
                if one["Principal"] == "apigateway.amazonaws.com":
                    assert one["FunctionName"]["Ref"] in aliases

    def test_is_not_there_where_nothing_is_snapped(self, dev: Templates) -> None:
        assert dev.resources("AWS::Lambda::Alias") == []
        assert not any(_snapped(dev, stack) for stack in dev.stacks)


def _of(template: Json, kind: str) -> dict[str, Json]:
    return {name: one["Properties"] for name, one in template["Resources"].items() if one["Type"] == kind}


def _snapped(templates: Templates, stack: str) -> dict[str, Json]:
    functions = _of(templates.stacks[stack], "AWS::Lambda::Function")
    return {name: one for name, one in functions.items() if one.get("SnapStart") == {"ApplyOn": "PublishedVersions"}}
