"""The API responds to valid and invalid requests as the OpenAPI document describes, and never with a 5xx of its own."""

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

EXAMPLES_PER_MODE = 10
"""The number of requests for each operation and each of the two modes: valid and invalid."""
CONFORMANCE_CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance"),
)
DOCUMENT = openapi(SERVICES, with_twins=True)
HEALTHY = DOCUMENT["paths"]["/v1/health"]["get"]["responses"]["200"]
REQUIRED = {"required": True, "schema": {"type": "string"}}
COLOUR = {"type": "object", "required": ["colour"]}
TENANT = {"name": "Conformance test", "plan": "enterprise"}
TENANT_ENDING_OPERATIONS = {"delete /v1/admin/tenants/{tenant_id}", "post /v1/admin/tenants/{tenant_id}/suspend"}
"""Operations that are called for a missing tenant, so that the tenant of the others remains active."""
EXCLUDED_SUCCESSES = {
    "post /v1/webhooks/stripe": "Stripe signs it",
    "post /v1/tenants/{tenant_id}/billing/portal": "there must be a customer at Stripe",
    "post /v1/tenants/{tenant_id}/runs/{run_id}/tool-outputs": "the run must have asked for a tool",
    "get /v1/tenants/{tenant_id}/billing/invoices/{invoice_id}": "there must be an invoice",
    "patch /v1/tenants/{tenant_id}/billing/plan": "there must be a subscription",
    "put /v1/tenants/{tenant_id}/billing/plan": "there must be a subscription",
    "get /v1/tenants/{tenant_id}/agents/{agent_id}/versions/{version}/diff": "it needs a version to compare with",
    "get /v1/tenants/{tenant_id}/prompts/{prompt_id}/versions/{version}/diff": "it needs a version to compare with",
    "post /v1/tenants/{tenant_id}/lint/{lint_id}/fix": "there must be findings with these ids",
    "post /v1/tenants/{tenant_id}/datasets/{dataset_id}/items": "there must be runs with these ids",
    "post /v1/tenants/{tenant_id}/experiments": "its variants must be agents of the tenant",
    "patch /v1/tenants/{tenant_id}/experiments/{experiment_id}": "the experiment must be running",
    "put /v1/tenants/{tenant_id}/experiments/{experiment_id}": "the experiment must be running",
    "delete /v1/tenants/{tenant_id}/experiments/{experiment_id}": "the experiment must have ended",
}
"""Operations whose success other journeys verify, because each needs more than its example."""
_METHOD_ORDER = ("get", "post", "put", "patch", "delete")
EVENT = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {"id": {"type": "string"}, "event": {"type": "string"}, "data": {"type": "string"}},
}
"""An event on the wire. In a stream, schemathesis compares each event with the schema, and not the text."""


