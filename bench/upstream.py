"""A local provider, in its own process to separate its CPU time: `python -m bench.upstream`.

It implements Chat Completions, streamed or not, with a constant response and a constant response time.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RESPONSE_S = 0.05
WORDS = ("This", " is", " an", " answer", " of", " eight", " words", ".")
_USAGE = {"prompt_tokens": 12, "completion_tokens": len(WORDS), "total_tokens": 12 + len(WORDS)}


class UpstreamHandler(BaseHTTPRequestHandler):
    """The requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Send the response, streamed if requested, after the provider's response time."""
        request: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(RESPONSE_S)
        kind, body = ("text/event-stream", _streamed()) if request.get("stream") else ("application/json", _complete())
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the name in the base class
        """Log nothing."""


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "m"}


def _complete() -> bytes:
    message = {"role": "assistant", "content": "".join(WORDS)}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return json.dumps({**_head("chat.completion"), "choices": choices, "usage": _USAGE}).encode()


def _streamed() -> bytes:
    deltas: list[dict[str, Any]] = [{"index": 0, "delta": {"content": word}, "finish_reason": None} for word in WORDS]
    deltas.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    chunks: list[dict[str, Any]] = [{"choices": [delta]} for delta in deltas]
    chunks.append({"choices": [], "usage": _USAGE})
    lines = [json.dumps({**_head("chat.completion.chunk"), **chunk}) for chunk in chunks]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), UpstreamHandler).serve_forever()
