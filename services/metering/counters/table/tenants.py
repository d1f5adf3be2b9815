"""The tenants that have usage, for exports of all tenants."""

from services.metering.counters.domain.days import Days
from services.metering.counters.table import revisions, rollups
from shared.storage.store import Store
from shared.storage.transaction import Expression


class UsageOfAllTenants:
    """The `due` index of all tenants: their months with usage, and their revisions that are not rolled up."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def tenants_during(self, days: Days) -> set[str]:
        """Return the tenants with usage in the months of these days, or with a revision that is not rolled up."""
        # The characters that follow the month in a sort key sort before the tilde.
        values = {"pk": rollups.MONTHS.keys[0], "first": f"{days.start:%Y-%m}", "last": f"{days.end:%Y-%m}~"}
        closed = Expression("#due_pk = :pk AND #due_sk BETWEEN :first AND :last", values)
        opened = Expression("#due_pk = :pk", {"pk": revisions.DUE.keys[0]})
        return {
            str(item["due_sk"]).split("#")[1]
            for condition in (closed, opened)
            for item in self._store.query_all(condition, index="due")
        }
