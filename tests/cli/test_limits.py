"""Limits as options."""

import pytest

from cli.errors import CommandRefused
from cli.limits import parse_limits


class TestParseLimits:
    def test_returns_numbers_features_and_none(self) -> None:
        options = ("max_users=25", "max_projects=-1", "enabled_features=agents,linting", "max_storage_gb=")
        assert parse_limits(options) == {
            "max_users": 25,
            "max_projects": -1,
            "enabled_features": ["agents", "linting"],
            "max_storage_gb": None,
        }

    @pytest.mark.parametrize("text", ["max_users", "max_users=many", ""])
    def test_refuses_any_other_form(self, text: str) -> None:
        with pytest.raises(CommandRefused):
            parse_limits((text,))
