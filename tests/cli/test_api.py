"""Requests over HTTP and as curl commands."""

import json
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from cli.api import ApiRequest, ApiResponse, format_curl, send


class _Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {"authorization": self.headers["Authorization"], "prefer": self.headers["Prefer"]}
        self._respond(201, {**headers, "body": json.loads(body)})

    def do_GET(self) -> None:
        self._respond(404, {"error": "NotFound"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 — http.server's own names
        pass

    def _respond(self, status: int, body: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Echo) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/x"
        server.shutdown()
        serving.join()


class TestSend:
    def test_sends_the_token_the_headers_and_the_body(self, url: str) -> None:
        response = send(ApiRequest("POST", url, {"a": 1}, {"Prefer": "wait=25"}, token="t"))
        assert (response.status, response.body) == (
            201,
            {"authorization": "Bearer t", "prefer": "wait=25", "body": {"a": 1}},
        )

    def test_returns_an_error_response(self, url: str) -> None:
        response = send(ApiRequest("GET", url))
        assert (response.status, response.body) == (404, {"error": "NotFound"})


class TestApiResponse:
    def test_has_the_error_as_its_reason(self) -> None:
        body = {"error": "ValidationFailed", "message": "Not valid.", "details": [{"field": "name", "message": "none"}]}
        assert ApiResponse(422, body).reason == "ValidationFailed: Not valid. (name: none)"

    def test_has_status_and_body_as_its_reason_if_they_are_of_another_server(self) -> None:
        assert ApiResponse(502, "Bad Gateway").reason == "502 Bad Gateway"


class TestFormatCurl:
    def test_is_one_shell_command(self) -> None:
        request = ApiRequest("POST", "http://a/v1?x=1&y=2", {"message": "it's"}, {"Prefer": "wait=25"}, token="secret")
        words = shlex.split(format_curl(request).replace("\\\n", " "))
        assert words[:4] == ["curl", "-s", "-X", "POST"]
        assert json.loads(words[words.index("-d") + 1]) == {"message": "it's"}
        assert "Prefer: wait=25" in words
        assert words[-1] == "http://a/v1?x=1&y=2"

    def test_never_shows_the_token(self) -> None:
        assert "secret" not in format_curl(ApiRequest("GET", "http://a", token="secret"))

    def test_is_short_for_a_plain_get(self) -> None:
        assert format_curl(ApiRequest("GET", "http://a/v1/health")) == "curl -s http://a/v1/health"