def with_events(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the document in which the schema of a stream is that of its events."""
    copied = copy.deepcopy(document)
    for operations in copied["paths"].values():
        for operation in operations.values():
            content = operation["responses"].get("200", {}).get("content", {})
            if "text/event-stream" in content:
                content["text/event-stream"]["schema"] = EVENT
    return copied


SCHEMA: Any = schemathesis.openapi.from_dict(with_events(DOCUMENT))
CASES = [
    pytest.param(method, path, mode, id=f"{method} {path} {mode.value}")
    for path, methods in DOCUMENT["paths"].items()
    for method, described in methods.items()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    # An operation without parameters and body has no invalid requests.
    if mode is GenerationMode.POSITIVE or described["parameters"] or "requestBody" in described
]


@pytest.fixture(name="resources", scope="module")
def find_resources(mesh: Mesh) -> dict[str, str]:
    """Return existing resources for the path parameters, which no test deletes."""
    return create_resources(mesh)


def create_resources(mesh: Mesh) -> dict[str, str]:
    """Create a resource for each path parameter, in a separate tenant, and return their ids."""
    tenant_id = f"document-{new_id('t', utc_now())[-8:].lower()}"
    response = mesh.call("POST", "/v1/admin/tenants", {**TENANT, "tenant_id": tenant_id}, user=PLATFORM_ADMIN)
    assert response.status == 201, response
    invoke_command(mesh.target, "setup", service="billing")
    agent = {"name": "Known", "type": "conversational", "config": {"model": "gpt-4"}}
    agent_id = _create(mesh, tenant_id, "agents", agent)["agent"]["agent_id"]
    project_id = _create(mesh, tenant_id, "projects", {"name": "Known"})["project"]["project_id"]
    run_request = {"agent_id": agent_id, "inputs": {"message": "Hello"}}
    run_id = _create(mesh, tenant_id, "runs", run_request, headers={"Prefer": "wait=25"})["run"]["run_id"]
    known = {"tenant_id": tenant_id, "agent_id": agent_id, "project_id": project_id, "run_id": run_id, "version": "1"}
    return known | _lab_resources(mesh, tenant_id, agent_id=agent_id, run_id=run_id)


def _lab_resources(mesh: Mesh, tenant_id: str, *, agent_id: str, run_id: str) -> dict[str, str]:
    """Create a prompt, a lint, an API key, and a dataset of one item with an upload and an experiment."""
    prompt = _create(mesh, tenant_id, "prompts", {"name": "Known", "template": "Answer briefly."})["prompt"]
    lint = _create(mesh, tenant_id, "lint/run", {"target": {"agent_id": agent_id}})["lint"]
    api_key = _create(mesh, tenant_id, "api-keys", {"name": "Known"})["api_key"]
    dataset_id = _create(mesh, tenant_id, "datasets", {"name": "Known"})["dataset"]["dataset_id"]
    _create(mesh, tenant_id, f"datasets/{dataset_id}/items", {"from_runs": {"run_ids": [run_id]}, "expected": True})
    upload = _create(mesh, tenant_id, f"datasets/{dataset_id}/upload", {"format": "jsonl"})["upload"]
    definition = {
        "name": "Known",
        "dataset_id": dataset_id,
        "variants": [{"name": name, "agent_id": agent_id} for name in ("one", "another")],
        "scorers": [{"name": "exact", "type": "exact"}],
        "minimum_effect": 0.1,
    }
    experiment = _create(mesh, tenant_id, "experiments", definition)["experiment"]
    return {
        "prompt_id": prompt["prompt_id"],
        "lint_id": lint["lint_id"],
        "api_key_id": api_key["api_key_id"],
        "dataset_id": dataset_id,
        "upload_id": upload["upload_id"],
        "experiment_id": experiment["experiment_id"],
    }


def _create(mesh: Mesh, tenant_id: str, kind: str, body: dict[str, Any], **options: Any) -> dict[str, Any]:  # noqa: ANN401 — those of Mesh.call
    response = mesh.call("POST", f"/v1/tenants/{tenant_id}/{kind}", body, user=PLATFORM_ADMIN, **options)
    assert response.status == 201, response
    return response.body


def test_document_is_served(mesh: Mesh) -> None:
    assert mesh.call("GET", "/v1/openapi.json", user=None).body == openapi(SERVICES)


@pytest.mark.parametrize(("method", "path", "mode"), CASES)
def test_api_conforms(mesh: Mesh, resources: dict[str, str], method: str, path: str, mode: GenerationMode) -> None:
    operation = SCHEMA[path][method.upper()]
    token = mesh.token(PLATFORM_ADMIN)

    @seed(5)
    @settings(
        max_examples=EXAMPLES_PER_MODE,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(case=operation.as_strategy(mode), with_resources=st.booleans())
    def check(case: Any, with_resources: bool) -> None:  # noqa: ANN401, FBT001 — schemathesis makes it; hypothesis calls it
        names = resources if with_resources else {"tenant_id": resources["tenant_id"]}
        if f"{method} {path}" in TENANT_ENDING_OPERATIONS:
            names = {"tenant_id": "no-such-tenant"}
        case.path_parameters.update({name: value for name, value in names.items() if name in case.path_parameters})
        _call(mesh, case, token=token)

    check()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"responses": {"201": {"description": "Another status."}}}, id="status"),
        pytest.param({"responses": {"200": HEALTHY | {"content": {"text/plain": {}}}}}, id="content type"),
        pytest.param(
            {"responses": {"200": HEALTHY | {"content": {"application/json": {"schema": COLOUR}}}}}, id="schema"
        ),
        pytest.param({"responses": {"200": HEALTHY | {"headers": {"X-Colour": REQUIRED}}}}, id="header"),
    ],
)
def test_detects_a_document_that_differs(mesh: Mesh, change: dict[str, Any]) -> None:
    wrong = copy.deepcopy(DOCUMENT)
    wrong["paths"]["/v1/health"]["get"] |= change
    operation = cast("Any", schemathesis.openapi.from_dict(wrong))["/v1/health"]["GET"]
    with pytest.raises(FailureGroup):
        _call(mesh, operation.Case())


def test_every_example_succeeds(mesh: Mesh) -> None:
    """Assert that each route responds to its own example with a documented success."""
    resources, failed = create_resources(mesh), dict[str, int]()
    invitation = {"email": f"{resources['tenant_id']}@example.com", "role": "developer"}
    resources["user_id"] = _create(mesh, resources["tenant_id"], "users/invite", invitation)["user"]["user_id"]
    export = mesh.call("POST", f"/v1/admin/tenants/{resources['tenant_id']}/export", user=PLATFORM_ADMIN)
    resources |= {"provider": "openai", "export_id": export.body["export"]["export_id"]}
    for method, path in _successes():
        case = SCHEMA[path][method.upper()].Case()
        case.path_parameters = _names(mesh, resources, method, path)
        if example := _example(method, path):
            case.body, case.media_type = _with_ids(example, resources), "application/json"
        status = _call(mesh, case, token=mesh.token(PLATFORM_ADMIN)).status_code
        if status >= 300:
            failed[f"{method} {path}"] = status
    assert failed == {}


def _successes() -> list[tuple[str, str]]:
    """Return the operations with nested paths first, so that the tenant is suspended and deleted last."""
    found = [(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods]
    ordered = sorted(
        (one for one in found if " ".join(one) not in EXCLUDED_SUCCESSES), key=lambda one: one[1], reverse=True
    )
    return sorted(ordered, key=lambda one: _METHOD_ORDER.index(one[0]))


def _names(mesh: Mesh, resources: dict[str, str], method: str, path: str) -> dict[str, str]:
    names = dict(resources)
    if "{run_id}" in path and method in {"patch", "delete"}:
        message = "[[tokens 60]] [[delay 500]]" if method == "patch" else "Hello"
        body = {"agent_id": resources["agent_id"], "inputs": {"message": message}}
        prefer = {"Prefer": "wait=1" if method == "patch" else "wait=25"}
        response = mesh.call(
            "POST", f"/v1/tenants/{resources['tenant_id']}/runs", body, user=PLATFORM_ADMIN, headers=prefer
        )
        names["run_id"] = response.body["run"]["run_id"]
    return {name: value for name, value in names.items() if f"{{{name}}}" in path}


def _example(method: str, path: str) -> Any:  # noqa: ANN401 — any JSON
    content = DOCUMENT["paths"][path][method].get("requestBody", {}).get("content", {})
    return content.get("application/json", {}).get("example")


def _with_ids(example: dict[str, Any], resources: dict[str, str]) -> dict[str, Any]:
    """Return the example with ids of existing resources, or unused ones for new resources."""
    suffix = new_id("t", utc_now())[-8:].lower()
    names = {
        **{name: value for name, value in resources.items() if name.endswith("_id")},
        "tenant_id": f"seen-{suffix}",
        "email": f"seen-{suffix}@example.com",
    }
    return {name: names.get(name, value) for name, value in example.items()}


def _call(mesh: Mesh, case: Any, *, token: str | None = None) -> Any:  # noqa: ANN401 — schemathesis makes both
    """Send a request and validate the response against the document."""
    rules.load_all_checks()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return case.call_and_validate(
        base_url=mesh.api, headers=headers, checks=cast("Any", rules.CHECKS).get_by_names(CONFORMANCE_CHECKS)
    )
