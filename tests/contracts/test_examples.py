"""The stored examples, one for each event."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.events.catalog import CATALOG
from shared.events.envelope import parse
from tests.contracts.schema import EXAMPLES, example, schema_of

every_event = pytest.mark.parametrize("event_type", CATALOG)


@every_event
def test_round_trips_with_every_field(event_type: str) -> None:
    payload = example(event_type)
    assert parse(CATALOG[event_type], payload).model_dump(mode="json") == payload


@every_event
def test_has_its_type_and_owner(event_type: str) -> None:
    event = parse(CATALOG[event_type], example(event_type))
    assert (event.type, event.source) == (event_type, f"ainexus.{CATALOG[event_type].OWNER}")


@every_event
def test_tolerates_an_unknown_field(event_type: str) -> None:
    payload = example(event_type)
    newer: dict[str, Any] = {**payload, "region": "us-east-2", "data": {**payload["data"], "new_later": 1}}
    assert parse(CATALOG[event_type], newer) == parse(CATALOG[event_type], payload)


@every_event
def test_refuses_a_missing_field(event_type: str) -> None:
    payload = example(event_type)
    for name in schema_of(CATALOG[event_type])["properties"]["data"].get("required", ()):
        incomplete = {**payload, "data": {field: value for field, value in payload["data"].items() if field != name}}
        with pytest.raises(ValidationError, match=name):
            parse(CATALOG[event_type], incomplete)


def test_every_example_has_an_event() -> None:
    assert {path.stem for path in EXAMPLES.iterdir()} == set(CATALOG)
