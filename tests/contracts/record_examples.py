"""Record the examples of the OpenAPI document: `python -m tests.contracts.record_examples`.

A new mesh answers every operation, once for each status where the document has several. Requests are the examples of
their models, and a customer's month at the local Stripe brings the invoices. Run this after a change of a response.
"""

import hashlib
import hmac
import json
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cli.api import ApiRequest, ApiResponse, send
from cli.demo.billing import BillingDemo
from cli.demo.wiring import billing_context
from infra.core.document import openapi
from infra.core.examples import RECORDED
from infra.services import SERVICES
from shared.ids import new_id
from shared.times import epoch, to_text, utc_now
from tests.contracts.normalisation import Normaliser
from tests.journeys.steps import wait_for
from tests.mesh import ADMIN, PLATFORM_ADMIN, Mesh, running_mesh

Json = dict[str, Any]

TENANT, NEW_TENANT = "northwind", "new-org"
"""The ids of the tenants in the examples. In the mesh they have a suffix, so that it can be used again."""
UNRECORDED = {
    "get_openapi_document": "it is the document itself",
    "stream_run": "a stream has no single example",
}
"""Operations without a recorded response, by id."""
_T = "/v1/tenants/{tenant_id}"
_A = "/v1/admin/tenants/{tenant_id}"
_TOOL = {"name": "weather", "description": "Return the weather in a city.", "parameters": {"type": "object"}}
_WAIT = {"Prefer": "wait=25"}


@dataclass
class Recorder:
    """Sends requests to a mesh and keeps the successful responses.

    Args:
        mesh: the mesh.
        document: the OpenAPI document, whose request examples are sent.
        suffix: the end of the tenants' ids in this mesh.
    """

    mesh: Mesh
    document: Json
    suffix: str
    responses: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """The responses by operation id and status."""
    parameters: dict[str, Json] = field(default_factory=dict[str, Json])
    """The path parameters by operation id."""

    def send(self, request: ApiRequest) -> ApiResponse:
        """Send a request and keep its response if an operation of the document has it. The last one is kept."""
        response = send(request)
        path = request.url.removeprefix(self.mesh.api).partition("?")[0]
        for template, operations in self.document["paths"].items():
            names = re.fullmatch(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template)), path)
            operation = operations.get(request.method.lower())
            if names and operation and str(response.status) in operation["responses"] and response.status < 300:
                self._keep(operation["operationId"], response, names.groupdict())
        return response

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        user: str = PLATFORM_ADMIN,
        headers: Mapping[str, str] | None = None,
        **names: str,
    ) -> Any:  # noqa: ANN401 — any JSON
        """Send a request, by default with the example of its model, and return the body of the response."""
        template = path.partition("?")[0]
        url = f"{self.mesh.api}{path.format(**{'tenant_id': self.id_of(TENANT), **names})}"
        sent = body or self._example(template, method)
        response = self.send(ApiRequest(method, url, sent, headers or {}, self.mesh.token(user)))
        if response.status >= 300:
            msg = f"{method} {path} with {sent}: {response.status} {response.body}"
            raise RuntimeError(msg)
        return response.body

    def id_of(self, tenant: str) -> str:
        """Return the tenant's id in this mesh."""
        return f"{tenant}-{self.suffix}"

    def _keep(self, operation_id: str, response: ApiResponse, names: Json) -> None:
        if operation_id in UNRECORDED:
            return
        self.parameters[operation_id] = names
        if response.body is not None:
            self.responses.setdefault(operation_id, {})[str(response.status)] = response.body

    def _example(self, template: str, method: str) -> Json | None:
        body = self.document["paths"][template][method.lower()].get("requestBody")
        if body is None:
            return None
        model = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        return self.document["components"]["schemas"][model]["examples"][0]


