"""Keys from standard input."""

import io

import pytest

from cli.commands.secrets import KINDS, read_fields
from cli.errors import Refused


class TestReadFields:
    def test_takes_one_line_for_each_field(self) -> None:
        _, fields = KINDS["stripe"]
        given = read_fields(fields, io.StringIO("sk_test\n\nwhsec\n"))
        assert given == {"api_key": "sk_test", "webhook_secret": "whsec"}

    @pytest.mark.parametrize("text", ["", "sk_test\n", "a\nb\nc\n"])
    def test_refuses_more_or_fewer(self, text: str) -> None:
        with pytest.raises(Refused, match="api_key, webhook_secret"):
            read_fields(KINDS["stripe"][1], io.StringIO(text))
