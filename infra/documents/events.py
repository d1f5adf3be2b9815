"""The catalogue of events as a page: when, by whom, to whom, with which facts."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from infra.bundle.target import ROOT
from infra.documents.asyncapi import example_of, schema_of
from infra.documents.markdown import anchor, block, table, type_of
from shared.declaration import Service
from shared.events.catalogue import CATALOGUE

_HEAD = """# Events

Written by `make docs` from the contracts in `shared/events` and the declarations of the services; for programs there is
[asyncapi.json](asyncapi.json). Every event has the same envelope, and only `data` differs. The same `id` is the same
fact, however often it is delivered, and `seq` is the version of the subject: events arrive in any order.
"""


def events_markdown(services: Sequence[Service]) -> str:
    """The page: an overview, then a section for each event by its owner."""
    lines = [_HEAD, *_overview(services), "## The envelope", "", *_envelope()]
    for service in services:
        owned = [kind for kind in CATALOGUE if service.name == CATALOGUE[kind].OWNER]
        lines += [f"## {service.name}", ""]
        for kind in owned:
            lines += _event(kind, services)
    return "\n".join(lines).rstrip() + "\n"


def _overview(services: Sequence[Service]) -> Iterator[str]:
    rows = (
        (f"[`{kind}`](#{anchor(kind)})", ", ".join(_said_by(kind, services)), ", ".join(_heard_by(kind, services)))
        for kind in CATALOGUE
    )
    yield from table(("event", "said by", "wakes"), rows)


def _said_by(kind: str, services: Sequence[Service]) -> list[str]:
    return [service.name for service in services if kind in service.emits]


def _heard_by(kind: str, services: Sequence[Service]) -> list[str]:
    return [
        f"{service.name} {function.name}"
        for service in services
        for function in service.functions
        if kind in function.subscriptions
    ]


def _envelope() -> Iterator[str]:
    some = next(iter(CATALOGUE.values()))
    fields = {name: said for name, said in schema_of(some)["properties"].items() if name != "data"}
    yield from _fields(fields)


def _event(kind: str, services: Sequence[Service]) -> Iterator[str]:
    yield from (f"### {kind}", "", " ".join((CATALOGUE[kind].__doc__ or "").split()), "")
    for service in services:
        if when := _when(service).get(kind):
            yield from (f"Said by {service.name}, when {when}.", "")
    heard = _heard_by(kind, services)
    yield from (f"Wakes {', '.join(heard)}." if heard else "Wakes nothing yet.", "")
    schema = schema_of(CATALOGUE[kind])
    data: dict[str, Any] = schema["$defs"][CATALOGUE[kind].__name__].get("properties", {})
    if data:
        yield from _fields(data)
    yield from block(example_of(kind))


def _fields(fields: dict[str, Any]) -> Iterator[str]:
    rows = ((f"`{name}`", _type(said), said.get("description", "")) for name, said in fields.items())
    yield from table(("field", "type", "what"), rows)


def _type(schema: dict[str, Any]) -> str:
    """Without a link: models inside of an event have no section of their own."""
    return re.sub(r"\[(\w+)\]\(#.*?\)", r"\1", type_of(schema))


def _when(service: Service) -> dict[str, str]:
    """When a service says what: the rows of its README, which a test holds to its declaration."""
    readme = (ROOT / "services" / service.name / "README.md").read_text()
    said = readme.partition("\n## Emits\n")[2].partition("\n## ")[0]
    return {kind: when.strip() for kind, when in re.findall(r"^\| `([\w.]+)` \| (.*?) \|", said, re.MULTILINE)}