@dataclass(frozen=True)
class Scenario:
    """The requests to every operation, in an order in which each succeeds."""

    recorder: Recorder

    def run(self) -> None:
        """Send all requests."""
        self._subscribe()
        self._projects()
        self._api_keys()
        self._prompts()
        agent_id = self._agents()
        self._lint(agent_id)
        self._lab(agent_id)
        self._runs(agent_id)
        self._users()
        self._usage()
        self._billing()
        self._operators()
        self._call("GET", "/v1/health")

    def _subscribe(self) -> None:
        """Let the tenant subscribe, use the API and be billed for a month, as in the demo."""
        target = self.recorder.mesh.target
        context = billing_context(target, send_and_print=self.recorder.send)
        context = replace(context, tenant=self.recorder.id_of(TENANT), send=self.recorder.send)
        demo = BillingDemo(context, title=_ignore, note=_ignore)
        customer = demo.subscribe()
        demo.be_billed(customer, demo.use())

    def _projects(self) -> None:
        project_id = self._call("POST", f"{_T}/projects")["project"]["project_id"]
        self._call("GET", f"{_T}/projects")
        for method in ("GET", "PATCH", "DELETE"):
            self._call(method, f"{_T}/projects/{{project_id}}", project_id=project_id)

    def _api_keys(self) -> None:
        api_key_id = self._call("POST", f"{_T}/api-keys")["api_key"]["api_key_id"]
        self._call("GET", f"{_T}/api-keys")
        self._call("POST", f"{_T}/api-keys/{{api_key_id}}/rotate", api_key_id=api_key_id)
        for method in ("GET", "PATCH", "DELETE"):
            self._call(method, f"{_T}/api-keys/{{api_key_id}}", api_key_id=api_key_id)

    def _agents(self) -> str:
        """Return the id of an agent with a tool."""
        self._call("PUT", f"{_T}/provider-keys/{{provider}}", provider="openai")
        self._call("GET", f"{_T}/provider-keys")
        self._call("DELETE", f"{_T}/provider-keys/{{provider}}", provider="openai")
        agent_id = self._call("POST", f"{_T}/agents")["agent"]["agent_id"]
        self._call("GET", f"{_T}/agents")
        self._call("POST", f"{_T}/agents/{{agent_id}}/versions", agent_id=agent_id)
        self._call("GET", f"{_T}/agents/{{agent_id}}/versions", agent_id=agent_id)
        self._call("GET", f"{_T}/agents/{{agent_id}}/versions/{{version}}", agent_id=agent_id, version="1")
        diff = f"{_T}/agents/{{agent_id}}/versions/{{version}}/diff?against=1"
        self._call("GET", diff, agent_id=agent_id, version="2")
        self._call("PUT", f"{_T}/agents/{{agent_id}}/alias", agent_id=agent_id)
        for method in ("GET", "PATCH", "DELETE"):
            self._call(method, f"{_T}/agents/{{agent_id}}", agent_id=agent_id)
        config = {"model": "gpt-5.2", "system_prompt": "You are a helpful assistant.", "tools": [_TOOL]}
        body = {"name": "Test Agent", "type": "conversational", "config": config}
        return send_only(self.recorder, "POST", f"{_T}/agents", body)["agent"]["agent_id"]

    def _prompts(self) -> None:
        prompt_id = self._call("POST", f"{_T}/prompts")["prompt"]["prompt_id"]
        self._call("GET", f"{_T}/prompts")
        self._call("POST", f"{_T}/prompts/{{prompt_id}}/versions", prompt_id=prompt_id)
        self._call("GET", f"{_T}/prompts/{{prompt_id}}/versions", prompt_id=prompt_id)
        version = f"{_T}/prompts/{{prompt_id}}/versions/{{version}}"
        self._call("GET", version, prompt_id=prompt_id, version="1")
        self._call("GET", f"{version}/diff?against=1", prompt_id=prompt_id, version="2")
        self._call("PUT", f"{_T}/prompts/{{prompt_id}}/alias", prompt_id=prompt_id)
        for method in ("GET", "PATCH", "DELETE"):
            self._call(method, f"{_T}/prompts/{{prompt_id}}", prompt_id=prompt_id)

    def _lint(self, agent_id: str) -> None:
        body = {"target": {"agent_id": agent_id}}
        lint = self._call("POST", f"{_T}/lint/run", body)["lint"]
        self._call("GET", f"{_T}/lint/{{lint_id}}/results", lint_id=lint["lint_id"])
        fixable = [finding["finding_id"] for finding in lint["findings"] if finding["rule_id"] == "AIN501"]
        self._call("POST", f"{_T}/lint/{{lint_id}}/fix", {"finding_ids": fixable}, lint_id=lint["lint_id"])

    def _runs(self, agent_id: str) -> None:
        self._use_tools(agent_id)
        self._cancel(agent_id)
        body = {"agent_id": agent_id, "inputs": {"message": "Hello, world! This is a test."}}
        self._call("POST", f"{_T}/runs", body)
        run_id = self._call("POST", f"{_T}/runs", body, headers=_WAIT)["run"]["run_id"]
        for path in ("", "/logs", "/traces"):
            self._call("GET", f"{_T}/runs/{{run_id}}{path}", run_id=run_id)
        self._call("GET", f"{_T}/runs?limit=1")
        self._wait(
            lambda: any(event["run_id"] == run_id for event in self._call("GET", f"{_T}/usage/events")["events"])
        )
        self._call("DELETE", f"{_T}/runs/{{run_id}}", run_id=run_id)

    def _lab(self, agent_id: str) -> None:
        """Compare two caps of the output on a dataset that is made of a run."""
        run_id = self._run(agent_id, "Hello, world! This is a test.")["run_id"]
        dataset_id = self._call("POST", f"{_T}/datasets")["dataset"]["dataset_id"]
        of_dataset, path = {"dataset_id": dataset_id}, f"{_T}/datasets/{{dataset_id}}"
        self._call("POST", f"{path}/items", {"from_runs": {"run_ids": [run_id]}, "expected": True}, **of_dataset)
        upload_id = self._call("POST", f"{path}/upload", **of_dataset)["upload"]["upload_id"]
        self._call("GET", f"{path}/uploads/{{upload_id}}", upload_id=upload_id, **of_dataset)
        self._call("GET", f"{_T}/datasets")
        for name in ("/versions", "/items", "/download"):
            self._call("GET", f"{path}{name}", **of_dataset)
        variants = [{"name": "whole", "agent_id": agent_id}]
        variants += [{"name": "cut", "agent_id": agent_id, "overrides": {"max_output_tokens": 4}}]
        scorers = [{"name": "exact", "type": "exact"}]
        body = {"name": "Shorter answers", "dataset_id": dataset_id, "variants": variants, "scorers": scorers}
        created = self._call("POST", f"{_T}/experiments", {**body, "minimum_effect": 0.1})
        self._experiment(str(created["experiment"]["experiment_id"]))
        for method in ("GET", "PATCH", "DELETE"):
            self._call(method, path, **of_dataset)

    def _experiment(self, experiment_id: str) -> None:
        path = f"{_T}/experiments/{{experiment_id}}"
        self._call("GET", f"{_T}/experiments")
        self._call("GET", path, experiment_id=experiment_id)
        self._call("POST", f"{path}/start", experiment_id=experiment_id)
        self._call("PATCH", path, experiment_id=experiment_id)
        self._wait(
            lambda: (
                self._call("GET", f"{path}/status", experiment_id=experiment_id)["status"]["progress"]["held_tokens"]
                == 0
            )
        )
        self._call("GET", f"{path}/results", experiment_id=experiment_id)
        self._call("DELETE", path, experiment_id=experiment_id)

    def _use_tools(self, agent_id: str) -> None:
        run = self._run(agent_id, '[[tool weather {"city": "Paris"}]]')
        outputs = [{"tool_call_id": call["id"], "output": "18 °C"} for call in run["required_action"]["tool_calls"]]
        for _ in range(2):
            self._call("POST", f"{_T}/runs/{{run_id}}/tool-outputs", {"tool_outputs": outputs}, run_id=run["run_id"])
            self._wait(
                lambda: self._call("GET", f"{_T}/runs/{{run_id}}", run_id=run["run_id"])["run"]["status"] == "completed"
            )

    def _cancel(self, agent_id: str) -> None:
        waiting = self._run(agent_id, '[[tool weather {"city": "Paris"}]]')
        running = self._run(agent_id, "[[tokens 60]] [[delay 500]]", headers={"Prefer": "wait=1"})
        for run in (waiting, running):
            self._call("PATCH", f"{_T}/runs/{{run_id}}", run_id=run["run_id"])

    def _run(self, agent_id: str, message: str, *, headers: Mapping[str, str] = _WAIT) -> Json:
        body = {"agent_id": agent_id, "inputs": {"message": message}}
        return send_only(self.recorder, "POST", f"{_T}/runs", body, headers=headers)["run"]

    def _users(self) -> None:
        user_id = self._call("POST", f"{_T}/users/invite")["user"]["user_id"]
        self._call("GET", f"{_T}/users")
        self._call("PATCH", f"{_T}/users/{{user_id}}", user_id=user_id)
        self._call("DELETE", f"{_T}/users/{{user_id}}", user_id=user_id)
        self._call("GET", "/v1/tenants", user=ADMIN)
        self._call("GET", _T)
        self._call("PATCH", _T)
        self._call("GET", f"{_T}/audit?limit=2")

    def _usage(self) -> None:
        event = {"id": "render-4711", "source": "image-service", "type": "usage", "time": to_text(utc_now())}
        self._call("POST", f"{_T}/usage/events", {"events": [event | {"data": {"meters": {"images_generated": 1}}}]})
        self._call("GET", f"{_T}/usage/events?limit=1")
        self._call("GET", f"{_T}/budget")
        for path in ("/usage/daily", "/usage/monthly", "/analytics/dashboard"):
            self._call("GET", f"{_T}{path}")

    def _billing(self) -> None:
        self._call("GET", f"{_T}/billing/usage")
        self._call("POST", f"{_T}/billing/portal")
        self._call("GET", f"{_T}/billing/plan")
        self._call("PATCH", f"{_T}/billing/plan")
        self._call("GET", "/v1/admin/billing/reconcile")
        self._webhook()

    def _webhook(self) -> None:
        """Send a webhook that Stripe could send."""
        mesh = self.recorder.mesh
        secret = mesh.clients.secrets.get_secret_value(SecretId=mesh.target.names.secret("stripe/secret"))
        key = json.loads(secret["SecretString"])["webhook_secret"]
        body: Json = {"id": "evt_1", "object": "event", "type": "plan.created", "data": {"object": {"object": "plan"}}}
        stamp = epoch(utc_now())
        digest = hmac.new(key.encode(), f"{stamp}.{json.dumps(body)}".encode(), hashlib.sha256).hexdigest()
        headers = {"Stripe-Signature": f"t={stamp},v1={digest}"}
        self._call("POST", "/v1/webhooks/stripe", body, headers=headers)

    def _operators(self) -> None:
        self._call("GET", "/v1/admin/tenants?limit=1")
        tenant_id = self.recorder.id_of(NEW_TENANT)
        self._call("POST", "/v1/admin/tenants", {"tenant_id": tenant_id, "name": "New Organization", "plan": "pro"})
        for method in ("GET", "PATCH"):
            self._call(method, _A, tenant_id=tenant_id)
        for action in ("suspend", "reactivate"):
            self._call("POST", f"{_A}/{action}", tenant_id=tenant_id)
        export_id = self._call("POST", f"{_A}/export", tenant_id=tenant_id)["export"]["export_id"]
        path = f"{_A}/exports/{{export_id}}"
        self._wait(
            lambda: self._call("GET", path, tenant_id=tenant_id, export_id=export_id)["export"]["status"] == "complete"
        )
        self._wait(lambda: self._call("GET", "/v1/admin/usage/export")["export"]["status"] == "completed")
        self._call("DELETE", _A, tenant_id=tenant_id)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **options: Any) -> Any:  # noqa: ANN401 — those of Recorder.call
        return self.recorder.call(method, path, body, **options)

    @staticmethod
    def _wait(condition: Any) -> None:  # noqa: ANN401 — as wait_for
        wait_for(condition, description="the recorded state is reached")


