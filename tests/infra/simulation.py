"""IAM's answer to a request, by a simulator that knows leading keys and principal tags."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.tools import NODE_FOLDER, node_environment, program
from tests.infra.templates import ACCOUNT, Json

_SCRIPT = Path(__file__).with_name("simulate.cjs")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and whether it should be allowed."""

    name: str
    action: str
    resource: str
    keys: tuple[str, ...]
    """The partition keys that it touches; DynamoDB gives none for a scan."""
    tag: str | None
    """The session's `tenant_id`; None: it was assumed without one."""
    is_allowed: bool
    prefix: str | None = None
    """Of the objects that are listed."""

    def of(self, statements: Sequence[Json]) -> Json:
        """The request of a principal with these statements."""
        return simulation(
            self.action,
            self.resource,
            statements=statements,
            context={
                **({"dynamodb:LeadingKeys": list(self.keys)} if self.keys else {}),
                **({"aws:PrincipalTag/tenant_id": self.tag} if self.tag else {}),
                **({"s3:prefix": self.prefix} if self.prefix is not None else {}),
            },
        )


def listing(name: str, bucket: str, prefix: str | None, *, is_allowed: bool, tag: str | None = "acme") -> Asked:
    """A request for the names of the objects below this prefix."""
    return Asked(name, "s3:ListBucketVersions", bucket, keys=(), tag=tag, is_allowed=is_allowed, prefix=prefix)


def allowed(name: str, action: str, resource: str, keys: tuple[str, ...] = (), *, tag: str | None = "acme") -> Asked:
    """A request that must work."""
    return Asked(name, action, resource, keys=keys, tag=tag, is_allowed=True)


def refused(name: str, action: str, resource: str, keys: tuple[str, ...] = (), *, tag: str | None = "acme") -> Asked:
    """A request that must not work."""
    return Asked(name, action, resource, keys=keys, tag=tag, is_allowed=False)


def simulation(
    action: str,
    resource: str,
    *,
    statements: Sequence[Json],
    context: Json,
    principal: str = "role",
    trust: Json | None = None,
) -> Json:
    """One request as the simulator takes it."""
    return {
        "request": {
            "principal": f"arn:aws:iam::{ACCOUNT}:role/{principal}",
            "action": action,
            "resource": {"resource": resource, "accountId": ACCOUNT},
            "contextVariables": context,
        },
        "identityPolicies": [{"name": "own", "policy": {"Version": "2012-10-17", "Statement": list(statements)}}],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
        **({"resourcePolicy": trust} if trust else {}),
    }


def simulate(simulations: Sequence[Json]) -> list[bool]:
    """Whether each of these requests is allowed; all in one process."""
    command = [program("node"), str(_SCRIPT), str(NODE_FOLDER)]
    said = subprocess.run(  # noqa: S603 — the pinned simulator
        command, input=json.dumps(simulations), check=True, capture_output=True, text=True, env=node_environment()
    )
    return json.loads(said.stdout)


def surprises(statements: Sequence[Json], cases: Sequence[Asked]) -> list[str]:
    """The names of the requests whose answer is not the one that it should be."""
    answers = simulate([case.of(statements) for case in cases])
    return [case.name for case, answer in zip(cases, answers, strict=True) if answer is not case.is_allowed]
