"""Directives in messages."""

import json

import pytest

from services.runs.providers.domain.directives import (
    MAX_USAGE_TOKENS,
    Directives,
    RequestedCall,
    directives_of,
    reported_input_tokens,
)
from services.runs.runs.domain.conversation import Message
from shared.meters import Meter


def _of(prompt: str) -> Directives:
    return directives_of([Message("user", prompt)])


class TestDirectivesOf:
    def test_reads_the_last_message_of_the_user_only(self) -> None:
        messages = [
            Message("user", "[[cut]]"),
            Message("user", "[[tokens 2]] Hi"),
            Message("assistant", "[[error 400]]"),
        ]
        assert directives_of(messages) == Directives("Hi", tokens=2)

    def test_reads_all_and_removes_them_from_the_text(self) -> None:
        prompt = 'A [[tokens 1]][[delay 2]][[error 503]][[cut]][[finish length]][[usage {"tokens_in": 3}]][[tool t]] B'
        assert _of(prompt) == Directives(
            "A  B",
            tokens=1,
            delay_ms=2,
            error=503,
            cut=True,
            finishes_by_length=True,
            usage={Meter.TOKENS_IN: 3},
            calls=(RequestedCall("t", None),),
        )

    def test_follows_no_directive_inside_the_arguments_of_a_tool(self) -> None:
        found = _of('[[tool t {"a": "[[error 400]] [[tool u]]"}]]')
        assert found == Directives("", calls=(RequestedCall("t", '{"a": "[[error 400]] [[tool u]]"}'),))

    @pytest.mark.parametrize(
        "prompt",
        [
            "[[tokens many]]",
            "[[finish early]]",
            "[[tool a b]]",
            "[[tool t {]]",
            "[[usage]]",
            "[[usage {]]",
            '[[usage {"tokens_in": -1}]]',
            '[[usage {"tokens_in": 1.5}]]',
            '[[usage {"tokens_in": true}]]',
            '[[usage {"requests": 5}]]',
            '[[usage {"tokens_uncertain": 5}]]',
        ],
    )
    def test_leaves_an_invalid_directive_in_the_text(self, prompt: str) -> None:
        assert _of(prompt) == Directives(prompt)

    def test_bounds_the_counts_of_usage(self) -> None:
        assert _of('[[usage {"tokens_in": 99999999999}]]').usage == {Meter.TOKENS_IN: MAX_USAGE_TOKENS}

    def test_uses_the_first_usage(self) -> None:
        found = _of('[[usage {"tokens_in": 1}]] [[usage {"tokens_in": 2}]]')
        assert found == Directives("", usage={Meter.TOKENS_IN: 1})

    def test_handles_unterminated_directives(self) -> None:
        prompt = "[[tool a {" * 50_000 + '[[usage {"a": ' * 50_000
        assert _of(prompt) == Directives(prompt.strip())


class TestReportedInputTokens:
    @pytest.mark.parametrize(
        ("usage", "tokens"),
        [
            ({"tokens_in": 700}, 700),
            ({"tokens_in": 1, "tokens_cache_read": 400, "tokens_cache_write": 500}, 900),
            ({"tokens_out": 5}, 0),
        ],
    )
    def test_includes_the_cached_ones(self, usage: dict[str, int], tokens: int) -> None:
        assert reported_input_tokens([Message("user", f"Hi [[usage {json.dumps(usage)}]]")]) == tokens

    def test_is_zero_without_the_directive(self) -> None:
        assert reported_input_tokens([Message("system", '[[usage {"tokens_in": 7}]]'), Message("user", "Hi")]) == 0
