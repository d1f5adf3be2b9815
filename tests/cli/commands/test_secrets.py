"""Keys from standard input."""

import io

import pytest

from cli.commands.secrets import KINDS, read_fields
from cli.errors import CommandRefused


class TestReadFields:
    def test_reads_one_line_for_each_field(self) -> None:
        _, fields = KINDS["stripe"]
        values = read_fields(fields, io.StringIO("sk_test\n\nwhsec\n"))
        assert values == {"api_key": "sk_test", "webhook_secret": "whsec"}

    @pytest.mark.parametrize("text", ["", "sk_test\n", "a\nb\nc\n"])
    def test_refuses_more_or_fewer_lines(self, text: str) -> None:
        with pytest.raises(CommandRefused, match="api_key, webhook_secret"):
            read_fields(KINDS["stripe"][1], io.StringIO(text))
