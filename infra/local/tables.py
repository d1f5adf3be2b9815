"""What the engine leaves off when it makes a table."""

from typing import TYPE_CHECKING

from infra.local.environment import ACCOUNT
from infra.names import Names
from shared.declaration import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

_ATTRIBUTE = "ttl"


def switch_expiry_on(dynamodb: "DynamoDBClient") -> None:
    """Let items go when their time is over; the engine accepts the template's word for it and does nothing."""
    names = Names("local", ACCOUNT)
    for table in Table:
        name = names.table(table)
        described = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        if described.get("TimeToLiveStatus") not in {"ENABLED", "ENABLING"}:
            dynamodb.update_time_to_live(
                TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": _ATTRIBUTE}
            )
