"""Several tables in memory behind one client."""

import json
from collections import defaultdict
from typing import Any

from tests.dynamodb.memory import MemoryDynamoDB


class MemoryTables:
    """A client that passes each request to its table. A table is created at its first request."""

    def __init__(self) -> None:
        self._tables: defaultdict[str, MemoryDynamoDB] = defaultdict(MemoryDynamoDB)

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """See `MemoryDynamoDB`."""
        return self._tables[arguments["TableName"]].get_item(**arguments)

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """See `MemoryDynamoDB`."""
        return self._tables[next(iter(arguments["RequestItems"]))].batch_get_item(**arguments)

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """See `MemoryDynamoDB`."""
        return self._tables[arguments["TableName"]].update_item(**arguments)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """See `MemoryDynamoDB`. A transaction of the product is within one table."""
        [name] = {action["TableName"] for entry in arguments["TransactItems"] for action in entry.values()}
        return self._tables[name].transact_write_items(**arguments)

    def batch_write_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """See `MemoryDynamoDB`."""
        return self._tables[next(iter(arguments["RequestItems"]))].batch_write_item(**arguments)

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """See `MemoryDynamoDB`."""
        return self._tables[arguments["TableName"]].query(**arguments)

    def put_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Put one item without a condition. For tests only."""
        action = {"TableName": arguments["TableName"], "Item": arguments["Item"]}
        return self.transact_write_items(TransactItems=[{"Put": action}])

    def delete_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Delete one item. For tests only."""
        action = {"TableName": arguments["TableName"], "Key": arguments["Key"]}
        return self.transact_write_items(TransactItems=[{"Delete": action}])

    def scan(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Return all items. For tests only."""
        return {"Items": [json.loads(text) for text in self._tables[arguments["TableName"]].texts()]}
