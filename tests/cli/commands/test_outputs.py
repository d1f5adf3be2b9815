"""What clients of the mesh must know."""

import pytest

from cli.commands.outputs import one_of, typescript
from cli.errors import Refused

_OUTPUTS = {"UserPoolId": "us-east-2_1", "UserPoolClientId": "c", "ApiEndpoint": "http://e/local", "Other": "o"}


class TestTypescript:
    def test_is_the_front_ends_configuration(self) -> None:
        assert typescript(_OUTPUTS, region="us-east-2").splitlines() == [
            "export const awsConfig = {",
            "  region: 'us-east-2',",
            "  userPoolId: 'us-east-2_1',",
            "  userPoolClientId: 'c',",
            "  apiEndpoint: 'http://e/local',",
            "};",
        ]


class TestOneOf:
    def test_is_the_value(self) -> None:
        assert one_of(_OUTPUTS, "UserPoolId") == "us-east-2_1"

    def test_says_which_there_are(self) -> None:
        with pytest.raises(Refused, match="UserPoolClientId"):
            one_of(_OUTPUTS, "Nothing")
