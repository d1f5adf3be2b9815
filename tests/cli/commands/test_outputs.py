"""Outputs of the stacks."""

import pytest

from cli.commands.outputs import find_output, format_typescript
from cli.errors import CommandRefused

_OUTPUTS = {"UserPoolId": "us-east-2_1", "UserPoolClientId": "c", "ApiEndpoint": "http://e/local", "Other": "o"}


class TestFormatTypescript:
    def test_is_the_configuration_of_a_front_end(self) -> None:
        assert format_typescript(_OUTPUTS, region="us-east-2").splitlines() == [
            "export const awsConfig = {",
            "  region: 'us-east-2',",
            "  userPoolId: 'us-east-2_1',",
            "  userPoolClientId: 'c',",
            "  apiEndpoint: 'http://e/local',",
            "};",
        ]


class TestFindOutput:
    def test_is_the_value(self) -> None:
        assert find_output(_OUTPUTS, "UserPoolId") == "us-east-2_1"

    def test_names_the_outputs_if_there_is_none_of_the_name(self) -> None:
        with pytest.raises(CommandRefused, match="UserPoolClientId"):
            find_output(_OUTPUTS, "Nothing")
