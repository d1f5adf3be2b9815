"""Clients of this service's API, and the copy of their tenant."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from services.agents import wiring
from services.agents.functions.api import handler
from shared.copies.tenant_access import TenantAccessCopies
from shared.plans import Plan
from shared.tenancy.permissions import Role
from tests import gateway
from tests.tenants import Status, tenant_created

TENANT = "demo-org"
AGENTS = "/v1/tenants/{tenant_id}/agents"
CONFIG = {"model": "gpt-4", "system_prompt": "You are a helpful assistant.", "temperature": 0.7}
NEW = {"name": "Test Agent", "type": "conversational", "config": CONFIG}


@dataclass(frozen=True)
class AgentsApiResponse:
    """A parsed response."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def agent(self) -> dict[str, Any]:
        """The agent in the body."""
        return self.body["agent"]

    @property
    def fields(self) -> list[str]:
        """The invalid fields."""
        return [detail["field"] for detail in self.body["details"]]


@dataclass
class AgentsClient:
    """A user who calls the API."""

    role: Role = Role.DEVELOPER
    features: tuple[str, ...] | None = None
    tenant_id: str = TENANT

    def call(
        self,
        method: str,
        resource: str,
        body: object = None,
        *,
        agent_id: str = "",
        version: str = "",
        provider: str = "",
        prompt_id: str = "",
        lint_id: str = "",
        query: Mapping[str, str] | None = None,
        **headers: str,
    ) -> AgentsApiResponse:
        """Call a route of the tenant `demo-org`."""
        event = gateway.request(
            method,
            resource,
            path_parameters=_named(
                tenant_id=TENANT,
                agent_id=agent_id,
                version=version,
                provider=provider,
                prompt_id=prompt_id,
                lint_id=lint_id,
            ),
            claims=gateway.claims(self.tenant_id, role=self.role, features=self.features),
            body=body,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            query=query,
        )
        answer = handler(event)
        text = answer.get("body")
        headers_back = {name: values[0] for name, values in answer["multiValueHeaders"].items()}
        headers_back = gateway.resolve_location(headers_back, event["path"])
        return AgentsApiResponse(answer["statusCode"], headers_back, json.loads(text) if text else None)

    def create(self, **changes: object) -> dict[str, Any]:
        """Create an agent."""
        answer = self.call("POST", AGENTS, {**NEW, **changes})
        assert answer.status == 201, answer.body
        return answer.agent


def _named(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def save_tenant_copy(
    *,
    seq: int,
    status: Status = "active",
    features: tuple[str, ...] = ("agents",),
    lint_gate: Literal["off", "warn", "block"] = "warn",
) -> None:
    """Save the service's copy of the tenant."""
    payload = tenant_created(
        TENANT, seq=seq, plan=Plan.FREE, status=status, enabled_features=features, lint_gate=lint_gate
    )
    TenantAccessCopies(wiring.slice_store()).keep(payload)
