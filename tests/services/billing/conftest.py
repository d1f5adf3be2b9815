"""Fixtures of the billing tests."""

import json
from collections.abc import Callable, Generator
from typing import Any

import boto3
import pytest

from services.billing import wiring
from shared.aws.clients import own_client
from shared.storage.store import Store
from tests.tables import REGION, memory_tables

QUEUE = "ainexus-test-billing-inbox"
CACHES = (
    wiring.secrets,
    wiring.inbox,
    wiring._gateway,  # pyright: ignore[reportPrivateUsage]  # it must not outlive the test
)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Generator[Store]:
    """Yield an empty slice that the service uses too, with a secret without a key."""
    monkeypatch.setenv("ENVIRONMENT", "test")
    monkeypatch.setenv("INBOX_QUEUE_URL", f"https://sqs.{REGION}.amazonaws.com/123456789012/{QUEUE}")
    with memory_tables(CACHES):
        boto3.client("sqs", region_name=REGION).create_queue(QueueName=QUEUE)  # pyright: ignore[reportUnknownMemberType]  # stubs for few services
        own_client("secretsmanager").create_secret(Name="ainexus-test/stripe/secret", SecretString="{}")
        yield wiring.slice_store()


@pytest.fixture
def put_secret(store: Store) -> Callable[..., None]:  # noqa: ARG001 — the secret is made there
    """Return a function that sets Stripe's keys."""

    def put(**fields: Any) -> None:  # noqa: ANN401 — any JSON
        own_client("secretsmanager").put_secret_value(
            SecretId="ainexus-test/stripe/secret", SecretString=json.dumps(fields)
        )
        wiring.secrets.cache_clear()

    return put
