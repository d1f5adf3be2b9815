"""A hostile local model server with the Chat Completions API, whose output depends on the last message."""

import json
import re
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_DIRECTIVE = re.compile(r"\{\{(?P<name>[a-z-]+)(?: (?P<number>\d+))?\}\}")
_USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
_PIECE = 64 * 1024


def _deep(depth: int) -> Iterator[str]:
    yield '{"a":' * depth + "1" + "}" * depth


def _branching(depth: int) -> Iterator[str]:
    """Yield an instance for which validation of a recursive schema with two alternatives takes exponential time."""
    yield '{"n":' * depth + '"no"' + "}" * depth


def _large(count: int) -> Iterator[str]:
    for _ in range(count // _PIECE):
        yield "x" * _PIECE


def _digits(count: int) -> Iterator[str]:
    yield '{"n":' + "9" * count + "}"


ANSWERS: dict[str, Callable[[int], Iterator[str]]] = {
    "deep": _deep,
    "branching": _branching,
    "large": _large,
    "digits": _digits,
    "nul": lambda _: iter(['{"a":"\\u0000"}']),
    "half": lambda _: iter(['{"a":"\\ud800"}']),
    "bare-half": lambda _: iter(["text \ud83d"]),
    "endless": lambda _: iter(lambda: "y" * 100, None),
}
"""The output text by directive, for example `{{deep 200}}`."""

_TOOL_CALLS: dict[str, list[dict[str, Any]]] = {
    "half-arguments": [{"index": 0, "id": "c1", "function": {"name": "t", "arguments": '{"a":"\\ud800"}'}}],
    "mixed-indexes": [
        {"index": 0, "id": "c1", "function": {"name": "t", "arguments": "{}"}},
        {"id": "c2", "function": {"name": "t", "arguments": "{}"}},
    ],
    "many-calls": [
        {"index": number, "id": f"c{number}", "function": {"name": "t", "arguments": json.dumps({"x": "x" * 500})}}
        for number in range(200)
    ],
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = [message.get("content") for message in body["messages"] if message["role"] == "user"]
        found = _DIRECTIVE.search(str(texts[-1]))
        name, number = (found["name"], int(found["number"] or 0)) if found else ("", 0)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            for frame in _frames(name, number):
                self.wfile.write(b"data: " + json.dumps(frame).encode() + b"\n\n")
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — as the base class names it
        """Suppress the log."""


def _frames(name: str, number: int) -> Iterator[dict[str, Any]]:
    yield _frame({"role": "assistant", "content": ""})
    if name in _TOOL_CALLS:
        yield _frame({"tool_calls": _TOOL_CALLS[name]})
    for text in ANSWERS.get(name, lambda _: iter(["fine"]))(number):
        yield _frame({"content": text})
    yield _frame({}, finish_reason="tool_calls" if name in _TOOL_CALLS else "stop")
    yield {**_frame({}), "choices": [], "usage": _USAGE}


def _frame(delta: dict[str, Any], *, finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "hostile", "choices": [choice]}


@contextmanager
def hostile_server() -> Generator[str]:
    """Serve on a free port of 127.0.0.1 and yield the `base_url`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
