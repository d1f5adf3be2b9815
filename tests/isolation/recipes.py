"""What the document does not say: the state in which an owner's request succeeds, and bodies with a meaning."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from cli.api import ApiResponse
from services.billing.domain.cost import Period
from services.billing.domain.invoice import Invoice
from services.billing.table import SLICE as BILLING
from services.billing.table.invoices import save_invoice
from shared.tenancy.permissions import Role
from shared.times import utc_now
from tests.isolation.estate import TENANT, Estate
from tests.isolation.operation import Json, Operation
from tests.isolation.request import Request

_ADMIN = "/v1/admin/tenants"
_BILLING = "/v1/tenants/{tenant_id}/billing"
_KEYS = "/v1/tenants/{tenant_id}/provider-keys/{provider}"
_USERS = "/v1/tenants/{tenant_id}/users"
_RUNS = "/v1/tenants/{tenant_id}/runs"
_AGENTS = "/v1/tenants/{tenant_id}/agents"
_TOOL: Json = {"name": "lookup", "description": "Looks it up.", "parameters": {"type": "object", "properties": {}}}

Recipe = Callable[[Estate, Operation], Request]
"""Prepares what the owner's request needs, and gives that request."""


def requests_of(estate: Estate) -> None:
    """Prepare the owner's request for every operation of the tenant."""
    for operation in estate.operations:
        if operation.least is not None:
            estate.requests[operation.name] = prepared(estate, operation)


def prepared(estate: Estate, operation: Operation) -> Request:
    """The owner's request, which succeeds once."""
    recipe = RECIPES.get(operation.name, _delete_another if operation.method == "DELETE" else Estate.request)
    return recipe(estate, operation)


def makers(estate: Estate) -> list[Operation]:
    """The operations that make something for any tenant without more being said."""
    return [
        operation
        for operation in estate.operations
        if operation.makes and TENANT in operation.names and operation.name not in RECIPES
        if operation.least is not Role.PLATFORM_ADMIN
    ]


def plant_others(estate: Estate) -> None:
    """What is made by no request that the document alone tells how to make."""
    there = {operation.name for operation in estate.operations}
    for name, plant in PLANTED.items():
        if name in there:
            plant(estate)


def twin_of(estate: Estate, operation: Operation, *, again: bool = False) -> Request:
    """What the owner does in the way of an attack, in a state in which it can be done.

    Args:
        estate: the owner's.
        operation: that was attacked.
        again: it was done before.
    """
    if operation.name in TWINS:
        return TWINS[operation.name](estate, operation)
    return prepared(estate, operation) if again else estate.requests[operation.name]


def comes_last(operation: Operation) -> tuple[bool, bool]:
    """Behind what it would take the ground from: changes of the whole tenant, and deletions."""
    return operation.name in TWINS, operation.method == "DELETE"


def _delete_another(estate: Estate, operation: Operation) -> Request:
    """What is deleted is nothing that another request needs."""
    maker = estate.maker_of(operation)
    return estate.request(operation, **(estate.make(maker) if maker else {}))


def _cancel(estate: Estate, operation: Operation) -> Request:
    return replace(estate.request(operation, run_id=_waiting_run(estate)), body={"status": "cancelled"})


def _hand_in_outputs(estate: Estate, operation: Operation) -> Request:
    outputs = {"tool_outputs": [{"tool_call_id": "call_1", "output": estate.canary}]}
    return replace(estate.request(operation, run_id=_waiting_run(estate)), body=outputs)


def _delete_ended(estate: Estate, operation: Operation) -> Request:
    """A run is deleted when it has ended, and then its version changes no more."""
    run_id = estate.make(_named(estate, f"POST {_RUNS}"))["run_id"]
    shown = estate.request(_named(estate, f"GET {_RUNS}/{{run_id}}"), run_id=run_id)
    estate.way.settle(lambda: estate.send(shown).body["run"]["status"] == "completed")
    return estate.request(operation, run_id=run_id)


