"""The real services as deployed follow the project's rules and those of CDK and CloudFormation."""

import json
import os
import subprocess
import sys
import tarfile
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from infra.bundle.target import ROOT
from infra.services import SERVICES
from tests.infra.privilege import problems
from tests.infra.templates import CONTEXT, Json, Templates, text_of

_USABLE_SHARE = 0.8
"""The usable part of a limit, so that the tests fail before a deployment does."""


@pytest.fixture(scope="session")
def validated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthesize the production mesh as the command line does, with CDK's validation."""
    folder = tmp_path_factory.mktemp("validated")
    configured = {"CDK_OUTDIR": str(folder), "CDK_CONTEXT_JSON": json.dumps(CONTEXT | {"environment": "prod"})}
    environment = {name: value for name, value in os.environ.items() if name != "CDK_VALIDATION"}
    completed = subprocess.run(
        [sys.executable, "-m", "infra.app"],
        cwd=ROOT,
        env=environment | configured,
        check=False,
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stderr
    return folder


class TestSizes:
    """CloudFormation's limits and those of names, in the largest environment with the real services."""

    def test_of_templates_are_below_the_limits(self, validated: Path) -> None:
        for path in validated.glob("*.template.json"):
            template = json.loads(path.read_text())
            assert path.stat().st_size < 1_000_000 * _USABLE_SHARE, path.name
            assert len(template["Resources"]) < 500 * _USABLE_SHARE, path.name
            assert len(template.get("Outputs", {})) < 200 * _USABLE_SHARE, path.name
            assert len(template.get("Parameters", {})) < 200 * _USABLE_SHARE, path.name

    def test_of_names_are_below_the_limits(self, validated: Path) -> None:
        names = [
            *_named(validated, "AWS::Lambda::Function", "FunctionName"),
            *_named(validated, "AWS::IAM::Role", "RoleName"),
        ]
        assert [name for name in names if len(name) > 64] == []
        assert [name for name in _named(validated, "AWS::SQS::Queue", "QueueName") if len(name) > 80] == []


class TestFlags:
    def test_are_those_recommended_by_the_cdk(self) -> None:
        flags = {name: value for name, value in CONTEXT.items() if name.startswith("@")}
        # The engine does not support Fn::GetStackOutput, which the recommended weak references use.
        assert flags == recommended_flags() | {"@aws-cdk/core:defaultCrossStackReferences": "strong"}


class TestServices:
    def test_have_the_five_names(self) -> None:
        assert {one.name for one in SERVICES} == {"tenants", "agents", "runs", "metering", "billing"}

    def test_roles_follow_least_privilege(self, mesh: Templates) -> None:
        roles = [role["RoleName"] for role in mesh.resources("AWS::IAM::Role") if "RoleName" in role]
        found = {(role, problem) for role in roles for one in mesh.statements(role) for problem in problems(one)}
        assert found == set()

    def test_define_each_path_part_once(self, mesh: Templates) -> None:
        path_parts = Counter(
            (text_of(one["ParentId"]).replace("AILabCore-local:ExportsOutput", ""), one["PathPart"])
            for one in mesh.resources("AWS::ApiGateway::Resource")
        )
        assert {path for path, times in path_parts.items() if times > 1} == set()

    def test_consume_only_published_events(self) -> None:
        emitted = {event for one in SERVICES for event in one.emits}
        assert {event for one in SERVICES for event in one.consumes} <= emitted


class TestValidation:
    def test_of_cdk_and_the_security_review_finds_nothing(self, validated: Path) -> None:
        report = json.loads((validated / "validation-report.json").read_text())
        assert [one["pluginName"] for one in report["pluginReports"]] == ["AwsSolutions"]
        assert report["pluginReports"][0]["violations"] == []

    def test_of_cfn_lint_finds_nothing(self, validated: Path, configured: Templates, tmp_path: Path) -> None:
        edge, core = tmp_path / "edge.json", tmp_path / "core.json"
        edge.write_text(json.dumps(configured.stack("Edge")))
        core.write_text(json.dumps(configured.stack("Core")))
        templates = sorted(str(path) for path in validated.glob("*.template.json"))
        assert len(templates) == len(SERVICES) + 3
        templates += [str(edge), str(core)]
        command = [Path(sys.executable).with_name("cfn-lint"), *templates]
        linted = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 — our own templates
        assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")


def _templates(validated: Path) -> list[Json]:
    return [json.loads(path.read_text()) for path in validated.glob("*.template.json")]


def _named(validated: Path, kind: str, name: str) -> list[str]:
    resources = [one for template in _templates(validated) for one in template["Resources"].values()]
    return [one["Properties"][name] for one in resources if one["Type"] == kind and name in one["Properties"]]


def recommended_flags() -> Json:
    """Return the feature flags of a new project in this version of the CDK."""
    packages = Path(str(files("aws_cdk") / "_jsii"))
    with tarfile.open(next(packages.glob("*.tgz"))) as package:
        found = package.extractfile("package/recommended-feature-flags.json")
        assert found is not None
        return json.load(found)
