"""What the tests of the local Stripe share."""

from collections.abc import Iterator

import pytest

from tests.infra_local.stripe.servers import Running, refuse_without_description, running


@pytest.fixture
def stripe_() -> Iterator[Running]:
    """A fresh Stripe."""
    refuse_without_description()
    with running() as made:
        yield made
