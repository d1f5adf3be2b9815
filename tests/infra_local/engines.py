"""A program that starts and stops like the engine."""

import sys
from pathlib import Path

from infra.local.paths import Home

_GOOD = """
import json, os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"version": "1.0", "edition": os.environ["MINISTACK_EDITION"]}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
HTTPServer(("127.0.0.1", int(os.environ["GATEWAY_PORT"])), Answer).serve_forever()
"""

_BROKEN = """
import sys
sys.exit("the state cannot be read")
"""


def home_with_engine(root: Path) -> Home:
    """Create a checkout in which this interpreter replaces the engine's."""
    home = Home(root=root, state=root / ".ainexus")
    home.engine_python.parent.mkdir(parents=True)
    # A script and not a link: an interpreter finds its own modules by where it lies.
    home.engine_python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    home.engine_python.chmod(0o755)
    home.engine_lock.parent.mkdir()
    home.engine_lock.write_text("boto3==1.0\nministack==9.9.9 \\\n    --hash=sha256:0\n")
    return home


def good_launcher(folder: Path) -> Path:
    """Return an engine that responds."""
    return _script(folder, _GOOD)


def broken_launcher(folder: Path) -> Path:
    """Return an engine that ends at once."""
    return _script(folder, _BROKEN)


def _script(folder: Path, text: str) -> Path:
    path = folder / "launcher.py"
    path.write_text(text)
    return path
