"""The tenants slice.

TENANT#<t>            CONFIG                   the tenant; in the `due` index under DUE#TENANTS#TENANT, by time. A
                                               deleted tenant leaves its id and the time of deletion
TENANT#<t>#TENANTS    SETTINGS                 the tenant's settings
TENANT#<t>#TENANTS    PROJECT#<prj_…>          a project
TENANT#<t>#TENANTS    APIKEY#<key_…>           an API key without its secret
TENANT#<t>#TENANTS    APISECRET#<key_…>#<hash> a secret of an API key, by its SHA-256; in the `due` index under
                                               DUE#TENANTS#APISECRET#<hash>, where the authorizer finds it
TENANT#<t>#TENANTS    USER#<sub>               a user; in the `list` index under …#TENANTS#USERS, by time
TENANT#<t>#TENANTS    INVITATION#<address>     a seat that is taken for a user who is not in the pool yet; in the
                                               `due` index under DUE#TENANTS#INVITATION, by the time of its sweep
TENANT#<t>#TENANTS    ADDRESS#<address>        a user's new address, until the pool has it
TENANT#<t>#TENANTS    PLAN                     a rollout of a plan to the users in the pool, with the last user; in
                                               the `due` index under DUE#TENANTS#PLAN until it is finished
TENANT#<t>#TENANTS    PLAN#USER#<sub>          a user whose update failed in a rollout; in the `due` index likewise
TENANT#<t>#TENANTS    CERTIFICATE              the certificate of a tenant's deletion, with the removals by service
TENANT#<t>#TENANTS    EXPORT#<xpt_…>           an export: its requester, and the parts of the services
TENANT#<t>#TENANTS#AUDIT  ENTRY#<time>#<event>  a change, written once and never updated

The counts in CONFIG (users, projects, active tenant_admins, API keys) are changed only in the transaction that adds or
removes the counted resource. Every other write to a tenant sets its attributes by name and leaves the counts unchanged.
"""

from shared.declaration import Slice, Table
from shared.storage.items import Key
from shared.storage.partitions import TenantPartitions

AUDIT, USERS_LIST = "AUDIT", "USERS"
"""The partition of the audit log, and the list of users in the `list` index."""

SLICE = Slice("TENANTS", Table.TENANTS, holds_tenant=True)
TENANT_PARTITIONS = TenantPartitions(
    partitions=lambda tenant_id, _: (SLICE.key(tenant_id, AUDIT),),
    retained=("CERTIFICATE",),
)


def config_key(tenant_id: str) -> Key:
    """Return the key of the tenant's own item."""
    return Key(SLICE.tenant_key(tenant_id), "CONFIG")
