"""The services that every run calls, with the calls that are made of them, named as boto3 names them."""

import io
from typing import Any

from shared.aws.client import Answer, Call, Caller, JsonService


class DynamoDB(JsonService):
    """Items in tables."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller, target="DynamoDB_20120810", version="1.0")

    def get_item(self, **arguments: Any) -> Answer:  # noqa: ANN401 — the service's own shapes
        """GetItem."""
        return self.ask("GetItem", arguments)

    def batch_get_item(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """BatchGetItem."""
        return self.ask("BatchGetItem", arguments)

    def query(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """Query."""
        return self.ask("Query", arguments)

    def update_item(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """UpdateItem."""
        return self.ask("UpdateItem", arguments)

    def transact_write_items(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """TransactWriteItems."""
        return self.ask("TransactWriteItems", arguments)

    def batch_write_item(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """BatchWriteItem."""
        return self.ask("BatchWriteItem", arguments)


class Events(JsonService):
    """The bus."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(caller, target="AWSEvents", version="1.1")

    def put_events(self, **arguments: Any) -> Answer:  # noqa: ANN401 — as above
        """PutEvents."""
        return self.ask("PutEvents", arguments)


class Functions:
    """Other functions."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def invoke(self, *, FunctionName: str, Payload: str) -> Answer:  # noqa: N803 — as boto3 names them
        """Invoke, and wait for the answer."""
        path = f"/2015-03-31/functions/{FunctionName}/invocations"
        reply = self._caller.call(Call("Invoke", path, {"content-type": "application/json"}, Payload.encode()))
        failed = reply.headers.get("x-amz-function-error")
        said: Answer = {"StatusCode": reply.status, "Payload": io.BytesIO(reply.body)}
        return said | ({"FunctionError": failed} if failed else {})
