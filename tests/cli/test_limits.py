"""The limits that a command line names."""

import pytest

from cli.commands.tenants import limits_of
from cli.errors import Refused


class TestLimitsOf:
    def test_are_numbers_features_or_nothing(self) -> None:
        given = ("max_users=25", "max_projects=-1", "enabled_features=agents,linting", "max_storage_gb=")
        assert limits_of(given) == {
            "max_users": 25,
            "max_projects": -1,
            "enabled_features": ["agents", "linting"],
            "max_storage_gb": None,
        }

    @pytest.mark.parametrize("text", ["max_users", "max_users=many", ""])
    def test_anything_else_is_said(self, text: str) -> None:
        with pytest.raises(Refused):
            limits_of((text,))
