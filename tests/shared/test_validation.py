"""Messages about invalid fields."""

import re
from datetime import date
from decimal import Decimal
from enum import StrEnum
from importlib import import_module
from typing import Annotated, Any, Literal, get_args

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, create_model

from shared import validation
from shared.validation import message_of

# A part of pydantic, which exports no list of its kinds of findings.
KINDS = [str(kind) for kind in get_args(import_module("pydantic_core.core_schema").ErrorType)]
PYTHON = re.compile(
    r"dictionary|datetime|Value error|\bNone\b|\bstr\b|\bint\b|bool|Decimal|instance|Input should", re.I
)


class Colour(StrEnum):
    """An enumeration."""

    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    """A nested object."""

    model_config = ConfigDict(extra="forbid")


def messages(annotation: Any, value: object) -> list[str]:  # noqa: ANN401 — any type
    """Return the messages about a value of a field; an ellipsis is a missing one."""
    model: Any = create_model("Sample", field=(annotation, ...))
    with pytest.raises(ValidationError) as refused:
        model.model_validate({} if value is ... else {"field": value})
    return [message_of(dict(error)) for error in refused.value.errors()]


class TestMessageOf:
    @pytest.mark.parametrize(
        ("annotation", "value", "message"),
        [
            (str, ..., "is required"),
            (str, 5, "must be a text"),
            (Annotated[str, Field(min_length=1)], "", "must have at least 1 character"),
            (Annotated[str, Field(max_length=2)], "abc", "must have at most 2 characters"),
            (Annotated[str, Field(pattern="^a$")], "b", "must match the pattern ^a$"),
            (int, "x", "must be an integer"),
            (int, 1.5, "must be an integer"),
            (Annotated[int, Field(ge=1)], 0, "must be at least 1"),
            (Annotated[int, Field(le=100)], 101, "must be at most 100"),
            (Annotated[Decimal, Field(gt=0)], 0, "must be more than 0"),
            (Annotated[Decimal, Field(decimal_places=2)], "0.001", "must have at most 2 decimal places"),
            (float, "x", "must be a number"),
            (bool, "x", "must be true or false"),
            (list[int], {}, "must be a list"),
            (Annotated[list[int], Field(min_length=1)], [], "must have at least 1 entry"),
            (dict[str, int], [], "must be an object"),
            (Part, [], "must be an object"),
            (Part, {"size": 1}, "is not a known field"),
            (Literal["a", "b", "c"], "d", "must be a, b or c"),
            (Colour, "green", "must be red or blue"),
            (date, "x", "must be a date such as 2026-11-22"),
            (Annotated[date, Field(ge=date(2000, 1, 1))], "1999-01-01", "must be at least 2000-01-01"),
            (AwareDatetime, "2026-11-22T23:19:05", "must have a time zone, such as 2026-11-22T23:19:05Z"),
        ],
        ids=str,
    )
    def test_is_in_the_words_of_json(self, annotation: Any, value: object, message: str) -> None:  # noqa: ANN401 — any type
        assert messages(annotation, value) == [message]

    def test_of_a_validator_of_ours_is_its_own(self) -> None:
        assert message_of({"type": "value_error", "msg": "Value error, is too large"}) == "is too large"

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"value_error", "assertion_error"}])
    def test_is_never_pydantics(self, kind: str) -> None:
        assert not PYTHON.search(message_of({"type": kind, "msg": "Input should be a valid dictionary"}))

    def test_knows_only_kinds_that_exist(self) -> None:
        assert {*validation.MESSAGES} <= {*KINDS}
