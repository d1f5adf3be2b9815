"""The price list, and sending usage."""

import pytest

from cli.commands.billing import flush_usage, lines_of
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


def test_the_current_hour_is_closed_for_one_tenant_only() -> None:
    with pytest.raises(CommandRefused, match="--tenant"):
        flush_usage(Target("local"), None, running=True)
