"""A database in which another change precedes the next transaction."""

from collections.abc import Callable
from typing import Any

from shared.storage.store import Store, TableClient


class Interleaved:
    """A client that makes another change between the reads of an operation and its transaction, once."""

    def __init__(self, client: TableClient, meanwhile: Callable[[], object]) -> None:
        self._client = client
        self._meanwhile: Callable[[], object] | None = meanwhile

    def batch_write_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Forward the call."""
        return self._client.batch_write_item(**arguments)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
        """Make the other change, then the transaction."""
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile:
            meanwhile()
        return self._client.transact_write_items(**arguments)

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Forward the call."""
        return self._client.get_item(**arguments)

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Forward the call."""
        return self._client.batch_get_item(**arguments)

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Forward the call."""
        return self._client.query(**arguments)

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Forward the call."""
        return self._client.update_item(**arguments)


def interleaved(store: Store, meanwhile: Callable[[], object]) -> Store:
    """Return the same slice, in which `meanwhile` is called just before the next transaction."""
    client, table = store._client, store._table  # pyright: ignore[reportPrivateUsage]
    return Store(Interleaved(client, meanwhile), table=table, owned=store.owned)
