"""Start and stop of the local Stripe, with a real process and a real port."""

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
from infra.local.stripe_process import StripeProcess, address


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, tmp_path / "state")


@pytest.fixture
def running(home: Home) -> Iterator[StripeProcess]:
    stripe_ = StripeProcess(home)
    yield stripe_
    stripe_.stop()


def engine_port() -> int:
    """Return a free port before another free one, below those of outgoing connections."""
    start = 21_000 + os.getpid() % 5_000
    return next(port for port in range(start, 32_000) if is_free(port) and is_free(port + 1))


def client_of(running: StripeProcess) -> stripe.StripeClient:
    assert running.endpoint
    return stripe.StripeClient(running.keys.api_key, base_addresses={"api": running.endpoint})


class TestStart:
    def test_uses_the_port_after_the_engine(self, running: StripeProcess) -> None:
        port = engine_port()
        assert running.start(engine_port=port)
        assert running.endpoint == address(port + 1)

    def test_uses_another_port_if_that_is_in_use(self, running: StripeProcess) -> None:
        with socket.socket() as other:
            other.bind((HOST, 0))
            other.listen()
            used_port = other.getsockname()[1]
            running.start(engine_port=used_port - 1)
            assert running.endpoint not in {None, address(used_port)}

    def test_keeps_a_running_process(self, running: StripeProcess, home: Home) -> None:
        port = engine_port()
        running.start(engine_port=port)
        before = record.read(home.stripe_record)
        assert not running.start(engine_port=port)
        assert record.read(home.stripe_record) == before

    def test_restarts_a_dead_process(self, running: StripeProcess, home: Home) -> None:
        port = engine_port()
        running.start(engine_port=port)
        recorded = record.read(home.stripe_record)
        assert recorded
        process.end_now(recorded.pid, mark=recorded.started)
        assert running.endpoint is None
        assert running.start(engine_port=port)
        assert running.endpoint == address(port + 1)


class TestStop:
    def test_keeps_all_data(self, running: StripeProcess) -> None:
        port = engine_port()
        running.start(engine_port=port)
        customer = client_of(running).v1.customers.create({"name": "kept"})
        assert running.stop()
        assert running.endpoint is None
        running.start(engine_port=port)
        assert client_of(running).v1.customers.retrieve(customer.id).name == "kept"

    def test_a_kill_loses_no_acknowledged_request(self, running: StripeProcess, home: Home) -> None:
        port = engine_port()
        running.start(engine_port=port)
        customer = client_of(running).v1.customers.create({"name": "kept"})
        recorded = record.read(home.stripe_record)
        assert recorded
        process.end_now(recorded.pid, mark=recorded.started)
        running.start(engine_port=port)
        assert client_of(running).v1.customers.retrieve(customer.id).name == "kept"

    def test_does_nothing_without_a_running_process(self, running: StripeProcess) -> None:
        assert not running.stop()


class TestKeys:
    def test_are_created_once_and_readable_by_their_owner_only(self, running: StripeProcess, home: Home) -> None:
        assert running.keys == running.keys
        path = home.stripe_state / "keys.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(path.read_text())["api_key"].startswith("sk_test_local_")

    def test_refuses_other_keys(self, running: StripeProcess) -> None:
        running.start(engine_port=engine_port())
        assert running.endpoint
        client = stripe.StripeClient("sk_test_other", base_addresses={"api": running.endpoint})
        with pytest.raises(stripe.AuthenticationError):
            client.v1.customers.list()
