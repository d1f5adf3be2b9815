"""One example of each event."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.events.catalogue import CATALOGUE
from shared.events.envelope import parse
from tests.contracts.schema import EXAMPLES, example, schema_of

every_event = pytest.mark.parametrize("event_type", CATALOGUE)


@every_event
def test_round_trips_with_every_field(event_type: str) -> None:
    said = example(event_type)
    assert parse(CATALOGUE[event_type], said).model_dump(mode="json") == said


@every_event
def test_is_of_its_type_and_owner(event_type: str) -> None:
    event = parse(CATALOGUE[event_type], example(event_type))
    assert (event.type, event.source) == (event_type, f"ainexus.{CATALOGUE[event_type].OWNER}")


@every_event
def test_an_unknown_field_is_tolerated(event_type: str) -> None:
    said = example(event_type)
    later: dict[str, Any] = {**said, "region": "us-east-2", "data": {**said["data"], "new_later": 1}}
    assert parse(CATALOGUE[event_type], later) == parse(CATALOGUE[event_type], said)


@every_event
def test_a_missing_field_is_not(event_type: str) -> None:
    said = example(event_type)
    for name in schema_of(CATALOGUE[event_type])["properties"]["data"].get("required", ()):
        less = {**said, "data": {field: value for field, value in said["data"].items() if field != name}}
        with pytest.raises(ValidationError, match=name):
            parse(CATALOGUE[event_type], less)


def test_no_example_is_left_over() -> None:
    assert {path.stem for path in EXAMPLES.iterdir()} == set(CATALOGUE)
