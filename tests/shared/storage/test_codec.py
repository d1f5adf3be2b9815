"""Codecs: every record can be read as it was written, and nothing is stored that could be rounded."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.storage.codec import Codec, Conversion
from shared.storage.items import item_from_wire, item_to_wire

NOW = datetime(2026, 11, 30, 9, 30, tzinfo=UTC)


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Part:
    number: int
    made_at: datetime
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    name: str
    kind: Literal["big", "small"]
    day: date
    color: Color
    main: Part
    spare: Part | None
    parts: tuple[Part, ...] = ()
    tags: frozenset[str] = frozenset()
    counts: Mapping[Color, int] = field(default_factory=dict[Color, int])
    done: bool = False
    times: tuple[datetime, ...] = ()


CODEC = Codec(Whole, names={"day": "on"}, flat={"main": "main_", "spare": "spare_"})
PARTS = st.builds(Part, st.integers(), st.just(NOW), st.none() | st.text())
WHOLES = st.builds(
    Whole,
    name=st.text(),
    kind=st.sampled_from(["big", "small"]),
    day=st.dates(),
    color=st.sampled_from(Color),
    main=PARTS,
    spare=st.none() | PARTS,
    parts=st.lists(PARTS, max_size=3).map(tuple),
    tags=st.frozensets(st.text(), max_size=3),
    counts=st.dictionaries(st.sampled_from(Color), st.integers(), max_size=2),
    done=st.booleans(),
    times=st.lists(st.just(NOW), max_size=2).map(tuple),
)


@given(WHOLES)
def test_reads_each_record_as_it_was_written(record: Whole) -> None:
    assert CODEC.decode(item_from_wire(item_to_wire(CODEC.encode(record)))) == record


@given(WHOLES, WHOLES)
def test_a_difference_makes_one_record_the_other(before: Whole, after: Whole) -> None:
    changed = CODEC.encode(before) | CODEC.difference(before, after)
    assert CODEC.decode({name: value for name, value in changed.items() if value is not None}) == after


@given(WHOLES)
def test_a_record_does_not_differ_from_itself(record: Whole) -> None:
    assert CODEC.difference(record, replace(record)) == {}


def whole(**fields: Any) -> Whole:  # noqa: ANN401 — any field of the record
    required: dict[str, Any] = {
        "name": "n",
        "kind": "big",
        "day": date(2026, 1, 2),
        "color": Color.RED,
        "main": Part(1, NOW),
        "spare": None,
    }
    return Whole(**(required | fields))


class TestAttributes:
    def test_are_named_by_their_fields_or_as_declared(self) -> None:
        assert CODEC.encode(whole()) == {
            "name": "n",
            "kind": "big",
            "on": "2026-01-02",
            "color": "red",
            "main_number": 1,
            "main_made_at": "2026-11-30T09:30:00.000Z",
        }

    def test_omit_none_and_defaults(self) -> None:
        assert {"spare_number", "parts", "tags", "counts", "done", "times"}.isdisjoint(CODEC.encode(whole()))

    def test_missing_ones_are_read_as_defaults(self) -> None:
        assert CODEC.decode(CODEC.encode(whole())) == whole()

    def test_null_is_read_as_a_missing_one(self) -> None:
        assert CODEC.decode({**CODEC.encode(whole()), "done": None, "spare_number": None}) == whole()

    def test_that_no_field_has_are_ignored(self) -> None:
        assert CODEC.decode({**CODEC.encode(whole()), "PK": "p", "older": 1}) == whole()

    def test_missing_required_one_is_named(self) -> None:
        item = CODEC.encode(whole())
        del item["on"]
        with pytest.raises(KeyError, match="on"):
            CODEC.decode(item)

    def test_of_an_update_include_none_and_defaults(self) -> None:
        assert CODEC.values(day=date(2026, 1, 3), done=False) == {"on": "2026-01-03", "done": False}
        assert CODEC.values(spare=Part(2, NOW)) == {
            "spare_number": 2,
            "spare_made_at": "2026-11-30T09:30:00.000Z",
            "spare_label": None,
        }
        assert CODEC.values(spare=None) == {"spare_number": None, "spare_made_at": None, "spare_label": None}

    def test_of_an_unknown_field_are_refused(self) -> None:
        with pytest.raises(KeyError, match="colour"):
            CODEC.values(colour="red")


def test_fields_that_the_key_has_are_given() -> None:
    codec = Codec(Part, given=("label",))
    assert codec.decode(codec.encode(Part(1, NOW, "x")), label="y") == Part(1, NOW, "y")


def test_default_is_stored_where_the_preceding_release_needs_it() -> None:
    codec = Codec(Whole, always=("done",))
    assert codec.encode(whole())["done"] is False
    assert codec.decode({**codec.encode(whole()), "done": None}) == whole()
    assert codec.is_default("done", value=False)


@dataclass(frozen=True, slots=True)
class Place:
    row: int | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Stock:
    place: Place
    box: Whole | None = None
    pieces: tuple[Part, ...] = ()


class TestNestedRecords:
    codec = Codec(
        Stock,
        flat={"place": Codec(Place, names={"row": "placeRow"}), "box": CODEC},
        conversions={Part: Codec(Part, names={"made_at": "at"}).conversion},
    )

    def test_can_have_their_own_codecs(self) -> None:
        stock = Stock(Place(7), whole(), (Part(1, NOW),))
        item = self.codec.encode(stock)
        assert (item["placeRow"], item["on"], item["main_number"]) == (7, "2026-01-02", 1)
        assert item["pieces"] == [{"number": 1, "at": "2026-11-30T09:30:00.000Z"}]
        assert self.codec.decode(item) == stock

    def test_that_are_required_are_read_of_an_item_without_their_attributes(self) -> None:
        assert self.codec.encode(Stock(Place())) == {}
        assert self.codec.decode({}) == Stock(Place())

    def test_are_updated_with_those_within_them(self) -> None:
        values = self.codec.values(box=whole(main=Part(2, NOW)))
        assert (values["on"], values["main_number"], values["spare_number"]) == ("2026-01-02", 2, None)
        assert self.codec.values(place=Place(label="x")) == {"placeRow": None, "label": "x"}


def test_types_can_be_stored_in_another_way_wherever_they_occur() -> None:
    def to_minutes(at: datetime) -> str:
        return f"{at:%H:%M}"

    def from_minutes(text: str) -> datetime:
        return NOW.replace(hour=int(text[:2]), minute=int(text[3:]))

    minutes = Conversion(to_minutes, from_minutes)
    codec = Codec(Whole, flat={"spare": "spare_"}, conversions={datetime: minutes})
    record = whole(spare=Part(2, NOW), times=(NOW,))
    item = codec.encode(record)
    assert (item["main"], item["spare_made_at"], item["times"]) == (
        {"number": 1, "made_at": "09:30"},
        "09:30",
        ["09:30"],
    )
    assert codec.decode(item) == record


@pytest.mark.parametrize("inexact", [float, bytes, dict[int, int], list[float], object])
def test_types_that_cannot_be_stored_exactly_are_refused(inexact: type) -> None:
    @dataclass
    class Inexact:
        value: inexact  # pyright: ignore[reportInvalidTypeForm] — a parameter of the test

    with pytest.raises(TypeError, match="cannot be stored exactly"):
        Codec(Inexact).encode(Inexact(1.5))
