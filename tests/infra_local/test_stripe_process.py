"""Starting and stopping, with a real process and a real port."""

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from infra.local import process, record
from infra.local.environment import HOST
from infra.local.health import is_free
from infra.local.paths import Home
from infra.local.stripe.process import StripeProcess, address


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, tmp_path / "state")


@pytest.fixture
def running(home: Home) -> Iterator[StripeProcess]:
    made = StripeProcess(home)
    yield made
    made.stop()


def engine_port() -> int:
    """A free port before a free one, below those that the system gives to outgoing connections."""
    start = 21_000 + os.getpid() % 5_000
    return next(port for port in range(start, 32_000) if is_free(port) and is_free(port + 1))


def client_of(running: StripeProcess) -> stripe.StripeClient:
    assert running.endpoint
    return stripe.StripeClient(running.keys.api_key, base_addresses={"api": running.endpoint})


class TestStart:
    def test_takes_the_port_after_the_engine(self, running: StripeProcess) -> None:
        port = engine_port()
        assert running.start(engine_port=port)
        assert running.endpoint == address(port + 1)

    def test_takes_another_one_when_that_is_taken(self, running: StripeProcess) -> None:
        with socket.socket() as other:
            other.bind((HOST, 0))
            other.listen()
            taken = other.getsockname()[1]
            running.start(engine_port=taken - 1)
            assert running.endpoint not in {None, address(taken)}

    def test_leaves_alone_what_runs_already(self, running: StripeProcess, home: Home) -> None:
        port = engine_port()
        running.start(engine_port=port)
        before = record.read(home.stripe_record)
        assert not running.start(engine_port=port)
        assert record.read(home.stripe_record) == before

    def test_starts_anew_what_has_died(self, running: StripeProcess, home: Home) -> None:
        port = engine_port()
        running.start(engine_port=port)
        noted = record.read(home.stripe_record)
        assert noted
        process.end_now(noted.pid, mark=noted.started)
        assert running.endpoint is None
        assert running.start(engine_port=port)
        assert running.endpoint == address(port + 1)


class TestStop:
    def test_keeps_what_was_done(self, running: StripeProcess) -> None:
        port = engine_port()
        running.start(engine_port=port)
        customer = client_of(running).v1.customers.create({"name": "kept"})
        assert running.stop()
        assert running.endpoint is None
        running.start(engine_port=port)
        assert client_of(running).v1.customers.retrieve(customer.id).name == "kept"

    def test_a_kill_loses_nothing_that_was_answered(self, running: StripeProcess, home: Home) -> None:
        port = engine_port()
        running.start(engine_port=port)
        customer = client_of(running).v1.customers.create({"name": "kept"})
        noted = record.read(home.stripe_record)
        assert noted
        process.end_now(noted.pid, mark=noted.started)
        running.start(engine_port=port)
        assert client_of(running).v1.customers.retrieve(customer.id).name == "kept"

    def test_has_nothing_to_do_when_it_does_not_run(self, running: StripeProcess) -> None:
        assert not running.stop()


class TestKeys:
    def test_are_made_once_and_are_their_owners_alone(self, running: StripeProcess, home: Home) -> None:
        assert running.keys == running.keys
        path = home.stripe_state / "keys.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(path.read_text())["api_key"].startswith("sk_test_local_")

    def test_others_are_refused(self, running: StripeProcess) -> None:
        running.start(engine_port=engine_port())
        assert running.endpoint
        stranger = stripe.StripeClient("sk_test_other", base_addresses={"api": running.endpoint})
        with pytest.raises(stripe.AuthenticationError):
            stranger.v1.customers.list()
