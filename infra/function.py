"""A Lambda function with a role and a log group, in the form of all functions of the mesh."""

from collections.abc import Mapping, Sequence
from typing import cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import policy
from infra.mesh import Mesh
from infra.review import accept, accept_wildcards
from shared.declaration import Function

LIVE = "live"
"""The alias of functions that start from a snapshot: those with routes and the authorizer, because a client waits."""
QUICK_START = {"PYDANTIC_DISABLE_PLUGINS": "__all__"}
"""There are no plugins, and to look for them pydantic reads the metadata of every package."""
_SNAPSHOT = "Annotation::@aws-cdk/aws-lambda:snapStartRequirePublish"


class MeshFunction(Construct):
    """A function with exactly the permissions of its statements.

    Args:
        statements: the permissions besides its own log and traces.
        variables: the variables besides those of its environment.
        extra_files: additional files of its bundle by path.
    """

    def __init__(
        self,
        scope: Construct,
        mesh: Mesh,
        declared: Function,
        *,
        name: str,
        statements: Sequence[policy.Statement],
        variables: Mapping[str, str],
        extra_files: Mapping[str, bytes] | None = None,
    ) -> None:
        super().__init__(scope, pascal(f"{declared.name}-function"))
        granted = [policy.logs(mesh.names, name), policy.traces(), *statements]
        self.role = role_of(self, "Role", name=name, trust=policy.trust_of_lambda(), statements=granted)
        self._snapped = mesh.profile.snap_start and (bool(declared.routes) or declared.authorizes)
        code = self._code(mesh, declared, extra_files=extra_files)
        self._lambda = self._function(mesh, declared, name=name, code=code, variables=variables)
        # CDK's classes do not match CDK's interfaces for a type checker; the other casts have the same reason.
        self.function = cast("lambda_.IFunction", self._snapshot() if self._snapped else self._lambda)
        if declared.every_minutes:
            self._schedule(f"{name}-schedule", minutes=declared.every_minutes)

    def add_environment(self, variable: str, value: str) -> None:
        """Add an environment variable."""
        self._lambda.add_environment(variable, value)

    def _function(
        self, mesh: Mesh, declared: Function, *, name: str, code: lambda_.Code, variables: Mapping[str, str]
    ) -> lambda_.Function:
        resource = lambda_.Function(
            self,
            "Lambda",
            function_name=name,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler=declared.handler,
            code=code,
            # The role's whole policy is defined here; other constructs must not add to it.
            role=iam.Role.from_role_arn(self, "OwnRole", self.role.attr_arn, mutable=False),
            timeout=Duration.seconds(declared.timeout_s),
            memory_size=declared.memory_mb,
            reserved_concurrent_executions=declared.max_concurrency if mesh.profile.reserve_concurrency else None,
            environment={**mesh.profile.variables, **mesh.names.variables, **QUICK_START, **variables},
            tracing=lambda_.Tracing.ACTIVE,
            log_group=log_group(self, mesh, name=mesh.names.logs(name)),
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if self._snapped else None,
        )
        accept(resource, "L1", *([_SNAPSHOT] if self._snapped else []))
        return resource

    def _snapshot(self) -> lambda_.Alias:
        """Return the name of the newest version, which all callers invoke."""
        version = cast("lambda_.IVersion", self._lambda.current_version)
        return lambda_.Alias(self, "Live", alias_name=LIVE, version=version)

    def _code(self, mesh: Mesh, declared: Function, *, extra_files: Mapping[str, bytes] | None) -> lambda_.Code:
        asset = mesh.bundles.make(declared.handler, extra_files=extra_files)
        return lambda_.Code.from_asset(str(asset.path), asset_hash=asset.content_hash)

    def _schedule(self, name: str, *, minutes: int) -> None:
        every = events.Schedule.rate(Duration.minutes(minutes))
        rule = events.Rule(self, "Schedule", rule_name=name, schedule=every)
        rule.add_target(cast("events.IRuleTarget", targets.LambdaFunction(self.function)))


def role_of(
    scope: Construct,
    construct_id: str,
    *,
    name: str,
    trust: Mapping[str, object],
    statements: Sequence[policy.Statement],
) -> iam.CfnRole:
    """Create a role with an inline policy, which exists before anything uses the role."""
    own = iam.CfnRole.PolicyProperty(policy_name="own", policy_document=policy.document(statements))
    resource = iam.CfnRole(scope, construct_id, role_name=name, assume_role_policy_document=trust, policies=[own])
    accept_wildcards(resource, statements)
    return resource


def log_group(scope: Construct, mesh: Mesh, *, name: str) -> logs.LogGroup:
    """Create a log group with the retention of the environment."""
    days = logs.RetentionDays[_RETENTION[mesh.profile.log_retention_days]]
    return logs.LogGroup(
        scope, "Logs", log_group_name=name, retention=days, removal_policy=removal(retain=mesh.profile.retain)
    )


def removal(*, retain: bool) -> RemovalPolicy:
    """Return the fate of data when its stack is deleted."""
    return RemovalPolicy.RETAIN if retain else RemovalPolicy.DESTROY


def pascal(name: str) -> str:
    """Write a name as a construct id: `dead-letters` becomes `DeadLetters`."""
    return "".join(part.capitalize() for part in name.replace("_", "-").split("-"))


_RETENTION = {7: "ONE_WEEK", 30: "ONE_MONTH", 90: "THREE_MONTHS", 365: "ONE_YEAR"}
