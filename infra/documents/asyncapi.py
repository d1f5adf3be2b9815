"""The bus as an AsyncAPI 3 document: a channel per event with its producer and its consumers.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from infra.bundle.target import ROOT
from infra.names import PRODUCT, REGION
from shared.declaration import Service
from shared.events.catalog import CATALOG
from shared.events.envelope import Event, EventData
from shared.version import VERSION

Json = dict[str, Any]

_EXAMPLES = ROOT / "tests" / "contracts" / "examples"
"""One example of each event, which tests compare with the contracts."""
_SCHEMA = "#/components/schemas/{model}"
_DESCRIPTION = """The events that the services exchange. An event is written to an outbox in the transaction that
makes its fact true. It is put on the bus at least once and applied once. Events arrive in any order: `seq` is the
version of their subject.
"""


def asyncapi(services: Sequence[Service]) -> Json:
    """Return the document."""
    schemas: Json = {}
    channels = {kind: _channel(kind) for kind in CATALOG}
    messages = {kind: _message(kind, schemas) for kind in CATALOG}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"{PRODUCT}: the bus",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "bus": {
                "host": "events.{region}.amazonaws.com",
                "protocol": "eventbridge",
                "description": f"The bus `{PRODUCT}-<env>-events` of EventBridge.",
                "variables": {"region": {"default": REGION}},
            }
        },
        "channels": channels,
        "operations": dict(_operations(services)),
        "components": {"messages": messages, "schemas": schemas},
    }


def example_of(event_type: str) -> Json:
    """Return an event of this type as it is on the bus."""
    return json.loads((_EXAMPLES / f"{event_type}.json").read_text())


def schema_of(kind: type[EventData]) -> Json:
    """Return the schema of an event, with descriptions of its fields."""
    return Event[kind].model_json_schema(ref_template=_SCHEMA)


def _channel(event_type: str) -> Json:
    return {
        "address": event_type,
        "description": f"The detail-type of events of the source `ainexus.{CATALOG[event_type].OWNER}`.",
        "messages": {event_type: {"$ref": f"#/components/messages/{event_type}"}},
    }


def _message(event_type: str, schemas: Json) -> Json:
    schema = schema_of(CATALOG[event_type])
    schemas.update(schema.pop("$defs", {}))
    return {
        "name": event_type,
        "summary": " ".join((CATALOG[event_type].__doc__ or "").split()),
        "payload": schema,
        "examples": [{"name": "one", "payload": example_of(event_type)}],
    }


def _operations(services: Sequence[Service]) -> Iterator[tuple[str, Json]]:
    """Return an operation's name: that of the function and the rule, without dots."""
    for service in services:
        for event_type in sorted(service.emits):
            yield _name(service.name, "sends", event_type), _operation("send", event_type, f"By {service.name}.")
        for function in service.functions:
            for event_type in sorted(function.subscriptions):
                name = _name(service.name, function.name, "hears", event_type)
                yield (
                    name,
                    _operation("receive", event_type, f"Wakes `{PRODUCT}-<env>-{service.name}-{function.name}`."),
                )


def _name(*parts: str) -> str:
    return "-".join(parts).replace(".", "-").replace("_", "-")


def _operation(action: str, event_type: str, summary: str) -> Json:
    channel = f"#/channels/{event_type}"
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{event_type}"}],
    }