def _waiting_run(estate: Estate) -> str:
    """A run that waits for the output of a tool."""
    agent = estate.request(_named(estate, f"POST {_AGENTS}"))
    agent = replace(agent, body={**agent.body, "config": {**agent.body["config"], "tools": [_TOOL]}})
    agent_id = estate.send(agent).body["agent"]["agent_id"]
    estate.way.settle()
    run = estate.request(_named(estate, f"POST {_RUNS}"), agent_id=agent_id)
    run = replace(run, body={**run.body, "inputs": {"message": f"[[tool lookup {{}}]] {estate.canary}"}})
    run_id = str(estate.send(run).body["run"]["run_id"])
    shown = estate.request(_named(estate, f"GET {_RUNS}/{{run_id}}"), run_id=run_id)
    estate.way.settle(lambda: estate.send(shown).body["run"]["status"] == "requires_action")
    return run_id


def _invite_two(estate: Estate) -> None:
    """Users, the second with an Idempotency-Key."""
    invite = _named(estate, f"POST {_USERS}/invite")
    key = f"key of {estate.tenant_id} to {invite.name}"
    for headers in ({}, {"Idempotency_Key": key}):
        request = _invitation(estate, invite).given(**headers)
        answer = estate.send(request)
        user_id = str(answer.body["user"]["user_id"])
        estate.known.setdefault("user_id", user_id)
        estate.ids.add(user_id)
        estate.keyed[invite.name] = (request, answer)
    estate.way.settle()


def _invitation(estate: Estate, operation: Operation) -> Request:
    """An address is a user's once."""
    email = f"{estate.canary}-{estate.fresh}@{estate.tenant_id}.example"
    request = Request(operation, {TENANT: estate.tenant_id}, estate.owner(operation))
    return replace(request, body={"email": email, "role": "tenant_admin"})


def _remove_another_user(estate: Estate, operation: Operation) -> Request:
    invited = estate.send(_invitation(estate, _named(estate, f"POST {_USERS}/invite")))
    return estate.request(operation, user_id=str(invited.body["user"]["user_id"]))


def _name_a_provider(estate: Estate) -> None:
    estate.known["provider"] = "openai"


def _keep_key(estate: Estate, operation: Operation) -> Request:
    request = Request(operation, {TENANT: estate.tenant_id, "provider": "openai"}, estate.owner(operation))
    return replace(request, body={"api_key": secret_of(estate)})


def secret_of(estate: Estate) -> str:
    """The tenant's own key of a provider."""
    return f"sk-{estate.canary}"


def _remove_key(estate: Estate, operation: Operation) -> Request:
    # One that was removed is not made again: the vault of these tests cannot do that.
    provider = "anthropic" if operation.name in estate.requests else "openai"
    estate.send(_keep_key(estate, _named(estate, f"PUT {_KEYS}")).at(provider=provider))
    return estate.request(operation, provider=provider)


def _plant_invoices(estate: Estate) -> None:
    """Two invoices; only Stripe makes any."""
    now = utc_now()
    for number in range(2):
        invoice = Invoice(
            invoice_id=f"in_{estate.canary.replace('-', '')}{number:03}",
            number=estate.canary,
            status="paid",
            currency="usd",
            amount_cents=2900,
            attempts=1,
            period=Period(now - timedelta(days=31), now - timedelta(days=1)),
            created_at=now - timedelta(hours=number),
            hosted_url=None,
            lines=(),
        )
        save_invoice(estate.way.store(BILLING), estate.tenant_id, invoice)
        estate.known["invoice_id"] = invoice.invoice_id
        estate.ids.add(invoice.invoice_id)


def _go_to_checkout(estate: Estate, operation: Operation) -> Request:
    return Request(operation, {TENANT: estate.tenant_id}, estate.owner(operation), {"plan": "pro"})


