"""The mesh's secret: set if it is empty or ours, and never overwritten if it is another's."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from infra.local.stripe_secret import store_keys
from sandbox.stripe.keys import StripeKeys

OURS = StripeKeys("sk_test_local_1", "whsec_1")


@dataclass
class FakeSecrets:
    """Stores one secret."""

    value: dict[str, Any]
    writes: int = 0

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803 — boto3's own name
        """Return the stored secret."""
        assert SecretId == "ainexus-local/stripe/secret"
        return {"SecretString": json.dumps(self.value)}

    def put_secret_value(self, *, SecretId: str, SecretString: str) -> None:  # noqa: N803 — boto3's own names
        """Store another secret."""
        assert SecretId == "ainexus-local/stripe/secret"
        self.value = json.loads(SecretString)
        self.writes += 1


def store_in(secrets: Any) -> bool:  # noqa: ANN401 — a fake of boto3's client
    return store_keys(secrets, OURS)


def test_stores_the_keys_in_an_empty_secret() -> None:
    secrets = FakeSecrets({})
    assert store_in(secrets)
    assert secrets.value == asdict(OURS)


def test_keeps_a_secret_with_the_same_keys() -> None:
    secrets = FakeSecrets(asdict(OURS))
    assert store_in(secrets)
    assert secrets.writes == 0


def test_replaces_the_keys_of_an_earlier_local_stripe() -> None:
    secrets = FakeSecrets({"api_key": "sk_test_local_0", "webhook_secret": "whsec_0"})
    assert store_in(secrets)
    assert secrets.value == asdict(OURS)


def test_keeps_the_key_of_another_stripe() -> None:
    other_keys = {"api_key": "sk_test_51abc", "webhook_secret": "whsec_theirs"}
    secrets = FakeSecrets({**other_keys})
    assert not store_in(secrets)
    assert secrets.value == other_keys
