"""How the price list is shown."""

from cli.billing import lines_of


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
