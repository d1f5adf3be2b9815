"""Commands of operators to a function."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from shared.errors import Conflict
from shared.messaging.commands import Commands


class GreetInput(BaseModel):
    """The input of a command."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str


def commands() -> Commands:
    registered = Commands()

    @registered.on("greet", GreetInput)
    def greet(greet_input: GreetInput) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]  # the command has it
        if greet_input.name == "taken":
            msg = "It is taken."
            raise Conflict(msg)
        if greet_input.name == "broken":
            raise RuntimeError
        return {"greeting": f"hello {greet_input.name}"}

    return registered


class TestCommands:
    def test_are_executed_by_name(self) -> None:
        assert commands()({"command": "greet", "name": "you"}) == {"greeting": "hello you"}

    def test_are_listed(self) -> None:
        assert commands().names == ("greet",)

    def test_return_an_application_error_as_a_response(self) -> None:
        response = commands()({"command": "greet", "name": "taken"})
        assert response == {"error": "Conflict", "message": "It is taken.", "requestId": ""}

    def test_raise_an_unexpected_error(self) -> None:
        with pytest.raises(RuntimeError):
            commands()({"command": "greet", "name": "broken"})

    @pytest.mark.parametrize("event", [{"command": "leave"}, {}, {"command": None}])
    def test_refuse_an_unknown_command(self, event: dict[str, Any]) -> None:
        response = commands()(event)
        assert response["error"] == "ValidationFailed"
        assert response["details"] == [{"field": "command", "message": "unknown command"}]

    @pytest.mark.parametrize(
        ("arguments", "field"), [({}, "name"), ({"name": 5}, "name"), ({"name": "x", "other": 1}, "other")]
    )
    def test_refuse_invalid_input(self, arguments: dict[str, Any], field: str) -> None:
        response = commands()({"command": "greet", **arguments})
        assert response["error"] == "ValidationFailed"
        assert [detail["field"] for detail in response["details"]] == [field]
