"""A database in which something else happens just before the next transaction."""

from collections.abc import Callable
from typing import Any

from shared.storage.store import DynamoDB, Store


class Interleaved:
    """A client that lets something happen between the reads of an operation and its transaction, once."""

    def __init__(self, client: DynamoDB, meanwhile: Callable[[], object]) -> None:
        self._client = client
        self._meanwhile: Callable[[], object] | None = meanwhile

    def batch_write_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Not a part of any change that is tested here."""
        return self._client.batch_write_item(**arguments)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
        """The transaction, after what comes before it."""
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile:
            meanwhile()
        return self._client.transact_write_items(**arguments)

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """As it is."""
        return self._client.get_item(**arguments)

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """As it is."""
        return self._client.batch_get_item(**arguments)

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """As it is."""
        return self._client.query(**arguments)

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """As it is."""
        return self._client.update_item(**arguments)


def interleaved(store: Store, meanwhile: Callable[[], object]) -> Store:
    """The same slice, in which this happens just before the next transaction."""
    client, table = store._client, store._table  # pyright: ignore[reportPrivateUsage]
    return Store(Interleaved(client, meanwhile), table=table, owned=store.owned)
