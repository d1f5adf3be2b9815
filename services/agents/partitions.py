"""The agents slice.

TENANT#<t>#AGENTS                      AGENT#<agt_…>          an agent, with the reference to its live config
TENANT#<t>#AGENTS                      COPY#TENANT            the copy of the tenant (shared.copies)
TENANT#<t>#AGENTS                      COPY#PROJECT#<prj_…>   the copy of a project; a deleted one remains, marked
TENANT#<t>#AGENTS                      PROVIDERKEY#<provider> that a key of the tenant is stored, without the key
TENANT#<t>#AGENTS                      LINT#<lnt_…>           a lint with its findings, for 90 days
TENANT#<t>#AGENTS                      PROMPT#<prm_…>         a prompt, with the reference to its live template
TENANT#<t>#AGENTS#AGENT#<agt_…>        VERSION#<7 digits>     a version; it remains when its agent is deleted
TENANT#<t>#AGENTS#PROMPT#<prm_…>       VERSION#<7 digits>     a version; it remains when its prompt is deleted
"""

from collections.abc import Iterator
from datetime import datetime

from shared.declaration import Slice, Table
from shared.storage.partitions import TenantPartitions
from shared.storage.store import Store
from shared.storage.transaction import Expression

SLICE = Slice("AGENTS", Table.ENTITIES)


VERSIONS_LIST = "VERSIONS"
"""The partition of the `list` index with the versions of all agents and prompts."""


def _versions(store: Store, tenant_id: str, _: datetime) -> Iterator[str]:
    """Yield the partitions of versions whose agent or prompt is not deleted. The list may lack some of them."""
    own = SLICE.key(tenant_id)
    for kind, id_field in (("AGENT", "agent_id"), ("PROMPT", "prompt_id")):
        condition = Expression("#PK = :pk AND begins_with(#SK, :prefix)", {"pk": own, "prefix": f"{kind}#"})
        for item in store.query_all(condition):
            yield SLICE.key(tenant_id, kind, str(item[id_field]))


TENANT_PARTITIONS = TenantPartitions(lists=(VERSIONS_LIST,), named=_versions)
