"""Whatever the OpenAPI document allows to be asked, and more, is answered as it says, and never with a 5xx of ours."""

import copy
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import checks as rules
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode

from cli.admin import invoke_command
from infra.core.document import openapi
from infra.services import SERVICES
from shared.ids import new_id
from shared.times import utc_now
from tests.mesh import PLATFORM_ADMIN, Mesh

pytestmark = pytest.mark.mesh

EXAMPLES = 10
"""For each operation and each of the two modes: what the document allows, and what it does not."""
HELD = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance"),
)
DOCUMENT = openapi(SERVICES)
HEALTHY = DOCUMENT["paths"]["/v1/health"]["get"]["responses"]["200"]
REQUIRED = {"required": True, "schema": {"type": "string"}}
COLOUR = {"type": "object", "required": ["colour"]}
TENANT = {"name": "Asked by the document", "plan": "enterprise"}
ENDS_TENANT = {"delete /v1/admin/tenants/{tenant_id}", "post /v1/admin/tenants/{tenant_id}/suspend"}
"""Asked of a tenant that does not exist, so that the others are asked of one that is active."""
NOT_SEEN = {
    "get /v1/tenants": "an operator has no tenant of its own",
    "post /v1/webhooks/stripe": "Stripe signs it",
    "post /v1/tenants/{tenant_id}/billing/portal": "there must be a customer at Stripe",
    "post /v1/tenants/{tenant_id}/runs/{run_id}/tool-outputs": "the run must have asked for a tool",
    "get /v1/tenants/{tenant_id}/billing/invoices/{invoice_id}": "there must be an invoice",
    "patch /v1/tenants/{tenant_id}/billing/plan": "there must be a subscription",
    "put /v1/tenants/{tenant_id}/billing/plan": "there must be a subscription",
}
"""Whose success other journeys see: each needs more than its example."""
_TURNS = ("get", "post", "put", "patch", "delete")
SCHEMA: Any = schemathesis.openapi.from_dict(DOCUMENT)
ASKED = [
    pytest.param(method, path, mode, id=f"{method} {path} {mode.value}")
    for path, methods in DOCUMENT["paths"].items()
    for method, said in methods.items()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    # What takes nothing cannot be asked wrongly.
    if mode is GenerationMode.POSITIVE or said["parameters"] or "requestBody" in said
]


@pytest.fixture(name="known", scope="module")
def find_known(mesh: Mesh) -> dict[str, str]:
    """What is there for the names in a path, and stays there."""
    return make_known(mesh)


def make_known(mesh: Mesh) -> dict[str, str]:
    """Something that is there for each name in a path, in a tenant that nothing else needs."""
    tenant_id = f"document-{new_id('t', utc_now())[-8:].lower()}"
    made = mesh.call("POST", "/v1/admin/tenants", {**TENANT, "tenant_id": tenant_id}, user=PLATFORM_ADMIN)
    assert made.status == 201, made
    invoke_command(mesh.target, "setup", service="billing")
    agent = {"name": "Known", "type": "conversational", "config": {"model": "gpt-4"}}
    agent_id = _make(mesh, tenant_id, "agents", agent)["agent"]["agent_id"]
    project_id = _make(mesh, tenant_id, "projects", {"name": "Known"})["project"]["project_id"]
    asked = {"agent_id": agent_id, "inputs": {"message": "Hello"}}
    run_id = _make(mesh, tenant_id, "runs", asked, headers={"Prefer": "wait=25"})["run"]["run_id"]
    return {"tenant_id": tenant_id, "agent_id": agent_id, "project_id": project_id, "run_id": run_id, "version": "1"}


def _make(mesh: Mesh, tenant_id: str, kind: str, body: dict[str, Any], **options: Any) -> dict[str, Any]:  # noqa: ANN401 — those of Mesh.call
    made = mesh.call("POST", f"/v1/tenants/{tenant_id}/{kind}", body, user=PLATFORM_ADMIN, **options)
    assert made.status == 201, made
    return made.body


def test_is_the_one_that_is_served(mesh: Mesh) -> None:
    assert mesh.call("GET", "/v1/openapi.json", user=None).body == DOCUMENT


