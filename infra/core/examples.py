"""Examples for the OpenAPI document, made from its schemas: what a field is called says what stands in it.

A request shows what must be given and the few things that are worth giving; an answer shows every field. That each
example keeps its schema is a test, and so is that the running mesh takes those of requests.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

Json = dict[str, Any]

_ULID = "01KATM3XW8P5Q7E9R2T4Y6V1ZB"
_AT = "2026-11-24T09:30:00.000Z"
_ADMIN = "admin@demo-org.com"
VALUES: Mapping[str, Any] = {
    **{f"{name}_id": f"{prefix}_{_ULID}" for name, prefix in (("agent", "agt"), ("run", "run"), ("project", "prj"))},
    **{f"{name}_id": f"{prefix}_{_ULID}" for name, prefix in (("prompt", "prm"), ("ruleset", "rul"), ("lint", "lnt"))},
    **{f"{name}_id": f"{prefix}_{_ULID}" for name, prefix in (("experiment", "exp"), ("dataset", "dst"))},
    **{
        f"{name}_id": f"{prefix}_{_ULID}" for name, prefix in (("monitor", "mon"), ("alert", "alr"), ("session", "dbg"))
    },
    **dict.fromkeys(("at", "created_at", "updated_at", "started_at", "occurred_at", "timestamp", "since"), _AT),
    **dict.fromkeys(("ended_at", "counted_until", "expires_at"), "2026-11-24T09:30:02.480Z"),
    "tenant_id": "demo-org",
    "user_id": "5b1a2c34-8d9e-4f60-9a7b-1c2d3e4f5a6b",
    "request_id": "3f1c7a52-6d0e-4b8f-9a57-0c2e8d41b6f3",
    "requestId": "3f1c7a52-6d0e-4b8f-9a57-0c2e8d41b6f3",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span_id": "00f067aa0ba902b7",
    "invoice_id": "in_1QKxYz2eZvKYlo2C",
    "event_id": f"run_{_ULID}:1:1",
    "tool_call_id": "call_1",
    "email": _ADMIN,
    "principal": "user:5b1a2c34-8d9e-4f60-9a7b-1c2d3e4f5a6b",
    "network": "203.0.113.0/24",
    "name": "Test Agent",
    "description": "A test agent for usage metering",
    "type": "conversational",
    "model": "gpt-4",
    "provider": "openai",
    "system_prompt": "You are a helpful assistant.",
    "message": "Hello, world! This is a test.",
    "content": "Hello, world! This is a test.",
    "environment": "dev",
    "plan": "pro",
    "role": "developer",
    "reason": "The usage looks like abuse.",
    "api_key": "sk-example",
    "currency": "usd",
    "code": "ProviderFailed",
    "month": "2026-11",
    "date": "2026-11-24",
    "hour": "2026-11-24T09:00:00.000Z",
    "period_start": "2026-11-01T00:00:00.000Z",
    "period_end": "2026-12-01T00:00:00.000Z",
    "url": "https://checkout.example.com/c/pay/cs_1",
    "base_url": "https://models.example.com/v1",
    "success_url": "https://app.example.com/billing/done",
    "cancel_url": "https://app.example.com/billing",
    "return_url": "https://app.example.com/billing",
    "action": "POST /v1/tenants/{tenant_id}/agents",
    "target": "/v1/tenants/demo-org/agents",
    "output": {"message": "Hello! How can I help you?"},
    "inputs": {"message": "Hello, world! This is a test."},
    "config": {"model": "gpt-4", "system_prompt": "You are a helpful assistant."},
    "meters": {"requests": 1, "tokens_in": 15, "tokens_out": 13},
    "metadata": {"ticket": "4711"},
    "parameters": {"type": "object", "properties": {}},
    "arguments": "{}",
    "enabled_features": ["agents", "experiments", "linting", "debugging", "monitoring"],
    "version": 1,
    "tokens_in": 15,
    "tokens_out": 13,
    "compute_ms": 64,
    "max_users": 10,
    "max_projects": 50,
    "max_requests_per_month": 50_000,
    "max_tokens_per_month": 2_000_000,
    "max_storage_gb": 10,
    "max_concurrent_runs": 50,
    "Health.status": "healthy",
    "Health.version": "1.0.0",
    "AgentRow.latest_version": 1,
    "Agent.latest_version": 1,
    "Version.live": True,
    "VersionRow.live": True,
    "Tenant.name": "Demo Organization",
    "AdminTenant.name": "Demo Organization",
    "Project.name": "Support",
    "Project.description": "Answers for customers",
    "Run.status": "completed",
    "Attempt.attempt": 1,
    "Attempt.outcome": "completed",
    "Attempt.usage_certain": True,
    "Call.call": 1,
    "Call.status": "completed",
    "UsageEvent.attempt": 1,
    "UsageEvent.call": 1,
    "Span.name": "chat gpt-4",
    "Span.kind": "client",
    "Span.status": "ok",
    "Result.id": "render-4711",
    "WebhookAnswer.received": True,
}
"""By the name of a field, or of a model and its field; one that does not fit the field's type is left alone."""
_EVENT = {
    "id": "render-4711",
    "source": "image-service",
    "type": "usage",
    "time": "2026-11-24T09:30:00Z",
    "data": {"meters": {"images_generated": 1}},
}
BODIES: Mapping[str, Json] = {
    "NewEvents": {"events": [_EVENT]},
    "NewTenant": {"tenant_id": "new-org", "name": "New Organization", "plan": "pro"},
    "NewProject": {"name": "Support", "description": "Answers for customers"},
    "ProjectPatch": {"name": "Support, second line"},
    "AgentPatch": {"name": "Support Agent"},
    "TenantPatch": {"name": "Demo Organization Inc."},
    "AdminTenantPatch": {"limits": {"max_users": 25}},
    "NewUser": {"email": "analyst@demo-org.com", "role": "analyst"},
    "UserPatch": {"role": "analyst"},
    "PlanPatch": {"plan": "enterprise"},
}
"""Of requests whose schema alone does not say what is worth sending."""
_ENVELOPE = {"pagination": 1, "requestId": 2}
_WORTH_GIVING = frozenset({"name", "description", "system_prompt", "message", "config"})
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}
_FORMATS: Mapping[str, str] = {"date-time": _AT, "date": "2026-11-24"}
_ANY: Mapping[str, Any] = {"string": "text", "integer": 0, "number": 0, "boolean": False, "object": {}, "array": []}


