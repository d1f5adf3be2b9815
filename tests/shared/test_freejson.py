"""Free JSON: accepted values, and reads of stored values that are older than the rules."""

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
    bounded_by,
    check,
    check_line,
    encode,
    loads,
    loads_stored,
    sanitize,
)


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats()
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner),
    max_leaves=20,
)


class InputModel(BaseModel):
    content: FreeJson = None
    fields: Annotated[FreeObject, bounded_by(100)] = {}
    text: FreeText = ""


class OutputModel(BaseModel):
    content: Any


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

    def test_does_not_count_braces_in_strings(self) -> None:
        assert loads(json.dumps("{" * 500)) == "{" * 500

    @pytest.mark.parametrize("number", [MIN_INTEGER, MAX_INTEGER])
    def test_accepts_integers_of_64_bits(self, number: int) -> None:
        assert loads(str(number)) == number

    @pytest.mark.parametrize("text", [str(MAX_INTEGER + 1), str(MIN_INTEGER - 1), "1" * 4_000, "1" * 5_000, "1e400"])
    def test_refuses_numbers_that_are_not_portable(self, text: str) -> None:
        with pytest.raises(NotAcceptable):
            loads(f'{{"a": [{text}]}}')

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "{", "", '"\\ud800"', '"\\u0000"', '"\0"'])
    def test_refuses_texts_that_are_not_portable(self, text: str) -> None:
        with pytest.raises(NotAcceptable):
            loads(text)

    def test_accepts_a_surrogate_pair(self) -> None:
        assert loads('"\\ud83d\\ude00"') == "😀"

    def test_reports_the_path(self) -> None:
        with pytest.raises(NotAcceptable) as refused:
            check({"a": [1, {"b": "x\0"}]})
        assert (refused.value.path, str(refused.value)) == (
            ("a", 1, "b"),
            "a.1.b holds a NUL character or half of a surrogate pair",
        )

    def test_checks_keys_as_strings(self) -> None:
        with pytest.raises(NotAcceptable):
            loads('{"\\u0000": 1}')

    @given(value=ANY_JSON)
    def test_treats_a_text_and_its_value_alike(self, value: object) -> None:
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


@pytest.mark.report(26)
class TestLine:
    @pytest.mark.parametrize(
        "text",
        ["a\0b", "a\nb", "\t", "\x1b[2J", "\x7f", "\x85", "\u2028", "\u202egnp", "\u2066x\u2069", "\ud800"],
        ids=ascii,
    )
    def test_refuses_control_characters(self, text: str) -> None:
        with pytest.raises(NotAcceptable):
            check_line(text)

    @pytest.mark.parametrize(
        "text", ["", "plain", "Zoë's 東京 lab", "👩\u200d🔬", "\u200e\u05e9\u05dc\u05d5\u05dd"], ids=ascii
    )
    def test_accepts_names_in_every_script(self, text: str) -> None:
        assert check_line(text) == text


class TestSanitize:
    @given(value=ANY_JSON)
    def test_returns_an_acceptable_value(self, value: object) -> None:
        check(sanitize(value))

    @given(value=ANY_JSON)
    def test_does_not_change_an_acceptable_value(self, value: object) -> None:
        clean = sanitize(value)
        assert encode(sanitize(clean)) == encode(clean)

    @pytest.mark.parametrize("levels", [65, 260, 900, 100_000])
    def test_truncates_deep_nesting(self, levels: int) -> None:
        OutputModel(content=loads_stored(nested(levels))).model_dump_json()

    @pytest.mark.parametrize("text", ["1e400", "-1E+400", "NaN", "Infinity"])
    def test_replaces_numbers_that_are_not_finite(self, text: str) -> None:
        assert isinstance(loads_stored(text), str)

    def test_does_not_change_an_accepted_value_in_a_document(self) -> None:
        stored = f'{{"config": {{"tools": [{{"parameters": {nested(MAX_DEPTH)}}}]}}}}'
        assert loads_stored(stored) == json.loads(stored)

    def test_replaces_values_that_are_not_portable(self) -> None:
        stored = loads_stored('{"a\\ud800": ["x\\u0000", 1e400, ' + "9" * 4_000 + "]}")
        assert stored == {"a\ufffd": ["x\ufffd", "1e400", "9" * 4_000]}


class TestEncode:
    @given(value=ANY_JSON)
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
            {"content": {"a": 2**64}},
            {"fields": {"a": "\0"}},
            {"fields": {"a": "x" * 100}},
            {"fields": [1]},
            {"text": "\ud800"},
            {"content": json.loads(nested(300))},
        ],
    )
    def test_refuse_unacceptable_values(self, body: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            InputModel.model_validate(body)

    def test_serialize_every_accepted_value(self) -> None:
        body = InputModel(content=json.loads(nested(MAX_DEPTH)), fields={"a": [1, None, 1.5]}, text="x")
        assert InputModel.model_validate_json(body.model_dump_json()) == body
