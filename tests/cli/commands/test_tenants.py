"""The output of commands about tenants."""

from typing import Any

from cli.commands.tenants import lines_of_budget

BUDGET: dict[str, Any] = {
    "month": "2026-11",
    "resets_at": "2026-12-01T00:00:00.000Z",
    "overage": False,
    "requests": {"limit": None, "used": 3, "reserved": 1, "left": None},
    "tokens": {"limit": 5000, "used": 120, "reserved": 700, "uncertain": 80, "left": 4100},
}


class TestBudget:
    def test_has_a_line_for_each_limit(self) -> None:
        assert [line.split() for line in lines_of_budget(BUDGET)] == [
            ["The", "limits", "of", "2026-11", "reset", "at", "2026-12-01T00:00:00.000Z."],
            ["limit", "of", "limit", "used", "reserved", "uncertain", "left"],
            ["requests", "-", "3", "1", "-", "-"],
            ["tokens", "5000", "120", "700", "80", "4100"],
        ]

    def test_names_overage(self) -> None:
        assert lines_of_budget(BUDGET | {"overage": True})[0].endswith("Runs continue above the limits.")
