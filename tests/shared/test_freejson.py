"""Free JSON: what is accepted, and how values older than the rules are read."""

import json
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from shared.freejson import (
    MAX_DEPTH,
    MAX_INTEGER,
    MIN_INTEGER,
    FreeJson,
    FreeObject,
    FreeText,
    NotAcceptable,
    at_most,
    check,
    encode,
    loads,
    loads_stored,
    sanitize,
)


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner),
    max_leaves=20,
)


class Body(BaseModel):
    anything: FreeJson = None
    fields: Annotated[FreeObject, at_most(100)] = {}
    text: FreeText = ""


class Shown(BaseModel):
    anything: Any


class TestCheck:
    def test_accepts_64_levels(self) -> None:
        assert loads(nested(MAX_DEPTH))

    @pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 260, 900, 100_000])
    def test_refuses_more_levels(self, levels: int) -> None:
        with pytest.raises(NotAcceptable, match="nested deeper than 64 levels"):
            loads(nested(levels))

    def test_refuses_more_levels_of_arrays(self) -> None:
        with pytest.raises(NotAcceptable, match="nested deeper"):
            loads("[" * 65 + "]" * 65)

    def test_takes_braces_in_texts_for_no_levels(self) -> None:
        assert loads(json.dumps("{" * 500)) == "{" * 500

    @pytest.mark.parametrize("number", [MIN_INTEGER, MAX_INTEGER])
    def test_accepts_integers_of_64_bits(self, number: int) -> None:
        assert loads(str(number)) == number

    @pytest.mark.parametrize("text", [str(MAX_INTEGER + 1), str(MIN_INTEGER - 1), "1" * 4_000, "1" * 5_000, "1e400"])
    def test_refuses_numbers_that_cannot_be_written_everywhere(self, text: str) -> None:
        with pytest.raises(NotAcceptable):
            loads(f'{{"a": [{text}]}}')

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "{", "", '"\\ud800"', '"\\u0000"', '"\0"'])
    def test_refuses_texts_that_cannot_be_written_everywhere(self, text: str) -> None:
        with pytest.raises(NotAcceptable):
            loads(text)

    def test_accepts_a_whole_surrogate_pair(self) -> None:
        assert loads('"\\ud83d\\ude00"') == "😀"

    def test_names_the_place(self) -> None:
        with pytest.raises(NotAcceptable) as refused:
            check({"a": [1, {"b": "x\0"}]})
        assert (refused.value.path, str(refused.value)) == (
            ("a", 1, "b"),
            "a.1.b holds a NUL character or half of a surrogate pair",
        )

    def test_refuses_a_key_like_a_text(self) -> None:
        with pytest.raises(NotAcceptable):
            loads('{"\\u0000": 1}')

    @given(value=ANYTHING)
    def test_decides_alike_about_a_text_and_its_value(self, value: object) -> None:
        text = json.dumps(value)

        def accepts_text() -> bool:
            try:
                loads(text)
            except NotAcceptable:
                return False
            return True

        def accepts_value() -> bool:
            try:
                check(json.loads(text))
            except NotAcceptable:
                return False
            return True

        assert accepts_text() == accepts_value()


class TestSanitize:
    @given(value=ANYTHING)
    def test_gives_an_acceptable_value(self, value: object) -> None:
        check(sanitize(value))

    @given(value=ANYTHING)
    def test_leaves_an_acceptable_value_alone(self, value: object) -> None:
        clean = sanitize(value)
        assert encode(sanitize(clean)) == encode(clean)

    @pytest.mark.parametrize("levels", [65, 260, 900, 100_000])
    def test_cuts_what_is_nested_too_deep(self, levels: int) -> None:
        Shown(anything=loads_stored(nested(levels))).model_dump_json()

    @pytest.mark.parametrize("text", ["1e400", "-1E+400", "NaN", "Infinity"])
    def test_replaces_each_number_that_is_not_finite(self, text: str) -> None:
        assert isinstance(loads_stored(text), str)

    def test_leaves_an_accepted_value_alone_that_a_document_of_ours_holds(self) -> None:
        stored = f'{{"config": {{"tools": [{{"parameters": {nested(MAX_DEPTH)}}}]}}}}'
        assert loads_stored(stored) == json.loads(stored)

    def test_replaces_what_cannot_be_written(self) -> None:
        stored = loads_stored('{"a\\ud800": ["x\\u0000", 1e400, ' + "9" * 4_000 + "]}")
        assert stored == {"a\ufffd": ["x\ufffd", "1e400", "9" * 4_000]}


class TestEncode:
    @given(value=ANYTHING)
    def test_never_fails(self, value: object) -> None:
        loads_stored(encode(value).decode())

    def test_never_fails_on_depth(self) -> None:
        value: object = 1
        for _ in range(5_000):
            value = [value]
        encode(value)


class TestFields:
    @pytest.mark.parametrize(
        "body",
        [
            {"anything": {"a": 2**64}},
            {"fields": {"a": "\0"}},
            {"fields": {"a": "x" * 100}},
            {"fields": [1]},
            {"text": "\ud800"},
            {"anything": json.loads(nested(300))},
        ],
    )
    def test_refuses_what_is_not_acceptable(self, body: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            Body.model_validate(body)

    def test_serialises_everything_that_was_accepted(self) -> None:
        body = Body(anything=json.loads(nested(MAX_DEPTH)), fields={"a": [1, None, 1.5]}, text="x")
        assert Body.model_validate_json(body.model_dump_json()) == body
