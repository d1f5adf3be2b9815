"""Start and stop of the engine, with real processes and real ports."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local import process, record
from infra.local.engine import Engine, State
from infra.local.environment import HOST
from infra.local.errors import EngineDied, NotInstalled, PortTaken
from infra.local.health import free_port
from infra.local.paths import Home
from infra.local.record import EngineRecord
from tests.infra_local.engines import broken_launcher, good_launcher, home_with_engine


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return home_with_engine(tmp_path)


@pytest.fixture
def engine(home: Home, tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(home, {"PATH": "/usr/bin:/bin"}, good_launcher(tmp_path))
    yield engine
    engine.stop()


@pytest.fixture
def other_process() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        yield other
        other.kill()


class TestStart:
    def test_responds_after_the_start(self, engine: Engine) -> None:
        port = free_port()
        started = engine.start(port)
        assert (started.state, started.port) == (State.RUNNING, port)
        assert started.version == "9.9.9", "the version is the lock's"

    def test_refuses_a_port_of_another_program(self, engine: Engine) -> None:
        with socket.socket() as other:
            other.bind((HOST, 0))
            other.listen()
            port = other.getsockname()[1]
            with pytest.raises(PortTaken, match=f"Port {port} is taken by another program"):
                engine.start(port)
        assert engine.status().state is State.STOPPED

    def test_names_the_engine_of_another_checkout_on_the_port(self, engine: Engine, tmp_path: Path) -> None:
        port = free_port()
        engine.start(port)
        (tmp_path / "second").mkdir()
        second = Engine(home_with_engine(tmp_path / "second"), launcher=engine.launcher)
        with pytest.raises(PortTaken, match="the engine of another checkout"):
            second.start(port)

    def test_reports_the_log_of_an_engine_that_ends_immediately(self, home: Home, tmp_path: Path) -> None:
        engine = Engine(home, {"PATH": "/usr/bin:/bin"}, broken_launcher(tmp_path))
        with pytest.raises(EngineDied, match="the state cannot be read"):
            engine.start(free_port())
        assert engine.status().state is State.STOPPED

    def test_refuses_a_missing_installation(self, tmp_path: Path) -> None:
        with pytest.raises(NotInstalled, match="make setup"):
            Engine(Home(tmp_path, tmp_path / "state")).start(free_port())


class TestStop:
    def test_ends_the_process(self, engine: Engine, home: Home) -> None:
        started = engine.start(free_port())
        assert engine.stop()
        assert process.start_mark(started.pid or 0) is None
        assert engine.status().state is State.STOPPED
        assert not home.engine_record.exists()

    def test_does_nothing_without_a_running_engine(self, engine: Engine) -> None:
        assert not engine.stop()

    def test_never_ends_another_process_with_the_same_pid(
        self, engine: Engine, home: Home, other_process: "subprocess.Popen[bytes]"
    ) -> None:
        EngineRecord(other_process.pid, "another start", 1, "9.9.9", "ainexus-x").write(home.engine_record)
        assert engine.status().state is State.DIED
        assert not engine.stop()
        assert other_process.poll() is None


class TestStatus:
    def test_detects_a_dead_process(self, engine: Engine) -> None:
        started = engine.start(free_port())
        recorded = record.read(engine.home.engine_record)
        assert recorded
        process.end_now(recorded.pid, mark=recorded.started)
        assert engine.status().state is State.DIED
        assert engine.status().port == started.port

    def test_detects_another_engine_on_the_port(self, engine: Engine, home: Home) -> None:
        engine.start(free_port())
        recorded = record.read(home.engine_record)
        assert recorded
        EngineRecord(recorded.pid, recorded.started, recorded.port, recorded.version, "ainexus-other").write(
            home.engine_record
        )
        assert engine.status().state is State.UNRESPONSIVE
        recorded.write(home.engine_record)

    def test_ignores_an_unreadable_record(self, engine: Engine, home: Home) -> None:
        home.state.mkdir(exist_ok=True)
        home.engine_record.write_text('{"pid": 1')
        assert engine.status().state is State.STOPPED
