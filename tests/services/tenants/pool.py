"""A user pool under moto."""

import json
from functools import cache
from importlib import import_module
from typing import Any

import pytest
from types_boto3_cognito_idp import CognitoIdentityProviderClient
from types_boto3_cognito_idp.type_defs import SchemaAttributeTypeTypeDef

from shared.aws.clients import own_client

_MODELS: Any = import_module("moto.cognitoidp.models")
_import_key = _MODELS.jwk.RSAKey.import_key


def make_pool() -> tuple[CognitoIdentityProviderClient, str]:
    """Create a pool with the attributes of the deployed one, and return its client and id."""
    client: CognitoIdentityProviderClient = own_client("cognito-idp")
    attributes: list[SchemaAttributeTypeTypeDef] = [
        {"Name": name, "AttributeDataType": "String", "Mutable": True}
        for name in ("tenant_id", "role", "plan", "features")
    ]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(_MODELS.jwk.RSAKey, "import_key", _key)
        created = client.create_user_pool(PoolName="users", UsernameAttributes=["email"], Schema=attributes)
    return client, created["UserPool"].get("Id", "")


def _key(text: Any) -> Any:  # noqa: ANN401 — moto's own
    """Return the key of every pool. moto would import it for each of them, which takes 0.1 s of CPU."""
    return _imported(json.dumps(text))


@cache
def _imported(text: str) -> Any:  # noqa: ANN401 — moto's own
    return _import_key(json.loads(text))
