"""Deployment and removal: confirmation, and the order of the steps."""

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
from cli.errors import CommandRefused
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
class _AccountClients:
    cloudformation: _CloudFormation
    s3: _S3
    secrets: _Secrets
    region: str = "us-east-2"


@dataclass
class FakeAccount:
    """An account that records the steps taken in it."""

    environment: str = "dev"
    stacks: tuple[str, ...] = (TOOLKIT,)
    objects: tuple[str, ...] = ()
    fails: str = ""
    log: list[str] = field(default_factory=list[str])
    commands: list[list[str]] = field(default_factory=list[list[str]])

    def __post_init__(self) -> None:
        """Create the target and its CDK."""
        clients = _AccountClients(
            _CloudFormation(self.log, dict.fromkeys(self.stacks, "CREATE_COMPLETE")),
            _S3(self.log, [{"Key": one, "VersionId": "1"} for one in self.objects]),
            _Secrets(self.log),
        )
        self.target = Target(self.environment, environ={})
        self.target.clients = cast("Any", clients)
        self.target.names = Names(self.environment, ACCOUNT)
        self.cdk = Cdk(self.target, self._run_cdk)

    def _run_cdk(self, arguments: Sequence[str], folder: Path, environ: Mapping[str, str], to_stdout: bool) -> int:  # noqa: FBT001 — the signature of `RunCdk`
        assert folder.is_dir()
        assert environ["PATH"]
        assert not to_stdout, "standard output is for the outputs"
        self.log.append(" ".join(arguments[:1] if arguments[0] != "destroy" else arguments[: arguments.index("--app")]))
        self.commands.append(list(arguments))
        return int(arguments[0] == self.fails)


def _typing(text: str, run: click.Command) -> str:
    """Run a command, type a text, and return the error."""
    result = CliRunner().invoke(run, input=text, standalone_mode=False)
    if result.exception is None:
        return ""
    assert isinstance(result.exception, CommandRefused), result.exception
    return result.exception.message


def _deploying(account: FakeAccount, *, yes: bool = False) -> click.Command:
    return click.command()(lambda: deploy_to_aws(account.target, account.cdk, yes=yes))


def _destroying(account: FakeAccount, *, yes: bool = False) -> click.Command:
    return click.command()(lambda: destroy_on_aws(account.target, account.cdk, yes=yes))


class TestDeployToAws:
    def test_shows_the_changes_deploys_exactly_these_and_prints_the_outputs(self) -> None:
        account = FakeAccount(stacks=(TOOLKIT, "AILabCore-dev"))
        result = CliRunner().invoke(_deploying(account), standalone_mode=False)
        assert result.exception is None
        assert account.log == ["diff", "deploy"]
        shown, deployed = account.commands
        assert shown[shown.index("--output") + 1] == deployed[deployed.index("--app") + 1] == ".ainexus/cdk.out.dev"
        assert "environment=dev" in shown
        assert f"account={ACCOUNT}" in shown
        assert result.stdout.split() == ["ApiEndpoint", "https://api/dev"]

    @pytest.mark.parametrize("typed", ["", "\n", "yes\n", "production\n"])
    def test_refuses_prod_unless_its_name_is_typed(self, typed: str) -> None:
        account = FakeAccount("prod")
        assert "Nothing was changed" in _typing(typed, _deploying(account))
        assert account.log == ["diff"]

    @pytest.mark.parametrize(("typed", "yes"), [("prod\n", False), ("", True)])
    def test_continues_with_the_name_or_without_confirmation(self, typed: str, yes: bool) -> None:  # noqa: FBT001 — a parameter of pytest's
        account = FakeAccount("prod", stacks=(TOOLKIT, "AILabCore-prod"))
        assert _typing(typed, _deploying(account, yes=yes)) == ""
        assert account.log == ["diff", "deploy"]

    @pytest.mark.parametrize("fails", ["diff", "deploy"])
    def test_stops_if_the_cdk_fails(self, fails: str) -> None:
        account = FakeAccount("prod", stacks=(TOOLKIT, "AILabCore-prod"), fails=fails)
        assert f"`cdk {fails}` ended with 1" in _typing("", _deploying(account, yes=True))
        assert account.log[-1] == fails

    def test_refuses_an_account_that_is_not_prepared(self) -> None:
        account = FakeAccount(stacks=())
        error = _typing("", _deploying(account))
        assert error == (
            f"The account {ACCOUNT} in us-east-2 is not prepared for deployments. Run once: make bootstrap ENV=dev"
        )
        assert account.log == []


