"""A provider on this machine, in a process of its own so that its CPU is nobody else's: `python -m bench.upstream`.

It speaks Chat Completions, whole or streamed, the same answer to all, and takes the same time for it.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TAKES_S = 0.05
WORDS = ("This", " is", " an", " answer", " of", " eight", " words", ".")
_USAGE = {"prompt_tokens": 12, "completion_tokens": len(WORDS), "total_tokens": 12 + len(WORDS)}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer as it was asked, after the provider's time."""
        asked: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(TAKES_S)
        kind, body = ("text/event-stream", _streamed()) if asked.get("stream") else ("application/json", _whole())
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — as the base class has it
        """Nothing is said."""


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "m"}


def _whole() -> bytes:
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
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
