"""The tenants slice.

TENANT#<t>            CONFIG                   the tenant; in the `due` index under DUE#TENANTS#TENANT, by time. What is
                                               left of a deleted one is its id and the moment
TENANT#<t>#TENANTS    SETTINGS                 the tenant's settings
TENANT#<t>#TENANTS    PROJECT#<prj_…>          a project
TENANT#<t>#TENANTS    USER#<sub>               a user; in the `list` index under …#TENANTS#USERS, by time
TENANT#<t>#TENANTS    INVITATION#<address>     a place that is taken for a user whom the pool does not have yet; in the
                                               `due` index under DUE#TENANTS#INVITATION, by when it is looked at
TENANT#<t>#TENANTS    CERTIFICATE              what was removed of a deleted tenant, by service
TENANT#<t>#TENANTS    EXPORT#<xpt_…>           an export: who asked for it, and which services are done
TENANT#<t>#TENANTS#AUDIT  ENTRY#<time>#<event>  a change, written once and never again

The counts in CONFIG (users, projects, active tenant_admins) are changed in the transaction that changes what they
count, and only there: everything else about a tenant is written by name and never touches them.
"""

from shared.declaration import Slice, Table
from shared.storage.items import Key
from shared.storage.traces import Traces

SLICE = Slice("TENANTS", Table.TENANTS, holds_tenant=True)
TRACES = Traces(
    partitions=lambda tenant_id, _: (SLICE.key(tenant_id, "AUDIT"),),
    keeps=("CERTIFICATE",),
)


def config_key(tenant_id: str) -> Key:
    """Where the tenant itself lies."""
    return Key(SLICE.tenant_key(tenant_id), "CONFIG")
