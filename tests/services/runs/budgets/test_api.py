"""The budget over HTTP, and as an operator's command."""

import json
from typing import Any

from services.runs.budgets.domain import month_of, next_month
from services.runs.budgets.schemas import BudgetState
from services.runs.functions.api import handler as app
from services.runs.functions.commands import handler as commands
from services.runs.providers.domain.model import UsageUpdate
from shared.meters import Meter
from shared.tenancy.permissions import Role
from shared.times import to_text, utc_now
from tests.gateway import claims, request
from tests.services.runs.budgets.fixtures import ANSWER, CUT, LIMIT, bound_of, budget_of, limit
from tests.services.runs.conftest import World, know_tenant
from tests.services.runs.examples import AGENT_ID, TENANT
from tests.services.runs.workers import LATER, ScriptedModel, execute, submit

BUDGET = "/v1/tenants/{tenant_id}/budget"
RUNS = "/v1/tenants/{tenant_id}/runs"


def call(
    method: str = "GET",
    resource: str = BUDGET,
    *,
    tenant_id: str = TENANT,
    role: Role = Role.OBSERVER,
    body: object = None,
    of_tenant: str = TENANT,
) -> dict[str, Any]:
    """Send a request, by default as an observer of the tenant."""
    path = {"tenant_id": tenant_id}
    return app(request(method, resource, path_parameters=path, claims=claims(of_tenant, role=role), body=body))


def read_budget() -> dict[str, Any]:
    """Return the budget that the API returns now."""
    answer = call()
    assert answer["statusCode"] == 200
    return json.loads(answer["body"])["budget"]


class TestGetBudget:
    def test_without_usage_has_the_limits(self, world: World) -> None:
        limit(world, tokens=5_000, requests=7)
        answer = call()
        budget = json.loads(answer["body"])["budget"]
        assert budget == {
            "month": month_of(utc_now()),
            "resets_at": to_text(next_month(utc_now())),
            "overage": False,
            "requests": {"limit": 7, "used": 0, "reserved": 0, "left": 7},
            "tokens": {"limit": 5_000, "used": 0, "reserved": 0, "uncertain": 0, "left": 5_000},
        }
        assert answer["multiValueHeaders"]["RateLimit-Policy"] == ['"tokens";q=5000, "requests";q=7']
        assert answer["multiValueHeaders"]["RateLimit"] == ['"tokens";r=5000, "requests";r=7']

    def test_shows_reservations_of_open_calls(self, world: World) -> None:
        limit(world, tokens=100_000, requests=100)
        body = {"agent_id": AGENT_ID, "inputs": {"message": "Hello"}}
        assert call("POST", RUNS, role=Role.DEVELOPER, body=body)["statusCode"] == 202
        budget = read_budget()
        assert budget["requests"] == {"limit": 100, "used": 0, "reserved": 1, "left": 99}
        reserved = budget["tokens"]["reserved"]
        assert reserved > 0
        assert budget["tokens"] == {
            "limit": 100_000,
            "used": 0,
            "reserved": reserved,
            "uncertain": 0,
            "left": 100_000 - reserved,
        }

    def test_without_a_limit_has_no_remainder(self, world: World) -> None:
        limit(world, tokens=-1, requests=-1)
        answer = call()
        budget = json.loads(answer["body"])["budget"]
        assert (budget["tokens"]["limit"], budget["tokens"]["left"]) == (None, None)
        assert (budget["requests"]["limit"], budget["requests"]["left"]) == (None, None)
        assert "RateLimit" not in answer["multiValueHeaders"]

    def test_applies_a_new_plan_at_once(self, world: World) -> None:
        limit(world, tokens=100_000)
        call("POST", RUNS, role=Role.DEVELOPER, body={"agent_id": AGENT_ID, "inputs": {"message": "Hello"}})
        left = read_budget()["tokens"]["left"]
        limit(world, tokens=200_000, seq=3)
        assert read_budget()["tokens"]["left"] == left + 100_000

    def test_is_never_negative(self, world: World) -> None:
        limit(world, tokens=100_000)
        call("POST", RUNS, role=Role.DEVELOPER, body={"agent_id": AGENT_ID, "inputs": {"message": "Hello"}})
        limit(world, tokens=10, seq=3)
        assert read_budget()["tokens"]["left"] == 0

    def test_is_closed_to_other_tenants(self, world: World) -> None:
        know_tenant(world.store, "other-org")
        for role in (Role.OBSERVER, Role.TENANT_ADMIN):
            assert call(role=role, of_tenant="other-org")["statusCode"] == 403

    def test_has_the_numbers_of_a_refusal(self, world: World) -> None:
        limit(world, tokens=500)
        refused = call("POST", RUNS, role=Role.DEVELOPER, body={"agent_id": AGENT_ID, "inputs": {"message": "Hello"}})
        shortage = json.loads(refused["body"])["shortage"]
        assert refused["statusCode"] == 429
        left = read_budget()["tokens"]["left"]
        assert (shortage["unit"], shortage["limit"], shortage["left"]) == ("tokens", 500, left)
        assert shortage["needed"] > 500
        assert refused["multiValueHeaders"]["RateLimit"] == ['"tokens";r=500']
        limit(world, tokens=shortage["needed"], seq=3)
        body = {"agent_id": AGENT_ID, "inputs": {"message": "Hello"}}
        assert call("POST", RUNS, role=Role.DEVELOPER, body=body)["statusCode"] == 202

    def test_has_the_numbers_of_a_refusal_by_requests(self, world: World) -> None:
        limit(world, requests=0)
        refused = call("POST", RUNS, role=Role.DEVELOPER, body={"agent_id": AGENT_ID, "inputs": {"message": "Hello"}})
        assert json.loads(refused["body"])["shortage"] == {"unit": "requests", "limit": 0, "needed": 1, "left": 0}


class TestCommand:
    def test_returns_the_same_numbers(self, world: World) -> None:
        limit(world, tokens=5_000)
        assert commands({"command": "budget", "tenant_id": TENANT})["budget"] == read_budget()


class TestUncertainTokens:
    def test_of_a_cut_call_are_shown_apart(self, world: World) -> None:
        limit(world)
        run = submit(world)
        execute(world, run, ScriptedModel([[UsageUpdate({Meter.TOKENS_IN: 7}), CUT], ANSWER]))
        tokens = BudgetState.of(budget_of(world), now=LATER).tokens
        uncertain = bound_of(run) - 7
        assert (tokens.used, tokens.uncertain, tokens.reserved) == (7 + 9, uncertain, 0)
        assert tokens.left == LIMIT - 16 - uncertain

    def test_of_a_known_call_are_none(self, world: World) -> None:
        limit(world)
        execute(world, submit(world), ScriptedModel([ANSWER]))
        tokens = BudgetState.of(budget_of(world), now=LATER).tokens
        assert (tokens.used, tokens.uncertain) == (9, 0)
