"""Requests as they are sent, and as they would be typed."""

import json
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from cli.api import Answer, Request, curl_of, send


class _Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        said = {"authorization": self.headers["Authorization"], "prefer": self.headers["Prefer"]}
        self._answer(201, {**said, "body": json.loads(body)})

    def do_GET(self) -> None:
        self._answer(404, {"error": "NotFound"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 — http.server's own names
        pass

    def _answer(self, status: int, body: object) -> None:
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
        answer = send(Request("POST", url, {"a": 1}, {"Prefer": "wait=25"}, token="t"))
        assert (answer.status, answer.body) == (
            201,
            {"authorization": "Bearer t", "prefer": "wait=25", "body": {"a": 1}},
        )

    def test_gives_back_an_error_as_an_answer(self, url: str) -> None:
        answer = send(Request("GET", url))
        assert (answer.status, answer.body) == (404, {"error": "NotFound"})


class TestAnswer:
    def test_says_why_it_is_no_success(self) -> None:
        body = {"error": "ValidationFailed", "message": "Not valid.", "details": [{"field": "name", "message": "none"}]}
        assert Answer(422, body).reason == "ValidationFailed: Not valid. (name: none)"

    def test_says_what_it_can_of_an_answer_that_is_not_ours(self) -> None:
        assert Answer(502, "Bad Gateway").reason == "502 Bad Gateway"


class TestCurlOf:
    def test_is_one_command_for_a_shell(self) -> None:
        request = Request("POST", "http://a/v1?x=1&y=2", {"message": "it's"}, {"Prefer": "wait=25"}, token="secret")
        words = shlex.split(curl_of(request).replace("\\\n", " "))
        assert words[:4] == ["curl", "-s", "-X", "POST"]
        assert json.loads(words[words.index("-d") + 1]) == {"message": "it's"}
        assert "Prefer: wait=25" in words
        assert words[-1] == "http://a/v1?x=1&y=2"

    def test_never_shows_the_token(self) -> None:
        assert "secret" not in curl_of(Request("GET", "http://a", token="secret"))

    def test_is_short_where_it_can_be(self) -> None:
        assert curl_of(Request("GET", "http://a/v1/health")) == "curl -s http://a/v1/health"
