"""Knowledge that the document lacks: the state in which an owner's request succeeds, and meaningful bodies."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from cli.api import ApiResponse
from services.billing.customers.domain.period import BillingPeriod
from services.billing.invoices.domain import Invoice
from services.billing.invoices.table import InvoiceTable
from services.billing.partitions import SLICE as BILLING
from shared.tenancy.permissions import Role
from shared.times import to_text, utc_now
from tests.isolation.operation import Json, Operation
from tests.isolation.request import Request
from tests.isolation.tenant_fixture import TENANT, TenantFixture

_ADMIN = "/v1/admin/tenants"
_BILLING = "/v1/tenants/{tenant_id}/billing"
_KEYS = "/v1/tenants/{tenant_id}/provider-keys/{provider}"
_USERS = "/v1/tenants/{tenant_id}/users"
_RUNS = "/v1/tenants/{tenant_id}/runs"
_USAGE = "/v1/tenants/{tenant_id}/usage"
_AGENTS = "/v1/tenants/{tenant_id}/agents"
_LINT = "/v1/tenants/{tenant_id}/lint"
_PROMPTS = "/v1/tenants/{tenant_id}/prompts"
_TOOL: Json = {"name": "lookup", "description": "Looks it up.", "parameters": {"type": "object", "properties": {}}}

Recipe = Callable[[TenantFixture, Operation], Request]
"""A function that prepares the state for the owner's request and returns the request."""


def prepare_requests(fixture: TenantFixture) -> None:
    """Prepare the owner's request for every operation of the tenant."""
    for operation in fixture.operations:
        if operation.min_role is not None:
            fixture.requests[operation.name] = prepare_request(fixture, operation)


def prepare_request(fixture: TenantFixture, operation: Operation) -> Request:
    """Return the owner's request, which succeeds once."""
    recipe = RECIPES.get(
        operation.name, _delete_new_resource if operation.method == "DELETE" else TenantFixture.request
    )
    return recipe(fixture, operation)


def creators(fixture: TenantFixture) -> list[Operation]:
    """Return the operations that create resources of any tenant and need no recipe."""
    return [
        operation
        for operation in fixture.operations
        if operation.creates_resource and TENANT in operation.path_parameters and operation.name not in RECIPES
        if operation.min_role is not Role.PLATFORM_ADMIN
    ]


def create_by_recipe(fixture: TenantFixture) -> None:
    """Create the resources for which the document does not determine a request."""
    names = {operation.name for operation in fixture.operations}
    for name, create in CREATION_RECIPES.items():
        if name in names:
            create(fixture)


def control_request(fixture: TenantFixture, operation: Operation, *, again: bool = False) -> Request:
    """Return the positive control of an attack, after preparing its state.

    Args:
        fixture: the fixtures of the owner.
        operation: the attacked operation.
        again: whether the owner's request was sent before.
    """
    if operation.name in CONTROL_RECIPES:
        return CONTROL_RECIPES[operation.name](fixture, operation)
    return prepare_request(fixture, operation) if again else fixture.requests[operation.name]


def control_order(operation: Operation) -> tuple[bool, bool]:
    """Return a sort key that places changes of the whole tenant and deletions after all other operations."""
    return operation.name in CONTROL_RECIPES, operation.method == "DELETE"


def _delete_new_resource(fixture: TenantFixture, operation: Operation) -> Request:
    """Return a request that deletes a new resource, which no other request needs."""
    creator = fixture.creator_of(operation)
    return fixture.request(operation, **(fixture.create(creator) if creator else {}))


def _cancel_run(fixture: TenantFixture, operation: Operation) -> Request:
    return replace(fixture.request(operation, run_id=_waiting_run(fixture)), body={"status": "cancelled"})


def _submit_tool_outputs(fixture: TenantFixture, operation: Operation) -> Request:
    outputs = {"tool_outputs": [{"tool_call_id": "call_1", "output": fixture.canary}]}
    return replace(fixture.request(operation, run_id=_waiting_run(fixture)), body=outputs)


