"""The agents slice.

TENANT#<t>#AGENTS                      AGENT#<agt_…>          an agent, with the reference to its live config
TENANT#<t>#AGENTS                      COPY#TENANT            the copy of the tenant (shared.copies)
TENANT#<t>#AGENTS                      COPY#PROJECT#<prj_…>   the copy of a project; a deleted one remains, marked
TENANT#<t>#AGENTS                      PROVIDERKEY#<provider> that a key of the tenant is stored, without the key
TENANT#<t>#AGENTS#AGENT#<agt_…>        VERSION#<7 digits>     a version; it remains when its agent is deleted
"""

from collections.abc import Iterator
from datetime import datetime

from shared.declaration import Slice, Table
from shared.storage.partitions import TenantPartitions
from shared.storage.store import Store
from shared.storage.transaction import Expression

SLICE = Slice("AGENTS", Table.ENTITIES)


VERSIONS_LIST = "VERSIONS"
"""The partition of the `list` index with the versions of all agents."""


def _versions_of_agents(store: Store, tenant_id: str, _: datetime) -> Iterator[str]:
    """Yield the partitions of the versions of all agents that are not deleted. The list may lack some of them."""
    condition = Expression("#PK = :pk AND begins_with(#SK, :prefix)", {"pk": SLICE.key(tenant_id), "prefix": "AGENT#"})
    for item in store.query_all(condition):
        yield SLICE.key(tenant_id, "AGENT", str(item["agent_id"]))


TENANT_PARTITIONS = TenantPartitions(lists=(VERSIONS_LIST,), named=_versions_of_agents)
