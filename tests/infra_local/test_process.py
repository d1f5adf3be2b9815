"""Recognition of a process that was started earlier."""

import os
import subprocess
import sys

from infra.local import process
from infra.local.health import is_free

_SERVER = """
import socket, threading, time
listening = socket.create_server(("127.0.0.1", 0))
memory = bytearray(100_000_000)
for _ in range(50):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print(listening.getsockname()[1], flush=True)
time.sleep(60)
"""
"""Start a process that takes a moment to end: it frees much memory, and its first thread ends before the others."""


class TestStartMark:
    def test_stays_the_same(self) -> None:
        assert process.start_mark(os.getpid()) == process.start_mark(os.getpid()) is not None

    def test_is_none_for_a_process_that_has_ended(self) -> None:
        with subprocess.Popen([sys.executable, "-c", ""]) as short:
            # Not waited for yet: a process that only waits to be taken note of has ended, too.
            assert process.wait_until_ended(short.pid, mark=process.start_mark(short.pid) or "", timeout_s=10)
        assert process.start_mark(short.pid) is None

    def test_differs_between_processes(self) -> None:
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
            mark = process.start_mark(other.pid)
            assert mark != process.start_mark(1)
            other.kill()


class TestEnd:
    def test_leaves_a_process_with_another_mark_alone(self) -> None:
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
            assert process.end(other.pid, mark="another", timeout_s=1)
            assert other.poll() is None
            other.kill()


class TestEndNow:
    def test_waits_until_the_port_is_free_again(self) -> None:
        for _ in range(5):
            with subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 — our own text
                assert server.stdout
                port = int(server.stdout.readline())
                assert not is_free(port)
                assert process.end_now(server.pid, mark=process.start_mark(server.pid) or "")
                assert is_free(port)