def _delete_ended_run(fixture: TenantFixture, operation: Operation) -> Request:
    """Return a request that deletes an ended run, whose version does not change any more."""
    run_id = fixture.create(_operation_named(fixture, f"POST {_RUNS}"))["run_id"]
    read_request = fixture.request(_operation_named(fixture, f"GET {_RUNS}/{{run_id}}"), run_id=run_id)
    fixture.api.deliver_events(lambda: fixture.send(read_request).body["run"]["status"] == "completed")
    return fixture.request(operation, run_id=run_id)


def _waiting_run(fixture: TenantFixture) -> str:
    """Create a run that waits for the output of a tool, and return its id."""
    agent = fixture.request(_operation_named(fixture, f"POST {_AGENTS}"))
    agent = replace(agent, body={**agent.body, "config": {**agent.body["config"], "tools": [_TOOL]}})
    agent_id = fixture.send(agent).body["agent"]["agent_id"]
    fixture.api.deliver_events()
    run = fixture.request(_operation_named(fixture, f"POST {_RUNS}"), agent_id=agent_id)
    run = replace(run, body={**run.body, "inputs": {"message": f"[[tool lookup {{}}]] {fixture.canary}"}})
    run_id = str(fixture.send(run).body["run"]["run_id"])
    read_request = fixture.request(_operation_named(fixture, f"GET {_RUNS}/{{run_id}}"), run_id=run_id)
    fixture.api.deliver_events(lambda: fixture.send(read_request).body["run"]["status"] == "requires_action")
    return run_id


def _invite_two_users(fixture: TenantFixture) -> None:
    """Invite two users, the second with an Idempotency-Key."""
    invite = _operation_named(fixture, f"POST {_USERS}/invite")
    key = f"key of {fixture.tenant_id} to {invite.name}"
    for headers in ({}, {"Idempotency_Key": key}):
        request = _invitation(fixture, invite).with_headers(**headers)
        response = fixture.send(request)
        user_id = str(response.body["user"]["user_id"])
        fixture.known.setdefault("user_id", user_id)
        fixture.ids.add(user_id)
        fixture.keyed_requests[invite.name] = (request, response)
    fixture.api.deliver_events()


def _invitation(fixture: TenantFixture, operation: Operation) -> Request:
    """Return an invitation of a new address."""
    email = f"{fixture.canary}-{fixture.next_number}@{fixture.tenant_id}.example"
    request = Request(operation, {TENANT: fixture.tenant_id}, fixture.owner(operation))
    return replace(request, body={"email": email, "role": "tenant_admin"})


def _remove_new_user(fixture: TenantFixture, operation: Operation) -> Request:
    response = fixture.send(_invitation(fixture, _operation_named(fixture, f"POST {_USERS}/invite")))
    return fixture.request(operation, user_id=str(response.body["user"]["user_id"]))


def _set_provider(fixture: TenantFixture) -> None:
    fixture.known["provider"] = "openai"


def _store_key(fixture: TenantFixture, operation: Operation) -> Request:
    request = Request(operation, {TENANT: fixture.tenant_id, "provider": "openai"}, fixture.owner(operation))
    return replace(request, body={"api_key": secret_of(fixture)})


def secret_of(fixture: TenantFixture) -> str:
    """Return the tenant's own key of a provider."""
    return f"sk-{fixture.canary}"


def _remove_key(fixture: TenantFixture, operation: Operation) -> Request:
    # A deleted key is not stored again, because the vault of these tests does not support it.
    provider = "anthropic" if operation.name in fixture.requests else "openai"
    fixture.send(_store_key(fixture, _operation_named(fixture, f"PUT {_KEYS}")).with_parameters(provider=provider))
    return fixture.request(operation, provider=provider)


def _create_invoices(fixture: TenantFixture) -> None:
    """Create two invoices. Only Stripe can create invoices."""
    now = utc_now()
    for number in range(2):
        invoice = Invoice(
            invoice_id=f"in_{fixture.canary.replace('-', '')}{number:03}",
            number=fixture.canary,
            status="paid",
            currency="usd",
            amount_cents=2900,
            attempts=1,
            period=BillingPeriod(now - timedelta(days=31), now - timedelta(days=1)),
            created_at=now - timedelta(hours=number),
            hosted_url=None,
            lines=(),
        )
        InvoiceTable(fixture.api.store(BILLING), fixture.tenant_id).save(invoice)
        fixture.known["invoice_id"] = invoice.invoice_id
        fixture.ids.add(invoice.invoice_id)


