"""Structured output."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from services.runs.domain.structure import DoesNotFit, structured


class TestStructured:
    @pytest.mark.parametrize("text", ["NaN", '{"n": Infinity}', '{"n": 1e400}', "[" * 100_000, "1" * 5_000])
    def test_refuses_what_python_reads_and_json_has_not(self, text: str) -> None:
        with pytest.raises(DoesNotFit):
            structured(text, {})

    def test_reads_no_file_that_a_schema_names(self, tmp_path: Path) -> None:
        schema = tmp_path / "schema.json"
        schema.write_text("true")
        with pytest.raises(DoesNotFit):
            structured("1", {"$ref": schema.as_uri()})

    def test_asks_no_server_that_a_schema_names(self) -> None:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_error(404)

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            with pytest.raises(DoesNotFit):
                structured("1", {"$ref": f"http://127.0.0.1:{server.server_address[1]}/next"})
            server.shutdown()
        assert asked == []
