"""The mesh's secret with the keys of its Stripe."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from infra.local.environment import ACCOUNT
from infra.names import Names
from sandbox.stripe.keys import PREFIX, StripeKeys

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient


def store_keys(manager: "SecretsManagerClient", keys: StripeKeys) -> bool:
    """Store the keys in the mesh's secret, and return False if it contains those of another Stripe, which stay."""
    name = Names("local", ACCOUNT).secret("stripe/secret")
    stored: dict[str, Any] = json.loads(manager.get_secret_value(SecretId=name)["SecretString"])
    if stored and not str(stored.get("api_key", "")).startswith(PREFIX):
        return False
    if stored != asdict(keys):
        manager.put_secret_value(SecretId=name, SecretString=json.dumps(asdict(keys)))
    return True
