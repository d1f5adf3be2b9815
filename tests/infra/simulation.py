"""Decisions of IAM, by a simulator that supports leading keys and principal tags."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.tools import NODE_FOLDER, node_environment, program
from tests.infra.templates import ACCOUNT, Json

_SCRIPT = Path(__file__).with_name("simulate.cjs")


@dataclass(frozen=True, slots=True)
class SimulatedRequest:
    """A request with the expected decision."""

    name: str
    action: str
    resource: str
    keys: tuple[str, ...]
    """The partition keys of the request. DynamoDB passes none for a scan."""
    tag: str | None
    """The session's `tenant_id` tag. None if the role was assumed without one."""
    is_allowed: bool
    prefix: str | None = None
    """The key prefix of a request that lists objects."""

    def to_simulation(self, statements: Sequence[Json]) -> Json:
        """Return the request of a principal with these statements."""
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


def listing(
    name: str, bucket: str, prefix: str | None, *, is_allowed: bool, tag: str | None = "acme"
) -> SimulatedRequest:
    """Return a request for the names of the objects below this prefix."""
    return SimulatedRequest(
        name, "s3:ListBucketVersions", bucket, keys=(), tag=tag, is_allowed=is_allowed, prefix=prefix
    )


def allowed(
    name: str, action: str, resource: str, keys: tuple[str, ...] = (), *, tag: str | None = "acme"
) -> SimulatedRequest:
    """Return a request that must be allowed."""
    return SimulatedRequest(name, action, resource, keys=keys, tag=tag, is_allowed=True)


def refused(
    name: str, action: str, resource: str, keys: tuple[str, ...] = (), *, tag: str | None = "acme"
) -> SimulatedRequest:
    """Return a request that must be refused."""
    return SimulatedRequest(name, action, resource, keys=keys, tag=tag, is_allowed=False)


def simulation(
    action: str,
    resource: str,
    *,
    statements: Sequence[Json],
    context: Json,
    principal: str = "role",
    trust: Json | None = None,
) -> Json:
    """Return a request of a principal with these statements, for `simulate`."""
    return {
        "request": {
            "principal": f"arn:aws:iam::{ACCOUNT}:role/{principal}",
            "action": action,
            "resource": {"resource": resource, "accountId": ACCOUNT},
            "contextVariables": context,
        },
        "statements": list(statements),
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
        **({"resourcePolicy": trust} if trust else {}),
    }


def simulate(simulations: Sequence[Json]) -> list[bool]:
    """Return whether each of these requests is allowed. One process simulates all and reads each policy once."""
    policies: dict[str, int] = {}
    numbered: list[Json] = []
    for one in simulations:
        text = json.dumps(one["statements"])
        request = {name: value for name, value in one.items() if name != "statements"}
        numbered.append({**request, "policy": policies.setdefault(text, len(policies))})
    documents = [{"Version": "2012-10-17", "Statement": json.loads(text)} for text in policies]
    requests = json.dumps({"policies": documents, "simulations": numbered})
    command = [program("node"), str(_SCRIPT), str(NODE_FOLDER)]
    completed = subprocess.run(  # noqa: S603 — the pinned simulator
        command, input=requests, check=True, capture_output=True, text=True, env=node_environment()
    )
    return json.loads(completed.stdout)


def unexpected_decisions(statements: Sequence[Json], cases: Sequence[SimulatedRequest]) -> list[str]:
    """Return the names of the requests with an unexpected decision."""
    decisions = simulate([case.to_simulation(statements) for case in cases])
    return [case.name for case, decision in zip(cases, decisions, strict=True) if decision is not case.is_allowed]