@pytest.mark.parametrize(("method", "path", "mode"), ASKED)
def test_is_kept(mesh: Mesh, known: dict[str, str], method: str, path: str, mode: GenerationMode) -> None:
    operation = SCHEMA[path][method.upper()]
    token = mesh.token(PLATFORM_ADMIN)

    @seed(5)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(case=operation.as_strategy(mode), finds=st.booleans())
    def check(case: Any, finds: bool) -> None:  # noqa: ANN401, FBT001 — schemathesis makes it; hypothesis calls it
        names = known if finds else {"tenant_id": known["tenant_id"]}
        if f"{method} {path}" in ENDS_TENANT:
            names = {"tenant_id": "no-such-tenant"}
        case.path_parameters.update({name: value for name, value in names.items() if name in case.path_parameters})
        _call(mesh, case, token=token)

    check()


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param({"responses": {"201": {"description": "Another status."}}}, id="status"),
        pytest.param({"responses": {"200": HEALTHY | {"content": {"text/plain": {}}}}}, id="content type"),
        pytest.param(
            {"responses": {"200": HEALTHY | {"content": {"application/json": {"schema": COLOUR}}}}}, id="schema"
        ),
        pytest.param({"responses": {"200": HEALTHY | {"headers": {"X-Colour": REQUIRED}}}}, id="header"),
    ],
)
def test_that_says_something_else_is_seen(mesh: Mesh, spoilt: dict[str, Any]) -> None:
    wrong = copy.deepcopy(DOCUMENT)
    wrong["paths"]["/v1/health"]["get"] |= spoilt
    operation = cast("Any", schemathesis.openapi.from_dict(wrong))["/v1/health"]["GET"]
    with pytest.raises(FailureGroup):
        _call(mesh, operation.Case())


def test_every_success_is_seen(mesh: Mesh) -> None:
    """Each route answers its own example with one of the successes that the document names."""
    known, missed = make_known(mesh), dict[str, int]()
    invited = {"email": f"{known['tenant_id']}@example.com", "role": "developer"}
    known["user_id"] = _make(mesh, known["tenant_id"], "users/invite", invited)["user"]["user_id"]
    exported = mesh.call("POST", f"/v1/admin/tenants/{known['tenant_id']}/export", user=PLATFORM_ADMIN)
    known |= {"provider": "openai", "export_id": exported.body["export"]["export_id"]}
    for method, path in _successes():
        case = SCHEMA[path][method.upper()].Case()
        case.path_parameters = _names(mesh, known, method, path)
        if example := _example(method, path):
            case.body, case.media_type = _with_ids(example, known), "application/json"
        status = _call(mesh, case, token=mesh.token(PLATFORM_ADMIN)).status_code
        if status >= 300:
            missed[f"{method} {path}"] = status
    assert missed == {}


def _successes() -> list[tuple[str, str]]:
    """The inner before the outer, so that a tenant is suspended and deleted after all else was asked of it."""
    found = [(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods]
    asked = sorted((one for one in found if " ".join(one) not in NOT_SEEN), key=lambda one: one[1], reverse=True)
    return sorted(asked, key=lambda one: _TURNS.index(one[0]))


def _names(mesh: Mesh, known: dict[str, str], method: str, path: str) -> dict[str, str]:
    names = dict(known)
    if "{run_id}" in path and method in {"patch", "delete"}:
        message = "[[tokens 60]] [[delay 500]]" if method == "patch" else "Hello"
        body = {"agent_id": known["agent_id"], "inputs": {"message": message}}
        prefer = {"Prefer": "wait=1" if method == "patch" else "wait=25"}
        made = mesh.call("POST", f"/v1/tenants/{known['tenant_id']}/runs", body, user=PLATFORM_ADMIN, headers=prefer)
        names["run_id"] = made.body["run"]["run_id"]
    return {name: value for name, value in names.items() if f"{{{name}}}" in path}


def _example(method: str, path: str) -> Any:  # noqa: ANN401 — any JSON
    content = DOCUMENT["paths"][path][method].get("requestBody", {}).get("content", {})
    return content.get("application/json", {}).get("example")


def _with_ids(example: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    """The example with what is there, or is not there yet, in this mesh."""
    fresh = new_id("t", utc_now())[-8:].lower()
    names = {
        **{name: value for name, value in known.items() if name.endswith("_id")},
        "tenant_id": f"seen-{fresh}",
        "email": f"seen-{fresh}@example.com",
    }
    return {name: names.get(name, value) for name, value in example.items()}


def _call(mesh: Mesh, case: Any, *, token: str | None = None) -> Any:  # noqa: ANN401 — schemathesis makes both
    """Send what was made, and hold the answer to the document."""
    rules.load_all_checks()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return case.call_and_validate(
        base_url=mesh.api, headers=headers, checks=cast("Any", rules.CHECKS).get_by_names(HELD)
    )
