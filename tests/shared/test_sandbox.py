"""Work on untrusted input in a child process with limits."""

import json
import threading
from collections.abc import Generator

import pytest

from shared.sandbox import LimitExceeded, ProcessLimits, Sandbox
from tests.shared import sandbox_actions as sandbox_actions

LIMITS = ProcessLimits(cpu_s=0.5, memory_bytes=128 * 1024 * 1024, wall_s=30)


@pytest.fixture
def sandbox() -> Generator[Sandbox]:
    running = Sandbox(sandbox_actions.__name__, LIMITS)
    yield running
    running.close()


class TestCall:
    def test_returns_the_response(self, sandbox: Sandbox) -> None:
        assert [sandbox.call(request) for request in (b"one", b"", b"x" * 2_000_000)] == [b"one", b"", b"x" * 2_000_000]

    @pytest.mark.parametrize("request_", [b"spin", b"fill", b"raise", b"exit"])
    def test_raises_only_for_the_request_that_exceeds_a_limit(self, sandbox: Sandbox, request_: bytes) -> None:
        with pytest.raises(LimitExceeded):
            sandbox.call(request_)
        assert sandbox.call(b"next") == b"next"

    def test_raises_at_the_limit_of_wall_time(self) -> None:
        sandbox = Sandbox(
            sandbox_actions.__name__, ProcessLimits(cpu_s=0.5, memory_bytes=LIMITS.memory_bytes, wall_s=0.01)
        )
        with pytest.raises(LimitExceeded):
            sandbox.call(b"sleep")

    def test_hides_environment_variables(self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        assert set(json.loads(sandbox.call(b"environment"))) <= {"PYTHONPATH", "LD_LIBRARY_PATH", "LC_CTYPE"}

    def test_returns_each_thread_its_own_response(self, sandbox: Sandbox) -> None:
        responses: dict[int, bytes] = {}

        def call(number: int) -> None:
            responses[number] = sandbox.call(str(number).encode())

        threads = [threading.Thread(target=call, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert responses == {number: str(number).encode() for number in range(10)}

    def test_restarts_after_close(self, sandbox: Sandbox) -> None:
        sandbox.call(b"one")
        sandbox.close()
        assert sandbox.call(b"two") == b"two"
