"""Every event keeps its stored contract."""

import copy
from typing import Any

import pytest

from shared.events.catalogue import CATALOGUE
from tests.contracts.schema import SNAPSHOTS, breaks, field_names, schema_of, snapshot, to_text

PERSONAL = {"name", "email", "phone", "address", "ip", "password", "token"}
SAID_BY_USERS = {"prompt", "message", "messages", "input", "inputs", "output", "outputs", "content", "text", "metadata"}

every_event = pytest.mark.parametrize("event_type", CATALOGUE)


@every_event
def test_keeps_its_contract(event_type: str) -> None:
    assert breaks(snapshot(event_type), schema_of(CATALOGUE[event_type])) == []


@every_event
def test_the_snapshot_is_written(event_type: str) -> None:
    stored = (SNAPSHOTS / f"{event_type}.json").read_text()
    assert stored == to_text(schema_of(CATALOGUE[event_type])), "run `python -m tests.contracts.write`"


@every_event
def test_tells_nothing_of_a_person_or_what_was_said(event_type: str) -> None:
    words = {word for name in field_names(schema_of(CATALOGUE[event_type])) for word in name.split("_")}
    # `tokens` are counted; a `token` would be a secret.
    assert words & (PERSONAL | SAID_BY_USERS) == set()


def test_no_snapshot_is_left_over() -> None:
    assert {path.stem for path in SNAPSHOTS.iterdir()} == set(CATALOGUE)


class TestBreaks:
    STORED = schema_of(CATALOGUE["tenant.created.v1"])

    def changed(self) -> tuple[dict[str, Any], dict[str, Any]]:
        schema = copy.deepcopy(self.STORED)
        return schema, schema["properties"]["data"]

    def test_a_new_optional_field_keeps_the_version(self) -> None:
        schema, data = self.changed()
        data["properties"]["region"] = {"type": "string", "default": ""}
        data["properties"]["limits"]["properties"]["max_runs"] = {"type": "integer", "default": -1}
        assert breaks(self.STORED, schema) == []

    def test_a_new_required_field_breaks(self) -> None:
        schema, data = self.changed()
        data["properties"]["region"] = {"type": "string"}
        data["required"].append("region")
        assert breaks(self.STORED, schema) == ["/properties/data/required"]

    def test_a_removed_field_breaks(self) -> None:
        schema, data = self.changed()
        del data["properties"]["plan"]
        assert breaks(self.STORED, schema) == ["/properties/data/properties/plan"]

    def test_another_type_breaks(self) -> None:
        schema, data = self.changed()
        data["properties"]["limits"]["properties"]["max_users"]["type"] = "string"
        assert breaks(self.STORED, schema) == ["/properties/data/properties/limits/properties/max_users/type"]

    def test_a_required_field_that_becomes_optional_breaks(self) -> None:
        schema, data = self.changed()
        data["required"].remove("plan")
        assert breaks(self.STORED, schema) == ["/properties/data/required"]

    @pytest.mark.parametrize("values", [["active"], ["active", "suspended", "suspended_by_billing", "closed"]])
    def test_other_values_break(self, values: list[str]) -> None:
        schema, data = self.changed()
        data["properties"]["status"]["enum"] = values
        assert breaks(self.STORED, schema) == ["/properties/data/properties/status/enum"]