def send_only(
    recorder: Recorder, method: str, path: str, body: Json, *, headers: Mapping[str, str] | None = None
) -> Any:  # noqa: ANN401 — any JSON
    """Send a request without keeping its response."""
    url = f"{recorder.mesh.api}{path.format(tenant_id=recorder.id_of(TENANT))}"
    return send(ApiRequest(method, url, body, headers or {}, recorder.mesh.token(PLATFORM_ADMIN))).body


def record(mesh: Mesh) -> Json:
    """Return the recorded responses and path parameters by operation id."""
    began = utc_now()
    recorder = Recorder(mesh, openapi(SERVICES), new_id("t", began)[-8:].lower())
    Scenario(recorder).run()
    return to_examples(recorder, began)


def to_examples(recorder: Recorder, began: datetime) -> Json:
    """Return the content of the file."""
    operations = sorted({*recorder.parameters})
    recorded = {
        name: {"path": recorder.parameters[name], "responses": recorder.responses.get(name, {})} for name in operations
    }
    names = {recorder.id_of(tenant): tenant for tenant in (TENANT, NEW_TENANT)}
    return Normaliser(began, names).apply(recorded)


def _ignore(_text: str) -> None:
    pass


def main() -> None:
    """Record the examples on a new mesh and write them."""
    with tempfile.TemporaryDirectory() as folder, running_mesh(lambda: Path(folder)) as mesh:
        started = time.monotonic()
        examples = record(mesh)
        RECORDED.write_text(json.dumps(examples, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
        sys.stdout.write(f"{len(examples)} operations in {time.monotonic() - started:.0f} s: {RECORDED}\n")


if __name__ == "__main__":
    main()
