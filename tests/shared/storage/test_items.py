"""Conversion of items to and from the wire format."""

import math
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.storage.items import Key, Reader, Value, from_wire, item_from_wire, item_to_wire, key_of, to_wire

SCALARS = st.none() | st.booleans() | st.integers(-(10**37), 10**37) | st.text()
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(min_size=1), inner), max_leaves=20
)
ITEMS = st.dictionaries(st.text(min_size=1), VALUES)


class TestWire:
    @given(ITEMS)
    def test_round_trips(self, item: dict[str, Value]) -> None:
        assert item_from_wire(item_to_wire(item)) == item

    def test_returns_a_tuple_as_a_list(self) -> None:
        assert from_wire(to_wire(("a", 1))) == ["a", 1]

    def test_separates_booleans_from_numbers(self) -> None:
        assert to_wire(True) == {"BOOL": True}  # noqa: FBT003 — the value is the subject
        assert to_wire(1) == {"N": "1"}

    @pytest.mark.parametrize(
        "value", [0.5, math.nan, Decimal(1), {"a"}, object()], ids=lambda value: type(value).__name__
    )
    def test_refuses_values_that_cannot_be_stored_exactly(self, value: object) -> None:
        with pytest.raises(TypeError, match="cannot be stored exactly"):
            to_wire(cast("Value", value))

    def test_refuses_them_at_any_depth(self) -> None:
        with pytest.raises(TypeError, match="float"):
            item_to_wire(cast("dict[str, Value]", {"a": [{"b": 0.1}]}))


class TestKey:
    KEY = Key("TENANT#acme#RUNS", "RUN#1")

    def test_is_read_from_its_item(self) -> None:
        assert key_of({**self.KEY.attributes, "status": "queued"}) == self.KEY

    def test_is_converted_to_the_wire_format(self) -> None:
        assert self.KEY.wire == item_to_wire(self.KEY.attributes)


class TestReader:
    READER = Reader({"t": "x", "n": 5, "f": True, "l": ["a"], "m": {"k": 1}, "ms": [{"t": "y"}], "none": None})

    def test_returns_existing_attributes(self) -> None:
        reader = self.READER
        assert (reader.text("t"), reader.integer("n"), reader.flag("f"), reader.texts("l")) == ("x", 5, True, ("a",))
        assert reader.integers("m") == {"k": 1}
        assert reader.map("m").integer("k") == 1
        assert [inner.text("t") for inner in reader.maps("ms")] == ["y"]

    @pytest.mark.parametrize("name", ["missing", "none"])
    def test_returns_none_or_empty_for_missing_attributes(self, name: str) -> None:
        reader = self.READER
        assert (reader.optional_text(name), reader.optional_integer(name), reader.flag(name)) == (None, None, False)
        assert (reader.texts(name), reader.maps(name), reader.integers(name)) == ((), (), {})

    def test_raises_for_a_missing_required_attribute(self) -> None:
        with pytest.raises(KeyError):
            self.READER.text("missing")
