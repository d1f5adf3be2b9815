"""Deploying and removing: what is asked, what is run, and in which order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import click
import pytest
from click.testing import CliRunner

from cli.deployment.account import check_account
from cli.deployment.aws import deploy_to_aws, destroy_on_aws
from cli.deployment.cdk import Cdk
from cli.errors import Refused
from cli.target import Target
from infra.names import Names
from infra.settings import Settings

ACCOUNT = "222222222222"
TOOLKIT = "CDKToolkit"


class _NoSuchBucketError(Exception):
    pass


@dataclass
class _Pages:
    pages: list[dict[str, Any]]

    def paginate(self, **_: object) -> list[dict[str, Any]]:
        return self.pages


@dataclass
class _CloudFormation:
    log: list[str]
    stacks: dict[str, str]

    def get_paginator(self, _: str) -> _Pages:
        outputs = [{"OutputKey": "ApiEndpoint", "OutputValue": "https://api/dev"}]
        found = [{"StackName": name, "StackStatus": status, "Outputs": outputs} for name, status in self.stacks.items()]
        return _Pages([{"Stacks": found}])

    def update_termination_protection(self, *, StackName: str, EnableTerminationProtection: bool) -> None:  # noqa: N803 — boto3's names
        self.log.append(f"unprotect {StackName}")
        assert not EnableTerminationProtection


@dataclass
class _S3:
    log: list[str]
    objects: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    class exceptions:  # noqa: N801 — boto3's name
        NoSuchBucket = _NoSuchBucketError

    def get_paginator(self, _: str) -> _Pages:
        if not self.objects:
            raise _NoSuchBucketError
        return _Pages([{"Versions": self.objects[:1], "DeleteMarkers": self.objects[1:]}])

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> None:  # noqa: N803 — as above
        self.log.append(f"empty {Bucket} {' '.join(one['Key'] for one in Delete['Objects'])}")


@dataclass
class _Secrets:
    log: list[str]

    def get_paginator(self, _: str) -> _Pages:
        return _Pages([{"SecretList": [{"Name": "ainexus-dev/tenants/acme/openai"}, {"Name": "another"}]}])

    def delete_secret(self, *, SecretId: str, ForceDeleteWithoutRecovery: bool) -> None:  # noqa: N803 — as above
        assert ForceDeleteWithoutRecovery
        self.log.append(f"delete {SecretId}")


@dataclass
class _Clients:
    cloudformation: _CloudFormation
    s3: _S3
    secrets: _Secrets
    region: str = "us-east-2"


@dataclass
class World:
    """An account, and all that was done in it."""

    environment: str = "dev"
    stacks: tuple[str, ...] = (TOOLKIT,)
    objects: tuple[str, ...] = ()
    fails: str = ""
    log: list[str] = field(default_factory=list[str])
    commands: list[list[str]] = field(default_factory=list[list[str]])

    def __post_init__(self) -> None:
        """Make the target and the CDK of it."""
        clients = _Clients(
            _CloudFormation(self.log, dict.fromkeys(self.stacks, "CREATE_COMPLETE")),
            _S3(self.log, [{"Key": one, "VersionId": "1"} for one in self.objects]),
            _Secrets(self.log),
        )
        self.target = Target(self.environment, environ={})
        self.target.clients = cast("Any", clients)
        self.target.names = Names(self.environment, ACCOUNT)
        self.cdk = Cdk(self.target, self._run)

    def _run(self, arguments: Sequence[str], folder: Path, environ: Mapping[str, str], speaks: bool) -> int:  # noqa: FBT001 — as the real one
        assert folder.is_dir()
        assert environ["PATH"]
        assert not speaks, "standard output is for the outputs"
        self.log.append(" ".join(arguments[:1] if arguments[0] != "destroy" else arguments[: arguments.index("--app")]))
        self.commands.append(list(arguments))
        return int(arguments[0] == self.fails)


def _typing(text: str, run: click.Command) -> str:
    """The error of a command in which somebody types this."""
    result = CliRunner().invoke(run, input=text, standalone_mode=False)
    if result.exception is None:
        return ""
    assert isinstance(result.exception, Refused), result.exception
    return result.exception.message


def _deploying(world: World, *, yes: bool = False) -> click.Command:
    return click.command()(lambda: deploy_to_aws(world.target, world.cdk, yes=yes))


def _destroying(world: World, *, yes: bool = False) -> click.Command:
    return click.command()(lambda: destroy_on_aws(world.target, world.cdk, yes=yes))


class TestDeploy:
    def test_shows_what_changes_deploys_just_that_and_says_the_outputs(self) -> None:
        world = World(stacks=(TOOLKIT, "AILabCore-dev"))
        result = CliRunner().invoke(_deploying(world), standalone_mode=False)
        assert result.exception is None
        assert world.log == ["diff", "deploy"]
        shown, deployed = world.commands
        assert shown[shown.index("--output") + 1] == deployed[deployed.index("--app") + 1] == ".ainexus/cdk.out.dev"
        assert "environment=dev" in shown
        assert f"account={ACCOUNT}" in shown
        assert result.stdout.split() == ["ApiEndpoint", "https://api/dev"]

    @pytest.mark.parametrize("typed", ["", "\n", "yes\n", "production\n"])
    def test_refuses_prod_unless_its_name_is_typed(self, typed: str) -> None:
        world = World("prod")
        assert "Nothing was changed" in _typing(typed, _deploying(world))
        assert world.log == ["diff"]

    @pytest.mark.parametrize(("typed", "yes"), [("prod\n", False), ("", True)])
    def test_goes_on_when_it_is_or_when_nobody_is_to_be_asked(self, typed: str, yes: bool) -> None:  # noqa: FBT001 — a parameter of pytest's
        world = World("prod", stacks=(TOOLKIT, "AILabCore-prod"))
        assert _typing(typed, _deploying(world, yes=yes)) == ""
        assert world.log == ["diff", "deploy"]

    @pytest.mark.parametrize("fails", ["diff", "deploy"])
    def test_does_nothing_more_when_the_cdk_fails(self, fails: str) -> None:
        world = World("prod", stacks=(TOOLKIT, "AILabCore-prod"), fails=fails)
        assert f"`cdk {fails}` ended with 1" in _typing("", _deploying(world, yes=True))
        assert world.log[-1] == fails

    def test_refuses_an_account_that_is_not_prepared(self) -> None:
        world = World(stacks=())
        said = _typing("", _deploying(world))
        assert said == (
            f"The account {ACCOUNT} in us-east-2 is not prepared for deployments. Once: make bootstrap ENV=dev"
        )
        assert world.log == []


class TestDestroy:
    def test_removes_what_writes_then_what_was_written_then_core(self) -> None:
        world = World(stacks=(TOOLKIT, "AILabCore-dev", "AILabRuns-dev", "AILabEdge-dev"), objects=("a", "b"))
        assert _typing("dev\n", _destroying(world)) == ""
        assert world.log == [
            "synth",
            "destroy AILabEdge-dev AILabRuns-dev --exclusively --force",
            f"empty ainexus-dev-artifacts-{ACCOUNT} a b",
            "delete ainexus-dev/tenants/acme/openai",
            "destroy AILabCore-dev --exclusively --force",
        ]

    def test_keeps_the_data_of_prod_and_lets_its_stacks_go(self) -> None:
        world = World("prod", stacks=("AILabCore-prod", "AILabEdge-prod"), objects=("a",))
        result = CliRunner().invoke(_destroying(world), input="prod\n", standalone_mode=False)
        assert result.exception is None
        assert world.log == [
            "synth",
            "unprotect AILabCore-prod",
            "unprotect AILabEdge-prod",
            "destroy AILabEdge-prod --exclusively --force",
            "destroy AILabCore-prod --exclusively --force",
        ]
        assert "kept   table ainexus-prod-usage" in result.stdout
        assert "its data stays" in result.stderr

    @pytest.mark.parametrize("environment", ["dev", "prod"])
    def test_refuses_unless_the_name_is_typed(self, environment: str) -> None:
        world = World(environment, stacks=(f"AILabCore-{environment}",))
        assert "Nothing was changed" in _typing("y\n", _destroying(world))
        assert world.log == []

    def test_does_not_empty_the_bucket_when_what_writes_could_not_be_removed(self) -> None:
        world = World(stacks=("AILabCore-dev", "AILabEdge-dev"), objects=("a",), fails="destroy")
        assert "ended with 1" in _typing("", _destroying(world, yes=True))
        assert not [line for line in world.log if line.startswith("empty")]

    def test_bears_a_bucket_that_is_gone(self) -> None:
        world = World(stacks=("AILabCore-dev",))
        assert _typing("", _destroying(world, yes=True)) == ""

    def test_refuses_where_there_is_nothing(self) -> None:
        world = World(stacks=(TOOLKIT, "AILabCore-prod"))
        said = _typing("", _destroying(world, yes=True))
        assert said == f"There is nothing of dev in the account {ACCOUNT}, us-east-2."


class TestCheckAccount:
    def test_refuses_credentials_for_another_account_than_said(self) -> None:
        with pytest.raises(Refused, match=r"for the account 222222222222; dev is to be in 333333333333"):
            check_account(World().target, Settings(account="333333333333"))

    def test_takes_the_one_that_is_said_and_any_where_none_is(self) -> None:
        check_account(World().target, Settings(account=ACCOUNT))
        check_account(World().target, Settings())


class TestSynth:
    def test_needs_no_credentials_and_takes_warnings_for_errors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # The tests of the templates go without the checks.
        monkeypatch.delenv("CDK_VALIDATION", raising=False)
        seen: list[str] = []

        def run(arguments: Sequence[str], _folder: Path, environ: Mapping[str, str], speaks: bool) -> int:  # noqa: FBT001 — as the real one
            assert "CDK_VALIDATION" not in environ
            assert speaks
            seen.extend(arguments)
            return 0

        Cdk(Target("prod", environ={}), run).synth("222222222222")
        assert seen[:3] == ["synth", "--quiet", "--strict"]
        assert "environment=prod" in seen
        assert "account=222222222222" in seen
        assert ".ainexus/cdk.out.prod" in seen
