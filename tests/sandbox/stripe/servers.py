"""A local Stripe of a test's own, with the SDK pointed at it and every word on the wire judged."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import stripe

from infra.local.stripe.api import Answer, Request
from infra.local.stripe.keys import Keys
from infra.local.stripe.server import LocalStripe
from tests.infra_local.stripe.description import PLACES, description

KEYS = Keys("sk_test_local_of_a_test", "whsec_of_a_test")
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Judge:
    """Collects what is wrong with what passes."""

    complaints: list[str] = field(default_factory=list[str])

    def watch(self, request: Request, answer: Answer) -> None:
        """Judge one exchange."""
        judge = description()
        if judge:
            self.complaints += judge.complaints(request, answer)

    def judge_events(self, events: list[dict[str, Any]]) -> None:
        """Judge all events."""
        judge = description()
        for event in events if judge else []:
            assert judge
            self.complaints += judge.event_complaints(event)


@dataclass
class Running:
    """A running Stripe, as a test sees it."""

    server: LocalStripe
    client: stripe.StripeClient

    @property
    def url(self) -> str:
        """Where it is."""
        return self.server.url

    def control(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A control: with a body a POST, without one a GET."""
        request = urllib.request.Request(  # noqa: S310 — our own server
            f"{self.url}/_local/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with _DIRECT.open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)

    def events(self) -> list[dict[str, Any]]:
        """All events, oldest first."""
        found: list[dict[str, Any]] = self.control("events")["events"]
        return found

    def types(self) -> list[str]:
        """The types of all events, oldest first."""
        return [event["type"] for event in self.events()]


def refuse_without_description() -> None:
    """Fail in CI, skip elsewhere, where Stripe's description is missing."""
    if description() is None:
        said = f"Stripe's description is at none of {', '.join(str(path) for path in PLACES)}"
        if os.environ.get("AINEXUS_CI"):
            pytest.fail(said)
        pytest.skip(f"{said}; `make stripe-description` fetches it")


@contextmanager
def running(path: Path | None = None, *, max_network_retries: int = 0) -> Generator[Running]:
    """A Stripe that judges all that passes, and fails the test at its end when something was wrong."""
    judge = Judge()
    server = LocalStripe(KEYS, path=path, watcher=judge.watch, stop_patience_s=0.02).start()
    client = stripe.StripeClient(
        KEYS.api_key, base_addresses={"api": server.url}, max_network_retries=max_network_retries
    )
    made = Running(server, client)
    try:
        yield made
        judge.judge_events(made.events())
        assert not judge.complaints, "\n".join(judge.complaints[:20])
    finally:
        server.stop()
