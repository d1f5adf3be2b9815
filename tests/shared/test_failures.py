"""What is logged of an error, and that it is never what somebody wrote."""

import json
import traceback
from collections.abc import Callable
from typing import Any, Literal

import pytest
from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from shared.errors import DependencyUnavailable
from shared.failures import facts_of

WRITTEN = "only-they-know"


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    message: Literal["known"]
    turns: list[int]


def ask() -> None:
    Asked.model_validate({"message": WRITTEN, "turns": [1, WRITTEN]})


def ask_json() -> None:
    Asked.model_validate_json(f'{{"message": "{WRITTEN}", {WRITTEN}')


def count() -> None:
    int(WRITTEN)


def look_up() -> None:
    {}[WRITTEN]


def wrap() -> None:
    try:
        ask()
    except ValueError as error:
        msg = f"could not be read: {WRITTEN}"
        raise RuntimeError(msg) from error


def fail(what: Callable[[], None]) -> dict[str, Any]:
    with pytest.raises(Exception) as failed:  # noqa: PT011 — any error
        what()
    assert WRITTEN in "".join(traceback.format_exception(failed.value))
    return facts_of(failed.value)


@pytest.mark.parametrize("what", [ask, ask_json, count, look_up, wrap])
def test_never_is_what_somebody_wrote(what: Callable[[], None]) -> None:
    assert WRITTEN not in json.dumps(fail(what))


def test_says_which_field_was_wrong_and_how() -> None:
    facts = fail(ask)
    assert facts["error"] == "ValidationError"
    assert facts["reason"] == "Asked: message literal_error, turns.1 int_type"


def test_says_where_it_was() -> None:
    stack = fail(count)["stack"]
    assert stack[-1].startswith("tests/shared/test_failures.py:")
    assert stack[-1].endswith(" count")


def test_says_what_it_came_from() -> None:
    facts = fail(wrap)
    assert (facts["error"], facts["reason"]) == ("RuntimeError", "")
    assert [(cause["error"], cause["reason"][:14]) for cause in facts["causes"]] == [
        ("ValidationError", "Asked: message")
    ]


def test_says_what_callers_may_know() -> None:
    assert facts_of(DependencyUnavailable("The model is busy."))["reason"] == "The model is busy."


def test_says_which_call_aws_refused_and_why_but_not_in_its_words() -> None:
    refused = ClientError({"Error": {"Code": "ValidationException", "Message": WRITTEN}}, "PutItem")
    facts = facts_of(refused)
    assert facts["reason"] == "PutItem: ValidationException"
    assert WRITTEN not in json.dumps(facts)
