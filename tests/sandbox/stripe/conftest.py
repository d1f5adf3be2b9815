"""Fixtures of the local Stripe's tests."""

from collections.abc import Iterator

import pytest

from tests.sandbox.stripe.servers import Running, refuse_without_description, running


@pytest.fixture
def stripe_() -> Iterator[Running]:
    """Start a new Stripe."""
    refuse_without_description()
    with running() as server:
        yield server
