"""Places that no list has handed out, for tokens with the right mark: anyone can make one, since it has no key."""

import pytest

_PLACES = (
    "",
    "abc",
    "#",
    "~",
    "-1",
    "1e3",
    "9" * 5_000,
    "\u0663",
    "\ud800",
    "\0",
    "run_",
    "agt_",
    "prj_",
    "x" * 5_000,
    "2026#" + "y" * 3_000,
    "2026-11-22T00:00:00.000Z",
    "2026-11-22T00:00:00.000Z#",
    "2026-11-22T00:00:00.000Z#" + "y" * 3_000,
)

forged_place = pytest.mark.parametrize("place", _PLACES, ids=[ascii(place[:30]) for place in _PLACES])
"""Runs a test with each of them."""
