"""Templates of prompts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.template import (
    MAX_VARIABLES,
    RenderedTooLarge,
    TemplateInvalid,
    VariablesMismatch,
    placeholders,
    render,
    variables_of,
)

NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)
PLAIN = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=20)


class TestVariables:
    @pytest.mark.parametrize(
        ("template", "names"),
        [
            ("no variables", ()),
            ("{{a}}", ("a",)),
            ("{{ b }} and {{a}} and {{b}}", ("b", "a")),
            ("{{_x9}}", ("_x9",)),
            ('{"json": {"depth": 2}}', ()),
            ("{{{{a}}", ()),
            ("{{{{{{a}}", ("a",)),
            ("{ {a} }", ()),
        ],
    )
    def test_are_the_placeholders_in_order_of_first_use(self, template: str, names: tuple[str, ...]) -> None:
        assert variables_of(template) == names

    @pytest.mark.parametrize(
        "template",
        [
            "{{",
            "{{}}",
            "{{a b}}",
            "{{#if a}}",
            "{{a.b}}",
            "{{1a}}",
            "{{\na}}",
            "{{a",
            "{{{a}}}",
            "{{" + "a" * 65 + "}}",
        ],
    )
    def test_of_another_syntax_are_refused(self, template: str) -> None:
        with pytest.raises(TemplateInvalid):
            variables_of(template)

    def test_the_place_of_a_defect_is_named(self) -> None:
        with pytest.raises(TemplateInvalid, match="line 2, column 4") as caught:
            variables_of("one\nab {{ c d }}")
        assert caught.value.position == 7

    def test_are_limited_in_number(self) -> None:
        allowed = "".join(f"{{{{v{number}}}}}" for number in range(MAX_VARIABLES))
        assert len(variables_of(allowed)) == MAX_VARIABLES
        with pytest.raises(TemplateInvalid, match="more than 100"):
            variables_of(allowed + "{{more}}")

    def test_have_places_in_code_points(self) -> None:
        [place] = placeholders("😀 {{a}}!")
        assert (place.name, place.start, place.end) == ("a", 2, 7)


class TestRender:
    def test_inserts_values_as_they_are(self) -> None:
        assert render("{{a}}{{ b }}", {"a": "{{b}}", "b": "\\1"}) == "{{b}}\\1"

    def test_writes_the_literal(self) -> None:
        assert render("{{{{a}} {{{{{{a}}", {"a": "1"}) == "{{a}} {{1"

    def test_names_all_missing_variables(self) -> None:
        with pytest.raises(VariablesMismatch) as caught:
            render("{{a}}{{b}}{{a}}{{c}}", {"b": ""})
        assert caught.value.missing == ("a", "c")

    def test_refuses_a_large_result_before_it_is_built(self) -> None:
        with pytest.raises(RenderedTooLarge):
            render("{{a}}" * 40_000, {"a": "x" * 1_000_000})

    @given(st.lists(st.tuples(PLAIN, NAMES), max_size=8), st.data())
    def test_equals_the_concatenation_of_its_parts(self, parts: list[tuple[str, str]], data: st.DataObject) -> None:
        template = "".join(f"{text}{{{{{name}}}}}" for text, name in parts)
        values = {name: data.draw(st.text(max_size=9)) for _, name in parts}
        assert render(template, values) == "".join(text + values[name] for text, name in parts)

    @given(PLAIN)
    def test_keeps_text_without_placeholders(self, text: str) -> None:
        assert render(text, {}) == text
