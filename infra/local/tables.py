"""Settings of tables that the engine does not apply."""

from typing import TYPE_CHECKING

from infra.local.environment import ACCOUNT
from infra.names import Names
from shared.declaration import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

_ATTRIBUTE = "ttl"


def enable_expiry(dynamodb: "DynamoDBClient") -> None:
    """Enable the expiry of items, which the engine accepts in the template and ignores."""
    names = Names("local", ACCOUNT)
    for table in Table:
        name = names.table(table)
        described = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        if described.get("TimeToLiveStatus") not in {"ENABLED", "ENABLING"}:
            dynamodb.update_time_to_live(
                TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": _ATTRIBUTE}
            )
