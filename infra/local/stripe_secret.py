"""The mesh's own note of the keys: its secret."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from infra.local.environment import ACCOUNT
from infra.local.stripe.keys import PREFIX, Keys
from infra.names import Names

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient


def give(manager: "SecretsManagerClient", keys: Keys) -> bool:
    """Put the keys into the mesh's secret; False when it holds those of another Stripe, which stay."""
    name = Names("local", ACCOUNT).secret("stripe/secret")
    held: dict[str, Any] = json.loads(manager.get_secret_value(SecretId=name)["SecretString"])
    if held and not str(held.get("api_key", "")).startswith(PREFIX):
        return False
    if held != asdict(keys):
        manager.put_secret_value(SecretId=name, SecretString=json.dumps(asdict(keys)))
    return True
