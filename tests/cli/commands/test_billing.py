"""How the price list is shown."""

import pytest

from cli.commands.billing import flushed, lines_of
from cli.errors import Refused
from cli.target import Target


def test_each_difference_has_its_sign() -> None:
    steps = [
        {"kind": "meter", "name": "ainexus_tokens_in", "difference": "same", "detail": ""},
        {"kind": "price", "name": "ainexus_pro_base", "difference": "refuse", "detail": "1 → 2 picocents"},
    ]
    assert lines_of(steps) == [
        "   kind   name               difference  detail",
        "=  meter  ainexus_tokens_in  same",
        "!  price  ainexus_pro_base   refuse      1 → 2 picocents",
    ]


def test_nothing_is_said_to_be_nothing() -> None:
    assert lines_of([]) == ["There is nothing to set up."]


def test_the_hour_that_runs_is_closed_of_one_tenant_only() -> None:
    with pytest.raises(Refused, match="--tenant"):
        flushed(Target("local"), None, running=True)