def _change_plan(estate: Estate, operation: Operation) -> Request:
    """Only a plan that is paid for through Stripe can be changed by the tenant."""
    shown = estate.request(_named(estate, f"GET {_BILLING}/plan"))
    if estate.send(shown).body["plan"]["billing"] != "stripe":
        opened = estate.send(_go_to_checkout(estate, _named(estate, f"POST {_BILLING}/checkout")))
        estate.way.pay(opened.body["checkout"]["url"])
        estate.way.settle(lambda: estate.send(shown).body["plan"]["billing"] == "stripe")
    return replace(estate.request(operation), body={"plan": "enterprise"})


def _new_tenant(estate: Estate, operation: Operation) -> Request:
    tenant_id = f"made-{estate.fresh}-by-{estate.tenant_id}"
    body = {"tenant_id": tenant_id, "name": estate.canary, "plan": "pro"}
    return Request(operation, {}, estate.owner(operation), body)


def _of_another_tenant(estate: Estate, operation: Operation) -> Request:
    """What ends a tenant, or stops it, is done to one that nothing else is asked of."""
    made = estate.send(_new_tenant(estate, _named(estate, f"POST {_ADMIN}")))
    return estate.request(operation).at(tenant_id=str(made.body["tenant"]["tenant_id"]))


def _of_a_suspended_tenant(estate: Estate, operation: Operation) -> Request:
    suspend = _of_another_tenant(estate, _named(estate, f"POST {_ADMIN}/{{tenant_id}}/suspend"))
    estate.send(suspend)
    return estate.request(operation).at(**suspend.parameters)


def export_of(estate: Estate) -> ApiResponse:
    """Everything of the tenant, as an operator gets it."""
    asked = estate.send(estate.request(_named(estate, f"POST {_ADMIN}/{{tenant_id}}/export")))
    export_id = str(asked.body["export"]["export_id"])
    shown = estate.request(_named(estate, f"GET {_ADMIN}/{{tenant_id}}/exports/{{export_id}}"), export_id=export_id)
    estate.way.settle(lambda: estate.send(shown).body["export"]["status"] == "complete")
    return estate.send(shown)


def _plant_export(estate: Estate) -> None:
    estate.known["export_id"] = str(export_of(estate).body["export"]["export_id"])


def _named(estate: Estate, name: str) -> Operation:
    return next(operation for operation in estate.operations if operation.name == name)


RECIPES: Mapping[str, Recipe] = {
    f"POST {_ADMIN}": _new_tenant,
    f"DELETE {_ADMIN}/{{tenant_id}}": Estate.request,
    f"POST {_BILLING}/checkout": _go_to_checkout,
    f"POST {_BILLING}/portal": Estate.request,
    f"DELETE {_KEYS}": _remove_key,
    f"PATCH {_KEYS}": _keep_key,
    f"PUT {_KEYS}": _keep_key,
    f"POST {_USERS}/invite": _invitation,
    f"DELETE {_USERS}/{{user_id}}": _remove_another_user,
    f"DELETE {_RUNS}/{{run_id}}": _delete_ended,
    f"PATCH {_RUNS}/{{run_id}}": _cancel,
    f"POST {_RUNS}/{{run_id}}/tool-outputs": _hand_in_outputs,
}

TWINS: Mapping[str, Recipe] = {
    f"POST {_USERS}/invite": _invitation,
    f"PATCH {_BILLING}/plan": _change_plan,
    f"PUT {_BILLING}/plan": _change_plan,
    f"POST {_ADMIN}/{{tenant_id}}/suspend": _of_another_tenant,
    f"POST {_ADMIN}/{{tenant_id}}/reactivate": _of_a_suspended_tenant,
    f"DELETE {_ADMIN}/{{tenant_id}}": _of_another_tenant,
}
"""Where the owner's request cannot be the attacked one: it was made, or others could do nothing afterwards."""

PLANTED: Mapping[str, Callable[[Estate], None]] = {
    f"POST {_USERS}/invite": _invite_two,
    f"PUT {_KEYS}": _name_a_provider,
    f"GET {_BILLING}/invoices": _plant_invoices,
    f"POST {_ADMIN}/{{tenant_id}}/export": _plant_export,
}
"""By the operation that needs it."""
