"""The audit records of the current change. Each transaction committed in its scope contains one."""

import ipaddress

from shared.events.envelope import Event, EventData, new_event
from shared.events.tenants import AuditFact, ChangeRecorded
from shared.scope import Change, Opened, current, narrowed

_RECORDED_BITS = {4: 16, 6: 32}
"""The bits of an IP address that are recorded: enough to recognize a foreign network, too few to identify a person."""


def recorded(change: Change | None) -> Opened:
    """Record every transaction in this block as part of a change; None records nothing."""
    return narrowed(change=change)


def audit_record(tenant_id: str, events: list[Event[EventData]]) -> Event[ChangeRecorded] | None:
    """Return the record of a transaction with these events, or None if the current work is not recorded."""
    change = current().change
    if change is None:
        return None
    number = next(change.numbers)
    payload = ChangeRecorded(
        principal=change.principal,
        role=change.role,
        action=change.action,
        target=change.target,
        network=change.network,
        facts=tuple(AuditFact(type=event.type, subject=event.subject, seq=event.seq) for event in events),
    )
    event_id = f"{change.request_id}:{number}:recorded"
    return new_event(
        payload, event_id=event_id, tenant_id=tenant_id, subject=change.request_id, seq=number, at=change.at
    )


def network_of(address: str) -> str:
    """Return the network of a caller, for example `203.0.0.0/16`; empty if the address is invalid."""
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return ""
    return str(ipaddress.ip_network(f"{address}/{_RECORDED_BITS[version]}", strict=False))
