"""The log fields of an error contain no user input."""

import json
import traceback
from collections.abc import Callable
from typing import Any, Literal

import pytest
from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from shared.errors import DependencyUnavailable
from shared.failures import facts_of

USER_INPUT = "only-they-know"


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    message: Literal["known"]
    turns: list[int]


def validate() -> None:
    Input.model_validate({"message": USER_INPUT, "turns": [1, USER_INPUT]})


def validate_json() -> None:
    Input.model_validate_json(f'{{"message": "{USER_INPUT}", {USER_INPUT}')


def count() -> None:
    int(USER_INPUT)


def look_up() -> None:
    {}[USER_INPUT]


def wrap() -> None:
    try:
        validate()
    except ValueError as error:
        msg = f"could not be read: {USER_INPUT}"
        raise RuntimeError(msg) from error


def facts_after(action: Callable[[], None]) -> dict[str, Any]:
    with pytest.raises(Exception) as failed:  # noqa: PT011 — any error
        action()
    assert USER_INPUT in "".join(traceback.format_exception(failed.value))
    return facts_of(failed.value)


@pytest.mark.parametrize("action", [validate, validate_json, count, look_up, wrap])
def test_contain_no_user_input(action: Callable[[], None]) -> None:
    assert USER_INPUT not in json.dumps(facts_after(action))


def test_contain_fields_and_types_of_a_validation_error() -> None:
    facts = facts_after(validate)
    assert facts["error"] == "ValidationError"
    assert facts["reason"] == "Input: message literal_error, turns.1 int_type"


def test_contain_the_stack() -> None:
    stack = facts_after(count)["stack"]
    assert stack[-1].startswith("tests/shared/test_failures.py:")
    assert stack[-1].endswith(" count")


def test_contain_the_causes() -> None:
    facts = facts_after(wrap)
    assert (facts["error"], facts["reason"]) == ("RuntimeError", "")
    assert [(cause["error"], cause["reason"][:14]) for cause in facts["causes"]] == [
        ("ValidationError", "Input: message")
    ]


def test_contain_the_message_of_an_application_error() -> None:
    assert facts_of(DependencyUnavailable("The model is busy."))["reason"] == "The model is busy."


def test_contain_operation_and_code_of_an_aws_error_without_its_message() -> None:
    refused = ClientError({"Error": {"Code": "ValidationException", "Message": USER_INPUT}}, "PutItem")
    facts = facts_of(refused)
    assert facts["reason"] == "PutItem: ValidationException"
    assert USER_INPUT not in json.dumps(facts)
