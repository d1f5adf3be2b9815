"""A local Stripe for a test, with the SDK connected to it and all traffic validated."""

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

from sandbox.stripe.api import StripeRequest, StripeResponse
from sandbox.stripe.keys import StripeKeys
from sandbox.stripe.server import LocalStripe
from tests.sandbox.stripe.description import PACKAGE, description

KEYS = StripeKeys("sk_test_local_of_a_test", "whsec_of_a_test")
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class TrafficValidator:
    """Collects the errors in all traffic."""

    complaints: list[str] = field(default_factory=list[str])

    def validate(self, request: StripeRequest, response: StripeResponse) -> None:
        """Validate one exchange."""
        schema = description()
        if schema:
            self.complaints += schema.complaints(request, response)

    def validate_events(self, events: list[dict[str, Any]]) -> None:
        """Validate all events."""
        schema = description()
        for event in events if schema else []:
            assert schema
            self.complaints += schema.event_complaints(event)


@dataclass
class Running:
    """A running Stripe."""

    server: LocalStripe
    client: stripe.StripeClient

    @property
    def url(self) -> str:
        """Return its address."""
        return self.server.url

    def control(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call a control: POST with a body, else GET."""
        request = urllib.request.Request(  # noqa: S310 — our own server
            f"{self.url}/_local/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with _DIRECT.open(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)

    def events(self) -> list[dict[str, Any]]:
        """Return all events, oldest first."""
        found: list[dict[str, Any]] = self.control("events")["events"]
        return found

    def types(self) -> list[str]:
        """Return the types of all events, oldest first."""
        return [event["type"] for event in self.events()]


def refuse_without_description() -> None:
    """Fail in CI and skip elsewhere if Stripe's description is missing."""
    if description() is None:
        problem = f"Stripe's API description is missing: there is no {PACKAGE}"
        if os.environ.get("AINEXUS_CI"):
            pytest.fail(problem)
        pytest.skip(f"{problem}; `make stripe-description` downloads it")


@contextmanager
def running(path: Path | None = None, *, max_network_retries: int = 0) -> Generator[Running]:
    """Run a Stripe that validates all traffic, and fail the test at its end if there were errors."""
    validator = TrafficValidator()
    server = LocalStripe(KEYS, path=path, watcher=validator.validate, stop_patience_s=0.02).start()
    client = stripe.StripeClient(
        KEYS.api_key, base_addresses={"api": server.url}, max_network_retries=max_network_retries
    )
    running_stripe = Running(server, client)
    try:
        yield running_stripe
        validator.validate_events(running_stripe.events())
        assert not validator.complaints, "\n".join(validator.complaints[:20])
    finally:
        server.stop()
