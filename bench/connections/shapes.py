"""Requests and responses of DynamoDB with the sizes and headers of real ones."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TARGET = "DynamoDB_20120810"
_TOKEN_CHARS = 1_200
"""The session token of a role with a session tag."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of call."""

    operation: str
    request: bytes
    response: bytes

    def headers(self, host: str) -> Mapping[str, str]:
        """Return the headers of the signed request."""
        return {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"{TARGET}.{self.operation}",
            "host": host,
            "x-amz-date": "20261130T101112Z",
            "x-amz-security-token": secrets.token_hex(_TOKEN_CHARS // 2),
            "x-amzn-trace-id": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0",
            "authorization": (
                "AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20261130/us-east-2/dynamodb/aws4_request, "
                "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target;x-amzn-trace-id, "
                f"Signature={secrets.token_hex(32)}"
            ),
        }

    @property
    def wire_response(self) -> bytes:
        """The response as DynamoDB sends it."""
        lines = (
            "HTTP/1.1 200 OK",
            "Server: Server",
            "Date: Mon, 30 Nov 2026 10:11:12 GMT",
            "Content-Type: application/x-amz-json-1.0",
            f"Content-Length: {len(self.response)}",
            "Connection: keep-alive",
            "x-amzn-RequestId: 5QK7OIAHJ0G3R4T8K3V1MB2L7RVV4KQNSO5AEMVJF66Q9ASUAAJG",
            "x-amz-crc32: 2745614147",
        )
        return "\r\n".join((*lines, "", "")).encode() + self.response


def _wire(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _item(number: int, *, text_chars: int) -> dict[str, Any]:
    return {
        "PK": {"S": "TENANT#tenant-0001"},
        "SK": {"S": f"RUN#run_01jdt3wv7f0000000000{number:06}"},
        "state": {"S": "completed"},
        "seq": {"N": "7"},
        "used_tokens": {"N": "1742"},
        "cost_nano_usd": {"N": "5226000"},
        "created_at": {"S": "2026-11-30T10:11:12.131Z"},
        "config": {"M": {"ref": {"S": "none"}, "hash": {"S": "0" * 64}}},
        "output": {"S": "x" * text_chars},
    }


_KEY = {"PK": {"S": "TENANT#tenant-0001"}, "SK": {"S": "RUN#run_01jdt3wv7f0000000000000001"}}
_NAMED = {"TableName": "ainexus-prod-entities"}

SHAPES = (
    Shape(
        "GetItem",
        _wire({**_NAMED, "Key": _KEY, "ConsistentRead": True}),
        _wire({"Item": _item(1, text_chars=800)}),
    ),
    Shape(
        "Query",
        _wire(
            {
                **_NAMED,
                "KeyConditionExpression": "PK = :pk AND begins_with(SK, :sk)",
                "ExpressionAttributeValues": {":pk": {"S": "TENANT#tenant-0001"}, ":sk": {"S": "RUN#"}},
                "Limit": 20,
            }
        ),
        _wire({"Items": [_item(one, text_chars=300) for one in range(20)], "Count": 20, "ScannedCount": 20}),
    ),
    Shape(
        "TransactWriteItems",
        _wire(
            {
                "ClientRequestToken": "0" * 32,
                "TransactItems": [{"Put": {**_NAMED, "Item": _item(one, text_chars=600)}} for one in range(4)],
            }
        ),
        b"{}",
    ),
)
