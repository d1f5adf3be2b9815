"""Forged cursor positions. A client can compute a valid token for any position, because tokens are not signed."""

import pytest

_POSITIONS = (
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

every_forged_position = pytest.mark.parametrize("position", _POSITIONS, ids=[ascii(text[:30]) for text in _POSITIONS])
"""Run a test with each forged position."""