def _report_usage(fixture: TenantFixture, operation: Operation) -> Request:
    """Return a report of usage. The ids in an event are names, and no references to resources."""
    event: Json = {
        "id": str(fixture.next_number),
        "source": fixture.canary,
        "type": "usage",
        "time": to_text(utc_now()),
    }
    body = {"events": [event | {"data": {"meters": {"images_generated": 1}}}]}
    return Request(operation, {TENANT: fixture.tenant_id}, fixture.owner(operation), body)


def _start_checkout(fixture: TenantFixture, operation: Operation) -> Request:
    return Request(operation, {TENANT: fixture.tenant_id}, fixture.owner(operation), {"plan": "pro"})


def _change_plan(fixture: TenantFixture, operation: Operation) -> Request:
    """Return a change of a paid plan. The tenant can change only a plan that it pays through Stripe."""
    read_request = fixture.request(_operation_named(fixture, f"GET {_BILLING}/plan"))
    if fixture.send(read_request).body["plan"]["billing"] != "stripe":
        response = fixture.send(_start_checkout(fixture, _operation_named(fixture, f"POST {_BILLING}/checkout")))
        fixture.api.pay(response.body["checkout"]["url"])
        fixture.api.deliver_events(lambda: fixture.send(read_request).body["plan"]["billing"] == "stripe")
    return replace(fixture.request(operation), body={"plan": "enterprise"})


def _compare_with_itself(fixture: TenantFixture, operation: Operation) -> Request:
    """Return a comparison of the first version with itself. The document alone does not give query parameters."""
    return fixture.request(operation).with_query(against="1")


def _new_lint(fixture: TenantFixture) -> Request:
    """Return a request that lints the tenant's agent."""
    run = _operation_named(fixture, f"POST {_LINT}/run")
    request = Request(run, {TENANT: fixture.tenant_id}, fixture.owner(run))
    return replace(request, body={"target": {"agent_id": fixture.known["agent_id"], "version": 1}})


def _lint_agent(fixture: TenantFixture, operation: Operation) -> Request:  # noqa: ARG001 — the form of all recipes
    return _new_lint(fixture)


def _create_lints(fixture: TenantFixture) -> None:
    """Lint an agent twice, the second time with an Idempotency-Key."""
    first = _new_lint(fixture)
    fixture.known["lint_id"] = str(fixture.send(first).body["lint"]["lint_id"])
    keyed = first.with_headers(Idempotency_Key=f"key of {fixture.tenant_id} to {first.operation.name}")
    fixture.keyed_requests[first.operation.name] = (keyed, fixture.send(keyed))


def _fix_output_cap(fixture: TenantFixture, operation: Operation) -> Request:
    """Return a request that fixes a finding which each agent without an output cap has."""
    lint = fixture.send(_new_lint(fixture)).body["lint"]
    [finding] = [one for one in lint["findings"] if one["rule_id"] == "AIN501"]
    parameters = {TENANT: fixture.tenant_id, "lint_id": str(lint["lint_id"])}
    return Request(operation, parameters, fixture.owner(operation), {"finding_ids": [finding["finding_id"]]})


def _new_tenant(fixture: TenantFixture, operation: Operation) -> Request:
    tenant_id = f"tenant-{fixture.next_number}-of-{fixture.tenant_id}"
    body = {"tenant_id": tenant_id, "name": fixture.canary, "plan": "pro"}
    return Request(operation, {}, fixture.owner(operation), body)


def _request_for_new_tenant(fixture: TenantFixture, operation: Operation) -> Request:
    """Return a request that suspends or deletes a separate tenant."""
    response = fixture.send(_new_tenant(fixture, _operation_named(fixture, f"POST {_ADMIN}")))
    return fixture.request(operation).with_parameters(tenant_id=str(response.body["tenant"]["tenant_id"]))


def _request_for_suspended_tenant(fixture: TenantFixture, operation: Operation) -> Request:
    suspend = _request_for_new_tenant(fixture, _operation_named(fixture, f"POST {_ADMIN}/{{tenant_id}}/suspend"))
    fixture.send(suspend)
    return fixture.request(operation).with_parameters(**suspend.parameters)


