"""Explanations of errors."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ProfileNotFound

from cli.explanation import explain
from infra.local.errors import PortTaken


class TestExplain:
    @pytest.mark.parametrize(
        ("error", "line"),
        [
            (PortTaken("Port 4566 is taken."), "Port 4566 is taken."),
            (NoCredentialsError(), "no valid AWS credentials"),
            (ProfileNotFound(profile="work"), "AWS_PROFILE"),
            (EndpointConnectionError(endpoint_url="https://x"), "cannot be reached"),
            (ClientError({"Error": {"Code": "ExpiredToken", "Message": "m"}}, "Op"), "have expired"),
            (ClientError({"Error": {"Code": "AccessDenied", "Message": "m"}}, "Op"), "denies"),
            (ClientError({"Error": {"Code": "Odd", "Message": "m"}}, "Op"), "Op was refused: Odd: m"),
        ],
    )
    def test_is_one_line_for_an_expected_error(self, error: Exception, line: str) -> None:
        assert line in (explain(error) or "")

    def test_is_none_for_a_defect_of_this_program(self) -> None:
        assert explain(KeyError("x")) is None
