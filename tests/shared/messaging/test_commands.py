"""What operators ask a function to do."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from shared.errors import Conflict
from shared.messaging.commands import Commands


class Named(BaseModel):
    """A command's input."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str


def commands() -> Commands:
    made = Commands()

    @made.on("greet", Named)
    def greet(asked: Named) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]  # the command has it
        if asked.name == "taken":
            msg = "It is taken."
            raise Conflict(msg)
        if asked.name == "broken":
            raise RuntimeError
        return {"greeting": f"hello {asked.name}"}

    return made


class TestCommands:
    def test_are_carried_out_by_name(self) -> None:
        assert commands()({"command": "greet", "name": "you"}) == {"greeting": "hello you"}

    def test_are_listed(self) -> None:
        assert commands().names == ("greet",)

    def test_an_error_of_ours_is_an_answer_in_the_one_shape(self) -> None:
        answer = commands()({"command": "greet", "name": "taken"})
        assert answer == {"error": "Conflict", "message": "It is taken.", "requestId": ""}

    def test_an_error_that_is_not_ours_is_raised(self) -> None:
        with pytest.raises(RuntimeError):
            commands()({"command": "greet", "name": "broken"})

    @pytest.mark.parametrize("event", [{"command": "leave"}, {}, {"command": None}])
    def test_an_unknown_one_is_refused(self, event: dict[str, Any]) -> None:
        answer = commands()(event)
        assert answer["error"] == "ValidationFailed"
        assert answer["details"] == [{"field": "command", "message": "unknown command"}]

    @pytest.mark.parametrize(
        ("given", "field"), [({}, "name"), ({"name": 5}, "name"), ({"name": "x", "other": 1}, "other")]
    )
    def test_input_that_is_not_valid_is_refused(self, given: dict[str, Any], field: str) -> None:
        answer = commands()({"command": "greet", **given})
        assert answer["error"] == "ValidationFailed"
        assert [detail["field"] for detail in answer["details"]] == [field]
