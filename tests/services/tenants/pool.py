"""A user pool under moto."""

from types_boto3_cognito_idp import CognitoIdentityProviderClient
from types_boto3_cognito_idp.type_defs import SchemaAttributeTypeTypeDef

from shared.storage.clients import own_client


def make_pool() -> tuple[CognitoIdentityProviderClient, str]:
    """A pool with the attributes of ours, and its id."""
    client: CognitoIdentityProviderClient = own_client("cognito-idp")
    attributes: list[SchemaAttributeTypeTypeDef] = [
        {"Name": name, "AttributeDataType": "String", "Mutable": True}
        for name in ("tenant_id", "role", "plan", "features")
    ]
    created = client.create_user_pool(PoolName="users", UsernameAttributes=["email"], Schema=attributes)
    return client, created["UserPool"].get("Id", "")