class TestDestroyOnAws:
    def test_removes_the_writing_stacks_then_the_data_then_core(self) -> None:
        account = FakeAccount(stacks=(TOOLKIT, "AILabCore-dev", "AILabRuns-dev", "AILabEdge-dev"), objects=("a", "b"))
        assert _typing("dev\n", _destroying(account)) == ""
        assert account.log == [
            "synth",
            "destroy AILabEdge-dev AILabRuns-dev --exclusively --force",
            f"empty ainexus-dev-artifacts-{ACCOUNT} a b",
            "delete ainexus-dev/tenants/acme/openai",
            "destroy AILabCore-dev --exclusively --force",
        ]

    def test_keeps_the_data_of_prod(self) -> None:
        account = FakeAccount("prod", stacks=("AILabCore-prod", "AILabEdge-prod"), objects=("a",))
        result = CliRunner().invoke(_destroying(account), input="prod\n", standalone_mode=False)
        assert result.exception is None
        assert account.log == [
            "synth",
            "unprotect AILabCore-prod",
            "unprotect AILabEdge-prod",
            "destroy AILabEdge-prod --exclusively --force",
            "destroy AILabCore-prod --exclusively --force",
        ]
        assert "kept   table ainexus-prod-usage" in result.stdout
        assert "its data is kept" in result.stderr

    @pytest.mark.parametrize("environment", ["dev", "prod"])
    def test_refuses_unless_the_name_is_typed(self, environment: str) -> None:
        account = FakeAccount(environment, stacks=(f"AILabCore-{environment}",))
        assert "Nothing was changed" in _typing("y\n", _destroying(account))
        assert account.log == []

    def test_keeps_the_data_if_a_writing_stack_remains(self) -> None:
        account = FakeAccount(stacks=("AILabCore-dev", "AILabEdge-dev"), objects=("a",), fails="destroy")
        assert "ended with 1" in _typing("", _destroying(account, yes=True))
        assert not [line for line in account.log if line.startswith("empty")]

    def test_accepts_a_missing_bucket(self) -> None:
        account = FakeAccount(stacks=("AILabCore-dev",))
        assert _typing("", _destroying(account, yes=True)) == ""

    def test_refuses_an_account_without_stacks(self) -> None:
        account = FakeAccount(stacks=(TOOLKIT, "AILabCore-prod"))
        error = _typing("", _destroying(account, yes=True))
        assert error == f"There are no stacks of dev in the account {ACCOUNT}, us-east-2."


class TestCheckAccount:
    def test_refuses_credentials_for_another_account(self) -> None:
        with pytest.raises(CommandRefused, match=r"for the account 222222222222, but dev belongs to 333333333333"):
            check_account(FakeAccount().target, Settings(account="333333333333"))

    def test_accepts_the_configured_account_or_any_if_none_is_configured(self) -> None:
        check_account(FakeAccount().target, Settings(account=ACCOUNT))
        check_account(FakeAccount().target, Settings())


class TestSynth:
    def test_needs_no_credentials_and_treats_warnings_as_errors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # The tests of the templates disable validation.
        monkeypatch.delenv("CDK_VALIDATION", raising=False)
        seen: list[str] = []

        def run(arguments: Sequence[str], _folder: Path, environ: Mapping[str, str], to_stdout: bool) -> int:  # noqa: FBT001 — the signature of `RunCdk`
            assert "CDK_VALIDATION" not in environ
            assert to_stdout
            seen.extend(arguments)
            return 0

        Cdk(Target("prod", environ={}), run).synth("222222222222")
        assert seen[:3] == ["synth", "--quiet", "--strict"]
        assert "environment=prod" in seen
        assert "account=222222222222" in seen
        assert ".ainexus/cdk.out.prod" in seen
