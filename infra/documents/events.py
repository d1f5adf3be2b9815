"""The catalog of events as a page: trigger, producer, consumers and fields."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from infra.bundle.target import ROOT
from infra.documents.asyncapi import example_of, schema_of
from infra.documents.markdown import anchor, block, table, type_of
from shared.declaration import Service
from shared.events.catalog import CATALOG

_HEAD = """# Events

`make docs` generates this page from the contracts in `shared/events` and the declarations of the services. The
machine-readable form is [asyncapi.json](asyncapi.json). Every event has the same envelope, and only `data` differs. The
same `id` is the same fact, even if it is delivered several times. Events arrive in any order: `seq` is the version of
their subject.
"""


def events_markdown(services: Sequence[Service]) -> str:
    """Return the page: an overview, then a section for each event by its owner."""
    lines = [_HEAD, *_overview(services), "## The envelope", "", *_envelope()]
    for service in services:
        owned = [kind for kind in CATALOG if service.name == CATALOG[kind].OWNER]
        lines += [f"## {service.name}", ""]
        for kind in owned:
            lines += _event(kind, services)
    return "\n".join(lines).rstrip() + "\n"


def _overview(services: Sequence[Service]) -> Iterator[str]:
    rows = (
        (f"[`{kind}`](#{anchor(kind)})", ", ".join(_producers(kind, services)), ", ".join(_consumers(kind, services)))
        for kind in CATALOG
    )
    yield from table(("event", "producer", "consumers"), rows)


def _producers(kind: str, services: Sequence[Service]) -> list[str]:
    return [service.name for service in services if kind in service.emits]


def _consumers(kind: str, services: Sequence[Service]) -> list[str]:
    return [
        f"{service.name} {function.name}"
        for service in services
        for function in service.functions
        if kind in function.subscriptions
    ]


def _envelope() -> Iterator[str]:
    some = next(iter(CATALOG.values()))
    fields = {name: field for name, field in schema_of(some)["properties"].items() if name != "data"}
    yield from _fields(fields)


def _event(kind: str, services: Sequence[Service]) -> Iterator[str]:
    yield from (f"### {kind}", "", " ".join((CATALOG[kind].__doc__ or "").split()), "")
    for service in services:
        if when := _when(service).get(kind):
            yield from (f"Published by {service.name} when {when}.", "")
    consumers = _consumers(kind, services)
    yield from (f"Consumed by {', '.join(consumers)}." if consumers else "It has no consumers yet.", "")
    schema = schema_of(CATALOG[kind])
    data: dict[str, Any] = schema["$defs"][CATALOG[kind].__name__].get("properties", {})
    if data:
        yield from _fields(data)
    yield from block(example_of(kind))


def _fields(fields: dict[str, Any]) -> Iterator[str]:
    rows = ((f"`{name}`", _type(field), field.get("description", "")) for name, field in fields.items())
    yield from table(("field", "type", "description"), rows)


def _type(schema: dict[str, Any]) -> str:
    """Return a type without a link, because models inside of an event have no section of their own."""
    return re.sub(r"\[(\w+)\]\(#.*?\)", r"\1", type_of(schema))


def _when(service: Service) -> dict[str, str]:
    """Return when each event is published, from the README of its service."""
    readme = (ROOT / "services" / service.name / "README.md").read_text()
    section = readme.partition("\n## Emits\n")[2].partition("\n## ")[0]
    return {kind: when.strip() for kind, when in re.findall(r"^\| `([\w.]+)` \| (.*?) \|", section, re.MULTILINE)}