def with_examples(document: Json) -> Json:
    """The document, with an example beside every schema of a body and every name in a path."""
    maker = _Maker(document["components"]["schemas"])
    for operation in _operations(document):
        for parameter in operation["parameters"]:
            if parameter.get("in") == "path" and parameter["name"] in VALUES:
                parameter["example"] = maker.value(parameter["schema"], parameter["name"])
        for content in _contents(operation.get("requestBody")):
            content["example"] = maker.value(content["schema"], is_sent=True)
        for answer in operation["responses"].values():
            for content in _contents(answer):
                content["example"] = maker.value(content["schema"])
    return document


def _operations(document: Json) -> Iterator[Json]:
    for operations in document["paths"].values():
        yield from operations.values()


def _contents(holder: Json | None) -> Iterator[Json]:
    """JSON bodies: of a stream, an example would be one of its events."""
    for media_type, content in (holder or {}).get("content", {}).items():
        if media_type == "application/json" and "schema" in content:
            yield content


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes examples of schemas, whose references lead to these."""

    schemas: Json

    def value(self, schema: Json, name: str = "", *, model: str = "", is_sent: bool = False) -> Any:  # noqa: ANN401 — any JSON
        """An example of this schema, of a field of this name, or of a model."""
        match schema:
            case {"$ref": str(reference)}:
                named = reference.rpartition("/")[2]
                if is_sent and named in BODIES:
                    return BODIES[named]
                return self.value(self.schemas[named], name, model=named, is_sent=is_sent)
            case {"const": value} | {"enum": [value, *_]}:
                return VALUES[name] if VALUES.get(name) in schema.get("enum", ()) else value
            case {"anyOf": [*options]} | {"oneOf": [*options]}:
                return self._option(cast("list[Json]", options), name, is_sent=is_sent)
            case _ if self._fits(schema, VALUES.get(name)):
                return VALUES[name]
            case {"properties": _}:
                return self._object(schema, model=model, is_sent=is_sent)
            case {"type": "array", "items": {"type": _} | {"$ref": _}}:
                return [self.value(schema["items"], name.removesuffix("s"), is_sent=is_sent)]
            case _:
                fallback = _FORMATS.get(schema.get("format", ""), _ANY.get(schema.get("type", ""), {}))
                return schema.get("default", schema.get("minimum", fallback))

    def _object(self, schema: Json, *, model: str, is_sent: bool) -> Json:
        required = schema.get("required", ())
        # What was asked for comes first, the envelope after it, as the API answers.
        fields = sorted(schema["properties"].items(), key=lambda field: _ENVELOPE.get(field[0], 0))
        return {
            name: self.value(field, _known(f"{model}.{name}", name), is_sent=is_sent)
            for name, field in fields
            if not is_sent or name in required or name in _WORTH_GIVING
        }

    def _option(self, options: list[Json], name: str, *, is_sent: bool) -> Any:  # noqa: ANN401 — any JSON
        """What is not always there is shown as absent, but for what its name says something of."""
        may_be_absent = {"type": "null"} in options
        if may_be_absent and name not in VALUES:
            return None
        return self.value(next(one for one in options if one != {"type": "null"}), name, is_sent=is_sent)

    def _fits(self, schema: Json, value: Any) -> bool:  # noqa: ANN401 — any JSON
        types = _TYPES.get(schema.get("type", ""), ())
        is_plain = "properties" not in schema or (isinstance(value, dict) and {*value} <= {*schema["properties"]})
        return value is not None and is_plain and isinstance(value, types)


def _known(*names: str) -> str:
    """The first name that something is known of; else the last."""
    return next((name for name in names if name in VALUES), names[-1])
