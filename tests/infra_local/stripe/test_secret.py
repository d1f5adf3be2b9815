"""The mesh's secret: ours when it is empty or ours, and never over another's."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from infra.local.stripe.keys import Keys
from infra.local.stripe.secret import give

OURS = Keys("sk_test_local_1", "whsec_1")


@dataclass
class FakeSecrets:
    """Holds one secret."""

    held: dict[str, Any]
    put: int = 0

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803 — boto3's own name
        """What it holds."""
        assert SecretId == "ainexus-local/stripe/secret"
        return {"SecretString": json.dumps(self.held)}

    def put_secret_value(self, *, SecretId: str, SecretString: str) -> None:  # noqa: N803 — boto3's own names
        """Hold another one."""
        assert SecretId == "ainexus-local/stripe/secret"
        self.held = json.loads(SecretString)
        self.put += 1


def given_to(secrets: Any) -> bool:  # noqa: ANN401 — stands for boto3's client
    return give(secrets, OURS)


def test_an_empty_one_takes_the_keys() -> None:
    secrets = FakeSecrets({})
    assert given_to(secrets)
    assert secrets.held == asdict(OURS)


def test_one_that_has_them_is_left_alone() -> None:
    secrets = FakeSecrets(asdict(OURS))
    assert given_to(secrets)
    assert secrets.put == 0


def test_one_of_an_earlier_local_stripe_is_replaced() -> None:
    secrets = FakeSecrets({"api_key": "sk_test_local_0", "webhook_secret": "whsec_0"})
    assert given_to(secrets)
    assert secrets.held == asdict(OURS)


def test_the_key_of_another_stripe_stays() -> None:
    theirs = {"api_key": "sk_test_51abc", "webhook_secret": "whsec_theirs"}
    secrets = FakeSecrets({**theirs})
    assert not given_to(secrets)
    assert secrets.held == theirs
