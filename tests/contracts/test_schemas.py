"""The schemas of all events are compatible with their snapshots."""

import copy
from typing import Any

import pytest

from shared.events.catalog import CATALOG
from tests.contracts.schema import SNAPSHOTS, breaking_changes, field_names, schema_of, snapshot, to_text

PERSONAL_FIELDS = {"name", "email", "phone", "address", "ip", "password", "token"}
USER_CONTENT = {"prompt", "message", "messages", "input", "inputs", "output", "outputs", "content", "text", "metadata"}

every_event = pytest.mark.parametrize("event_type", CATALOG)


@every_event
def test_schema_is_compatible_with_its_snapshot(event_type: str) -> None:
    assert breaking_changes(snapshot(event_type), schema_of(CATALOG[event_type])) == []


@every_event
def test_snapshot_is_current(event_type: str) -> None:
    stored = (SNAPSHOTS / f"{event_type}.json").read_text()
    assert stored == to_text(schema_of(CATALOG[event_type])), "run `python -m tests.contracts.write_snapshots`"


@every_event
def test_has_no_personal_data_and_no_user_content(event_type: str) -> None:
    names = {*field_names(schema_of(CATALOG[event_type]))} - {"prompt_id"}
    words = {word for name in names for word in name.split("_")}
    # `tokens` is a number. `token` would be a secret. The id of a stored prompt is none of its text.
    assert words & (PERSONAL_FIELDS | USER_CONTENT) == set()


def test_every_snapshot_has_an_event() -> None:
    assert {path.stem for path in SNAPSHOTS.iterdir()} == set(CATALOG)


class TestBreakingChanges:
    STORED = schema_of(CATALOG["tenant.created.v1"])

    def copy_of_schema(self) -> tuple[dict[str, Any], dict[str, Any]]:
        schema = copy.deepcopy(self.STORED)
        return schema, schema["properties"]["data"]

    def test_allows_a_new_optional_field(self) -> None:
        schema, data = self.copy_of_schema()
        data["properties"]["region"] = {"type": "string", "default": ""}
        data["properties"]["limits"]["properties"]["max_runs"] = {"type": "integer", "default": -1}
        assert breaking_changes(self.STORED, schema) == []

    def test_refuses_a_new_required_field(self) -> None:
        schema, data = self.copy_of_schema()
        data["properties"]["region"] = {"type": "string"}
        data["required"].append("region")
        assert breaking_changes(self.STORED, schema) == ["/properties/data/required"]

    def test_refuses_a_removed_field(self) -> None:
        schema, data = self.copy_of_schema()
        del data["properties"]["plan"]
        assert breaking_changes(self.STORED, schema) == ["/properties/data/properties/plan"]

    def test_refuses_another_type(self) -> None:
        schema, data = self.copy_of_schema()
        data["properties"]["limits"]["properties"]["max_users"]["type"] = "string"
        assert breaking_changes(self.STORED, schema) == ["/properties/data/properties/limits/properties/max_users/type"]

    def test_refuses_a_required_field_that_becomes_optional(self) -> None:
        schema, data = self.copy_of_schema()
        data["required"].remove("plan")
        assert breaking_changes(self.STORED, schema) == ["/properties/data/required"]

    @pytest.mark.parametrize("values", [["active"], ["active", "suspended", "suspended_by_billing", "closed"]])
    def test_refuses_other_values(self, values: list[str]) -> None:
        schema, data = self.copy_of_schema()
        data["properties"]["status"]["enum"] = values
        assert breaking_changes(self.STORED, schema) == ["/properties/data/properties/status/enum"]