def export_of(fixture: TenantFixture) -> ApiResponse:
    """Request an export of the tenant as an operator, and return the response."""
    response = fixture.send(fixture.request(_operation_named(fixture, f"POST {_ADMIN}/{{tenant_id}}/export")))
    export_id = str(response.body["export"]["export_id"])
    read_request = fixture.request(
        _operation_named(fixture, f"GET {_ADMIN}/{{tenant_id}}/exports/{{export_id}}"), export_id=export_id
    )
    fixture.api.deliver_events(lambda: fixture.send(read_request).body["export"]["status"] == "complete")
    return fixture.send(read_request)


def _create_export(fixture: TenantFixture) -> None:
    fixture.known["export_id"] = str(export_of(fixture).body["export"]["export_id"])


def _report_older_usage(fixture: TenantFixture) -> None:
    """Report usage of yesterday and of last month, so that usage by day and by month has two pages."""
    now = utc_now()
    events = [
        {
            "id": f"{fixture.canary}-{days}",
            "source": fixture.canary,
            "type": "tokens",
            "time": to_text(now - timedelta(days=days)),
            "data": {"meters": {"tokens_in": 1}, "model": fixture.canary},
        }
        for days in (1, 32)
    ]
    operation = _operation_named(fixture, f"POST {_USAGE}/events")
    fixture.send(Request(operation, {TENANT: fixture.tenant_id}, fixture.owner(operation), {"events": events}))


def _operation_named(fixture: TenantFixture, name: str) -> Operation:
    return next(operation for operation in fixture.operations if operation.name == name)


RECIPES: Mapping[str, Recipe] = {
    f"POST {_ADMIN}": _new_tenant,
    f"DELETE {_ADMIN}/{{tenant_id}}": TenantFixture.request,
    f"POST {_USAGE}/events": _report_usage,
    f"POST {_BILLING}/checkout": _start_checkout,
    f"POST {_BILLING}/portal": TenantFixture.request,
    f"GET {_AGENTS}/{{agent_id}}/versions/{{version}}/diff": _compare_with_itself,
    f"GET {_PROMPTS}/{{prompt_id}}/versions/{{version}}/diff": _compare_with_itself,
    f"POST {_LINT}/run": _lint_agent,
    f"POST {_LINT}/{{lint_id}}/fix": _fix_output_cap,
    f"DELETE {_KEYS}": _remove_key,
    f"PATCH {_KEYS}": _store_key,
    f"PUT {_KEYS}": _store_key,
    f"POST {_USERS}/invite": _invitation,
    f"DELETE {_USERS}/{{user_id}}": _remove_new_user,
    f"DELETE {_RUNS}/{{run_id}}": _delete_ended_run,
    f"PATCH {_RUNS}/{{run_id}}": _cancel_run,
    f"POST {_RUNS}/{{run_id}}/tool-outputs": _submit_tool_outputs,
}

CONTROL_RECIPES: Mapping[str, Recipe] = {
    f"POST {_USERS}/invite": _invitation,
    f"PATCH {_BILLING}/plan": _change_plan,
    f"PUT {_BILLING}/plan": _change_plan,
    f"POST {_ADMIN}/{{tenant_id}}/suspend": _request_for_new_tenant,
    f"POST {_ADMIN}/{{tenant_id}}/reactivate": _request_for_suspended_tenant,
    f"DELETE {_ADMIN}/{{tenant_id}}": _request_for_new_tenant,
}
"""Recipes of positive controls that cannot be the attacked request: it succeeds only once, or would stop the others."""

CREATION_RECIPES: Mapping[str, Callable[[TenantFixture], None]] = {
    f"POST {_USERS}/invite": _invite_two_users,
    f"PUT {_KEYS}": _set_provider,
    f"POST {_LINT}/run": _create_lints,
    f"GET {_BILLING}/invoices": _create_invoices,
    f"POST {_ADMIN}/{{tenant_id}}/export": _create_export,
    f"GET {_USAGE}/daily": _report_older_usage,
}
"""Resources that the document does not describe how to create, by the operation that needs them."""
