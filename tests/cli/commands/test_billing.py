"""The price list, and sending usage."""

import json
from typing import Any, ClassVar

import pytest

from cli.commands.billing import flush_usage, lines_of, show_flush
from cli.errors import CommandRefused
from cli.target import Target


def test_each_difference_has_a_sign() -> None:
    steps = [
        {"kind": "meter", "name": "ainexus_tokens_in", "difference": "same", "detail": ""},
        {"kind": "price", "name": "ainexus_pro_base", "difference": "refuse", "detail": "1 → 2 picocents"},
    ]
    assert lines_of(steps) == [
        "   kind   name               difference  detail",
        "=  meter  ainexus_tokens_in  same",
        "!  price  ainexus_pro_base   refuse      1 → 2 picocents",
    ]


def test_an_empty_list_is_one_line() -> None:
    assert lines_of([]) == ["There is nothing to set up."]


class TestFlush:
    UNSENT: ClassVar[dict[str, Any]] = {
        "all_sent": False,
        "unsent": 12,
        "rejected": 1,
        "reasons": ["The payment provider does not accept our API key."],
    }

    def test_lists_unsent_usage_with_its_reason_and_fails(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert show_flush(Target("dev"), self.UNSENT) == 1
        assert capsys.readouterr().out.splitlines() == [
            "all sent: False",
            "unsent: 12",
            "rejected: 1",
            "not sent: The payment provider does not accept our API key.",
            "To send rejected usage again: ainexus billing repair --tenant TENANT",
        ]

    def test_succeeds_when_everything_is_sent(self, capsys: pytest.CaptureFixture[str]) -> None:
        result: dict[str, Any] = {"all_sent": True, "unsent": 0, "rejected": 0, "reasons": []}
        assert show_flush(Target("dev", as_json=True), result) == 0
        assert json.loads(capsys.readouterr().out) == result


def test_the_current_hour_is_closed_for_one_tenant_only() -> None:
    with pytest.raises(CommandRefused, match="--tenant"):
        flush_usage(Target("local"), None, running=True)
