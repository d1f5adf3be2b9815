"""What the document does not say: the state in which an owner's request succeeds, and bodies with a meaning."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from shared.tenancy.permissions import Role
from tests.isolation.estate import TENANT, Estate
from tests.isolation.operation import Json, Operation
from tests.isolation.request import Request

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


def _named(estate: Estate, name: str) -> Operation:
    return next(operation for operation in estate.operations if operation.name == name)


RECIPES: Mapping[str, Recipe] = {
    f"DELETE {_RUNS}/{{run_id}}": _delete_ended,
    f"PATCH {_RUNS}/{{run_id}}": _cancel,
    f"POST {_RUNS}/{{run_id}}/tool-outputs": _hand_in_outputs,
}
