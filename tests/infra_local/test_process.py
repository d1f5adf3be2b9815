"""Whether a process still is the one that was started."""

import os
import subprocess
import sys

from infra.local import process


class TestStartMark:
    def test_stays_the_same(self) -> None:
        assert process.start_mark(os.getpid()) == process.start_mark(os.getpid()) is not None

    def test_is_none_for_a_process_that_has_ended(self) -> None:
        with subprocess.Popen([sys.executable, "-c", ""]) as short:
            # Not waited for yet: a process that only waits to be taken note of has ended, too.
            assert process.wait_until_ended(short.pid, mark=process.start_mark(short.pid) or "", patience_s=10)
        assert process.start_mark(short.pid) is None

    def test_differs_between_processes(self) -> None:
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
            mark = process.start_mark(other.pid)
            assert mark != process.start_mark(1)
            other.kill()


class TestEnd:
    def test_leaves_a_process_with_another_mark_alone(self) -> None:
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
            assert process.end(other.pid, mark="another", patience_s=1)
            assert other.poll() is None
            other.kill()
